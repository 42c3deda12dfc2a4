"""归属 — who answers for a place, and what stands above."""

from __future__ import annotations

import pytest

from domain.case.events import Stage
from domain.catalogue import CategoryTerms
from domain.net import Level
from domain.place import Place
from domain.routing import NoSuchUnit, Route, route, route_to
from tests.domain.smallville import (
    CITY,
    CITY_DESK,
    COMMUNITY,
    DIRECTORY,
    DISTRICT,
    ENFORCED,
    GRID_A,
    GRID_B,
    GRID_C,
    GRID_NESTED,
    HAZARD,
    METRE_EAST,
    NET,
    PANEL,
    QUARREL,
    STREET,
    TEAM,
    to_unit,
)

WEST_EDGE = 113.941


def at(lon: float, lat: float = 22.53, terms: CategoryTerms = HAZARD) -> Route:
    return route(DIRECTORY, Place(lon=lon, lat=lat), terms)


@pytest.mark.parametrize(
    ("lon", "unit", "how"),
    [
        (113.942, GRID_A, "inside"),
        (113.944, GRID_B, "inside"),
        (113.9452, GRID_C, "inside"),
        (113.946, GRID_NESTED, "inside"),  # the smallest that covers it
        (113.943, GRID_A, "edge"),  # A | B: the lowest code
        (113.945, GRID_B, "edge"),
        (WEST_EDGE, GRID_A, "edge"),
        (WEST_EDGE - 199 * METRE_EAST, GRID_A, "nearest"),
        (WEST_EDGE - 201 * METRE_EAST, CITY_DESK, "nowhere"),
        (113.9, CITY_DESK, "nowhere"),
    ],
)
def test_a_point_goes_to_the_one_grid_that_answers_for_it(lon: float, unit: str, how: str) -> None:
    found = at(lon)
    assert (found.unit.unit, found.how) == (unit, how)
    assert found.grid == (None if how == "nowhere" else unit)
    assert found.net == NET.version


def test_a_report_without_coordinates_goes_to_the_city_desk() -> None:
    found = route(DIRECTORY, None, HAZARD)
    assert (found.unit.unit, found.how, found.grid) == (CITY_DESK, "no_place", None)


def test_an_enforcement_category_goes_to_the_streets_team_and_keeps_its_grid() -> None:
    found = at(113.942, terms=ENFORCED)
    assert (found.unit.unit, found.how, found.grid) == (TEAM, "team", GRID_A)


def test_an_enforcement_category_that_no_grid_is_near_goes_to_the_city_desk() -> None:
    assert at(113.9, terms=ENFORCED).unit.unit == CITY_DESK


def test_a_dispute_in_a_compound_goes_to_its_panel() -> None:
    found = at(113.944, terms=QUARREL)
    assert (found.unit.unit, found.how, found.grid) == (PANEL, "panel", GRID_B)


def test_a_dispute_outside_every_compound_and_another_matter_inside_one_go_to_the_grid() -> None:
    assert at(113.942, terms=QUARREL).unit.unit == GRID_A
    assert at(113.944, terms=HAZARD).unit.unit == GRID_B


def test_a_dispute_in_a_compound_that_has_no_panel_goes_to_the_grid() -> None:
    assert at(113.9452, terms=QUARREL).unit.unit == GRID_C


@pytest.mark.parametrize(
    ("unit", "ladder"),
    [
        (GRID_A, [COMMUNITY, STREET, DISTRICT, CITY]),
        (PANEL, [COMMUNITY, STREET, DISTRICT, CITY]),
        (TEAM, [DISTRICT, CITY]),
        (CITY_DESK, [CITY]),
        (CITY, []),
    ],
)
def test_every_unit_has_its_ladder(unit: str, ladder: list[str]) -> None:
    found = to_unit(unit)
    assert [rung.unit for rung in found.ladder] == ladder
    climbed = [unit, *ladder]
    assert [above.unit if (above := found.above(step)) else None for step in climbed] == [*ladder, None]


def test_a_team_is_seen_by_its_street_though_its_cases_climb_past_it() -> None:
    found = to_unit(TEAM)
    assert found.holds(STREET)
    assert STREET not in [rung.unit for rung in found.ladder]


def test_a_returned_case_stands_at_the_communitys_desk_or_stays_where_there_is_none() -> None:
    assert at(113.942).desk.unit == COMMUNITY
    assert to_unit(TEAM).desk.unit == TEAM
    assert to_unit(TEAM).desk.level is Level.STREET


def test_a_unit_that_the_net_does_not_have_cannot_be_dispatched_to() -> None:
    with pytest.raises(NoSuchUnit):
        route_to(DIRECTORY, "999", "dispatcher")


def test_every_stage_has_a_clock_of_its_own() -> None:
    assert set(Stage) - {Stage.NOTICE, Stage.SHELVED} == set(HAZARD.limits.model_dump())
