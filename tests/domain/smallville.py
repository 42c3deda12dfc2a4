"""A small city for tests: a net, a catalogue, a calendar, and the people in it. Everything happens in one cell."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from domain.calendar import WorkingCalendar
from domain.catalogue import (
    Category,
    CategoryTerms,
    Edition,
    EnforcementItem,
    Family,
    Filing,
    Reward,
    RewardClass,
    StageLimits,
    Visibility,
)
from domain.directory import UNPUBLISHED
from domain.ids import case_id, cell_at
from domain.limits import Limit, LimitKind
from domain.message import Actor, Role
from domain.net import Compound, Grid, Level, Net, Ring, Unit, UnitKind
from domain.place import Place
from domain.routing import Route, Rung, route, route_to

LATITUDE = 22.53

# -- the net ---------------------------------------------------------------------------------------------------------

CITY, CITY_DESK, DISTRICT = "440300000000", "440300000000-desk", "440305000000"
STREET, TEAM, COMMUNITY = "440305001000", "440305001000-team", "440305001001"
GRID_A, GRID_B, GRID_C, GRID_NESTED = (f"{COMMUNITY}00{number}" for number in (1, 2, 3, 4))
PANEL, COMPOUND = "panel-1", "compound-1"
OTHER_COMMUNITY = "440305001002"


def _unit(code: str, level: Level, parent: str | None, kind: UnitKind = UnitKind.AREA) -> Unit:
    return Unit(code=code, kind=kind, level=level, parent=parent, name_zh=code, name_en=code)


def _box(west: float, south: float, east: float, north: float) -> Ring:
    return ((west, south), (east, south), (east, north), (west, north), (west, south))


def _grid(code: str, ring: Ring) -> Grid:
    return Grid(code=code, rings=(ring,), owner="worker", version="1", valid_from=date(2026, 1, 1))


NET = Net(
    synthetic=True,
    name_zh="小城",
    name_en="Smallville",
    units=(
        _unit(CITY, Level.CITY, None),
        _unit(CITY_DESK, Level.CITY, CITY, UnitKind.DESK),
        _unit(DISTRICT, Level.DISTRICT, CITY),
        _unit(STREET, Level.STREET, DISTRICT),
        _unit(TEAM, Level.STREET, STREET, UnitKind.TEAM),
        _unit(COMMUNITY, Level.COMMUNITY, STREET),
        _unit(OTHER_COMMUNITY, Level.COMMUNITY, STREET),
        _unit(PANEL, Level.COMMUNITY, COMMUNITY, UnitKind.PANEL),
        *(_unit(code, Level.GRID, COMMUNITY) for code in (GRID_A, GRID_B, GRID_C, GRID_NESTED)),
    ),
    grids=(
        _grid(GRID_A, _box(113.941, 22.528, 113.943, 22.532)),
        _grid(GRID_B, _box(113.943, 22.528, 113.945, 22.532)),
        _grid(GRID_C, _box(113.945, 22.528, 113.947, 22.532)),
        _grid(GRID_NESTED, _box(113.9455, 22.529, 113.9465, 22.531)),
    ),
    compounds=(
        Compound(
            code=COMPOUND,
            name_zh="小区",
            name_en="compound",
            parent=COMMUNITY,
            panel=PANEL,
            rings=(_box(113.9435, 22.529, 113.9445, 22.531),),
        ),
        Compound(
            code="compound-2",
            name_zh="城中村",
            name_en="village",
            parent=COMMUNITY,
            rings=(_box(113.9451, 22.529, 113.9454, 22.531),),
        ),
    ),
)
"""Grids A, B and C from west to east, each 206 m wide; one more inside C; a compound with a panel in B, one without in C."""

# -- the catalogue and the calendar ----------------------------------------------------------------------------------


def limit(amount: int, kind: LimitKind = LimitKind.MINUTES) -> Limit:
    """So many minutes, or so much of another kind of time."""
    return Limit(kind=kind, amount=amount)


LIMITS = StageLimits(dispatch=limit(20), accept=limit(15), handle=limit(4, LimitKind.WORKING_HOURS), inspect=limit(30))


def _category(code: str, family: str, severity: int, **more: object) -> Category:
    return Category.model_validate(
        {
            "code": code,
            "family": family,
            "major_zh": "大类",
            "major_en": "major",
            "minor_zh": "小类",
            "minor_en": "minor",
            "severity": severity,
            "limits": LIMITS,
            "reward_class": "A",
            **more,
        }
    )


EDITION = Edition(
    version="test-1",
    daily_cap_points=50,
    families=tuple(Family(code=code, name_zh=code, name_en=code) for code in ("hazard", "dispute", "civility")),
    enforcement_items=(EnforcementItem(code="E1", name_zh="事项", name_en="item"),),
    rewards=(RewardClass(code="A", by_severity=(Reward(filing=2, resolution=8),) * 4),),
    categories=(
        _category("hazard", "hazard", 2, evidence=("photo",)),
        _category("danger", "hazard", 4),
        _category("enforced", "civility", 1, enforcement_item="E1"),
        _category("quarrel", "dispute", 2, filing=Filing.DISPATCHER, visibility=Visibility.CONFIDENTIAL),
    ),
)
DIRECTORY = replace(
    UNPUBLISHED,
    net=NET,
    editions={EDITION.version: EDITION},
    edition=EDITION,
    calendar=WorkingCalendar(version="test-1", holidays=frozenset({date(2026, 3, 9)}), last_year=2026),
)


def terms(category: str) -> CategoryTerms:
    """What a case of the category keeps for life."""
    return DIRECTORY.terms(category, EDITION.version)


HAZARD, DANGER, ENFORCED, QUARREL = (terms(code) for code in ("hazard", "danger", "enforced", "quarrel"))

# -- places and routes -----------------------------------------------------------------------------------------------

HERE = Place(lon=113.942, lat=LATITUDE)
"""In grid A."""
METRE_EAST = 1 / 102_710
"""Degrees of longitude at 22.53° north."""


def east(metres: float) -> Place:
    """So many metres east of `HERE`."""
    return Place(lon=HERE.lon + metres * METRE_EAST, lat=HERE.lat)


CELL = cell_at(HERE.lon, HERE.lat)
CASE, SECOND_CASE = case_id(CELL, 1), case_id(CELL, 2)
ROUTE = route(DIRECTORY, HERE, HAZARD)
"""To grid A."""


def to_unit(unit: str) -> Route:
    """The route to a unit that a dispatcher named."""
    return route_to(DIRECTORY, unit, "dispatcher")


def rung(unit: str) -> Rung:
    """The unit on the ladder."""
    return to_unit(unit).unit


# -- people ----------------------------------------------------------------------------------------------------------


def actor(person: str, role: Role, *units: str) -> Actor:
    """One person with one role."""
    return Actor(person=person, roles=(role,), units=units)


RIDER, OTHER_RIDER = actor("rider-1", Role.REPORTER), actor("rider-2", Role.REPORTER)
WORKER = actor("worker-1", Role.GRID_WORKER, GRID_A)
OTHER_WORKER = actor("worker-2", Role.GRID_WORKER, GRID_A)
FOREIGN_WORKER = actor("worker-9", Role.GRID_WORKER, GRID_C)
PART_TIMER = Actor(person="rider-7", roles=(Role.REPORTER, Role.PART_TIME_WORKER), units=(GRID_A,))
INSPECTOR = actor("inspector-1", Role.INSPECTOR, COMMUNITY)
DISPATCHER = actor("dispatcher-1", Role.DISPATCHER, COMMUNITY)
STREET_DISPATCHER = actor("dispatcher-2", Role.DISPATCHER, STREET)
CITY_DISPATCHER = actor("dispatcher-3", Role.DISPATCHER, CITY)
FOREIGN_DISPATCHER = actor("dispatcher-9", Role.DISPATCHER, OTHER_COMMUNITY)
SUPERVISOR = actor("supervisor-1", Role.SUPERVISOR, COMMUNITY)
