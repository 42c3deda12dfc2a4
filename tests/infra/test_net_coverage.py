"""Coverage: the four numbers of a district, on nets made by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from domain.message import Role
from domain.net import (
    Compound,
    CompoundKind,
    DistrictCoverage,
    Grid,
    Level,
    Net,
    Outline,
    Ring,
    Seat,
    Share,
    Unit,
    UnitKind,
    Worker,
)
from infra.net.coverage import NO_DISTRICT, coverage

DISTRICT, OTHER, COMMUNITY = "440305000000", "440306000000", "440305001001"
ALL_SEATS = tuple(Seat)


def box(west: float, south: float, east: float, north: float) -> Ring:
    return ((west, south), (east, south), (east, north), (west, north), (west, south))


def unit(code: str, level: Level, parent: str | None) -> Unit:
    return Unit(code=code, level=level, parent=parent, name_zh=code, name_en=code)


def grid(number: int, *rings: Ring, owner: str = "worker") -> Grid:
    code = f"{COMMUNITY}{number:03d}"
    return Grid(code=code, rings=rings, owner=owner, version="1", valid_from=date(2026, 1, 1))


def compound(number: int, *seats: Seat, panel: bool = True) -> Compound:
    code = f"{COMMUNITY}-c{number}"
    return Compound(
        code=code,
        kind=CompoundKind.URBAN_VILLAGE,
        name_zh=code,
        name_en=code,
        parent=COMMUNITY,
        panel=f"{code}-panel" if panel else None,
        seats=seats,
        rings=(box(114.0, 22.5, 114.001, 22.501),),
    )


def worker(person: str, unit: str, *roles: Role) -> Worker:
    return Worker(person=person, name_zh=person, name_en=person, roles=roles, units=(unit,))


STRIPS = tuple(grid(number, box(114 + number / 100, 22.5, 114 + (number + 1) / 100, 22.51)) for number in range(4))
"""Four grids side by side, from 114.00 to 114.04."""


def net(**parts: Any) -> Net:
    grids: tuple[Grid, ...] = parts.pop("grids", STRIPS)
    units = (
        unit("440300000000", Level.CITY, None),
        unit(DISTRICT, Level.DISTRICT, "440300000000"),
        unit("440305001000", Level.STREET, DISTRICT),
        unit(COMMUNITY, Level.COMMUNITY, "440305001000"),
        *(unit(code, Level.GRID, COMMUNITY) for code in sorted({grid.code for grid in grids})),
        *parts.pop("more_units", ()),
    )
    return Net(synthetic=True, name_zh="小城", name_en="Smallville", units=units, grids=grids, **parts)


def of_district(made: Net, code: str = DISTRICT) -> DistrictCoverage:
    return next(row for row in coverage(made) if row.code == code)


def test_a_grid_is_on_duty_when_its_owner_is_a_worker_with_rights_there() -> None:
    owned = [
        grid.model_copy(update={"owner": owner})
        for grid, owner in zip(STRIPS, ("at-home", "above", "elsewhere", "inspector"), strict=True)
    ]
    workers = (
        worker("at-home", STRIPS[0].code, Role.GRID_WORKER),
        worker("above", COMMUNITY, Role.REPORTER, Role.PART_TIME_WORKER),
        worker("elsewhere", STRIPS[0].code, Role.GRID_WORKER),
        worker("inspector", STRIPS[3].code, Role.INSPECTOR),
    )
    assert of_district(net(grids=tuple(owned), workers=workers)).grids_on_duty == Share(part=2, whole=4)
    assert of_district(net()).grids_on_duty == Share(part=0, whole=4)


def test_branches_and_whole_panels_are_counted_apart() -> None:
    compounds = (
        compound(1, *ALL_SEATS),
        compound(2, *ALL_SEATS, panel=False),
        compound(3, Seat.COMMITTEE, Seat.OWNERS, Seat.PROPERTY, Seat.OTHER),
        compound(4, Seat.BRANCH),
        compound(5),
    )
    row = of_district(net(compounds=compounds))
    assert row.compounds_with_branch == Share(part=3, whole=5)
    assert row.compounds_with_panel == Share(part=1, whole=5)
    assert row.compounds_with_panel.percent == 20


def test_area_is_measured_against_the_outline_where_there_is_one() -> None:
    outline = Outline(unit=DISTRICT, polygons=((box(114.0, 22.5, 114.05, 22.51),),))
    row = of_district(net(outlines=(outline,)))
    assert row.area_of == "outline"
    assert row.area_covered.percent == pytest.approx(80, abs=1e-3)
    width, height = 111.195 * 0.9239 * 0.05, 111.195 * 0.01  # kilometres, at 22.505 degrees
    assert row.area_covered.whole == pytest.approx(width * height * 1e6, rel=1e-3)


def test_grids_of_a_neighbour_cover_too_and_what_lies_outside_counts_for_nothing() -> None:
    outline = Outline(unit=OTHER, polygons=((box(114.03, 22.5, 114.05, 22.51),),))
    other = unit(OTHER, Level.DISTRICT, "440300000000")
    row = of_district(net(outlines=(outline,), more_units=(other,)), OTHER)
    assert row.area_covered.percent == pytest.approx(50, abs=1e-3)
    assert row.grids_on_duty == Share(part=0, whole=0)
    assert row.grids_on_duty.percent is None


def test_without_an_outline_only_the_holes_between_grids_are_missed() -> None:
    ring = grid(1, box(114.0, 22.5, 114.03, 22.53), box(114.01, 22.51, 114.02, 22.52))
    row = of_district(net(grids=(ring,)))
    assert row.area_of == "enclosed"
    assert row.area_covered.percent == pytest.approx(100 * 8 / 9, abs=1e-3)


def test_what_two_grids_claim_is_said() -> None:
    nested = grid(9, box(114.0, 22.5, 114.005, 22.51))
    row = of_district(net(grids=(*STRIPS, nested)))
    assert row.area_claimed_twice.percent == pytest.approx(100 / 8, abs=1e-3)
    assert row.area_covered.percent == 100


def test_what_stands_in_no_district_has_a_row_of_its_own() -> None:
    made = net(compounds=(compound(1, *ALL_SEATS).model_copy(update={"parent": "nowhere"}),))
    assert [row.code for row in coverage(made)] == [NO_DISTRICT, DISTRICT]
    assert coverage(made)[0].compounds_with_branch == Share(part=1, whole=1)


def test_a_team_or_a_panel_that_stands_at_the_level_of_a_district_is_none() -> None:
    team = Unit(code="team", kind=UnitKind.TEAM, level=Level.DISTRICT, parent=DISTRICT, name_zh="队", name_en="team")
    assert [row.code for row in coverage(net(more_units=(team,)))] == [DISTRICT]
