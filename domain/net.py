"""组织与网格 — the net over a city: units in a tree, grids with polygons, compounds, and the people who answer for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, field_serializer

from domain.message import Role, Value

Point = tuple[float, float]
"""(lon, lat), WGS-84, degrees."""
Ring = tuple[Point, ...]


class UnitKind(StrEnum):
    """What sort of thing has the queue."""

    AREA = "area"
    PANEL = "panel"
    TEAM = "team"
    DESK = "desk"


class Level(StrEnum):
    """层级."""

    CITY = "city"
    DISTRICT = "district"
    STREET = "street"
    COMMUNITY = "community"
    GRID = "grid"


LADDER = (Level.GRID, Level.COMMUNITY, Level.STREET, Level.DISTRICT, Level.CITY)
"""升级顺序 — from the one who walks there to the city."""


class Unit(Value):
    """单位 — anything that has a queue: an opaque code, a kind and an explicit parent."""

    code: str = Field(min_length=1, max_length=40)
    kind: UnitKind = UnitKind.AREA
    level: Level
    """Where it stands: a street's team at STREET, the city dispatch desk at CITY, a compound's panel at COMMUNITY."""
    parent: str | None = None
    name_zh: str
    name_en: str


class Grid(Value):
    """网格 — a polygon (exterior ring first, then holes) that one named worker answers for; its unit has the same code."""

    code: str
    rings: tuple[Ring, ...]
    owner: str
    version: str
    valid_from: date


class CompoundKind(StrEnum):
    """小区 / 城中村."""

    ESTATE = "estate"
    """小区 — a managed residential compound."""
    URBAN_VILLAGE = "urban_village"
    """城中村."""


class Seat(StrEnum):
    """1 + 3 + N — who sits on a compound's panel."""

    COMMITTEE = "committee"
    """社区党委 — the 1: the community committee."""
    BRANCH = "branch"
    """小区党支部 — of the 3: the compound branch."""
    OWNERS = "owners"
    """业委会 — of the 3: the owners' committee."""
    PROPERTY = "property"
    """物业公司 — of the 3: the property company."""
    OTHER = "other"
    """N — merchants, volunteers, organisations, residents."""


class Compound(Value):
    """小区 / 城中村 — with the panel (1 + 3 + N) that mediates its disputes, where there is one.

    ``panel`` is the code of the panel's unit, ``seats`` are the ones that are filled; a compound may span grids.
    """

    code: str
    kind: CompoundKind = CompoundKind.ESTATE
    name_zh: str
    name_en: str
    parent: str
    panel: str | None = None
    seats: tuple[Seat, ...] = ()
    rings: tuple[Ring, ...]

    @property
    def has_branch(self) -> bool:
        """支部建在小区上 — whether the compound has a branch."""
        return Seat.BRANCH in self.seats

    @property
    def has_whole_panel(self) -> bool:
        """Whether each of 1 + 3 is there, and somebody of N."""
        return self.panel is not None and set(Seat) <= set(self.seats)


class Outline(Value):
    """边界 — the area of a unit above the grids: polygons, each an exterior ring and its holes."""

    unit: str
    polygons: tuple[tuple[Ring, ...], ...]


class Share(Value):
    """So many of so many; of areas, in whole square metres."""

    part: int
    whole: int

    @property
    def percent(self) -> float | None:
        """Of the whole; None where there is nothing to cover."""
        return 100 * self.part / self.whole if self.whole else None


class DistrictCoverage(Value):
    """覆盖率 — of one district."""

    code: str
    name_zh: str
    name_en: str
    grids_on_duty: Share
    """有网格员 — grids whose owner is one of the net's grid workers, part-time ones included, with rights in the grid."""
    compounds_with_branch: Share
    """支部建在小区上."""
    compounds_with_panel: Share
    """1 + 3 + N — compounds with a panel on which every seat is filled."""
    area_covered: Share
    """What grids cover of the district, whosever they are."""
    area_of: Literal["outline", "enclosed"]
    """What counts as the district: its outline, or, where the net has none, what its grids enclose: then only holes lack."""
    area_claimed_twice: Share
    """What more than one of the district's grids claim, of what they cover."""


class Worker(Value):
    """人员 — a person's roles and the units in whose subtrees they hold."""

    person: str
    name_zh: str
    name_en: str
    roles: tuple[Role, ...]
    units: tuple[str, ...]


class CodeScheme(Value):
    """编码方案 — how many leading digits name each area level, and how far upper codes are padded with zeros."""

    prefixes: dict[Level, int] = Field(
        default_factory=lambda: {
            Level.CITY: 4,
            Level.DISTRICT: 6,
            Level.STREET: 9,
            Level.COMMUNITY: 12,
            Level.GRID: 15,
        }
    )
    padded_to: int = 12

    @field_serializer("prefixes", when_used="json")
    def _in_order(self, prefixes: dict[Level, int]) -> dict[Level, int]:
        """Equal schemes are written with equal bytes."""
        return {level: prefixes[level] for level in Level if level in prefixes}

    def code_at(self, code: str, level: Level) -> str:
        """The code of the ancestor of ``code`` at ``level``."""
        prefix = code[: self.prefixes[level]]
        return prefix.ljust(self.padded_to, "0")


class Net(Value):
    """一张网 — one whole edition of units, grids, compounds, workers and outlines. ``version`` is the hash of its content."""

    synthetic: bool
    name_zh: str
    name_en: str
    scheme: CodeScheme = Field(default_factory=CodeScheme)
    units: tuple[Unit, ...]
    grids: tuple[Grid, ...]
    compounds: tuple[Compound, ...] = ()
    workers: tuple[Worker, ...] = ()
    outlines: tuple[Outline, ...] = ()
    """Of units above the grids, where they are known; not needed for routing."""

    def __copy__(self) -> Self:
        """A copy is made to be changed: it computes its own version."""
        copied = super().__copy__()
        copied.__dict__.pop("version", None)
        return copied

    @cached_property
    def version(self) -> str:
        """The first 16 hex digits of the SHA-256 of its JSON without defaults: equal content, equal version, and a field that
        is added later leaves the versions of older nets as they are."""
        return hashlib.sha256(self.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:16]


class Org:
    """The tree of units, and the ladder over each."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._units = {unit.code: unit for unit in units}
        self._children: dict[str, list[str]] = {}
        for unit in self._units.values():
            if unit.parent is not None:
                self._children.setdefault(unit.parent, []).append(unit.code)

    def unit(self, code: str) -> Unit | None:
        """The unit of that code."""
        return self._units.get(code)

    def level(self, code: str) -> Level:
        """The level of a unit; raises `KeyError` for an unknown one."""
        return self._units[code].level

    def children(self, code: str) -> tuple[str, ...]:
        """The units directly under ``code``, in order of code."""
        return tuple(sorted(self._children.get(code, ())))

    def child_of_kind(self, code: str, kind: UnitKind) -> str | None:
        """The first unit of a kind directly under ``code``: a street's team, a city's desk."""
        return next((child for child in self.children(code) if self._units[child].kind is kind), None)

    def ancestors(self, code: str) -> tuple[str, ...]:
        """Every unit above ``code``, nearest first."""
        above, seen = [], {code}
        parent = self._units[code].parent
        while parent is not None and parent in self._units and parent not in seen:
            above.append(parent)
            seen.add(parent)
            parent = self._units[parent].parent
        return tuple(above)

    def ladder(self, code: str) -> tuple[str, ...]:
        """升级 — the units that a case of ``code`` climbs: its ancestors; a street's team skips its own street."""
        above = self.ancestors(code)
        return above[1:] if self._units[code].kind is UnitKind.TEAM else above

    @cached_property
    def city(self) -> str:
        """The top of the tree; raises `LookupError` where there is none."""
        top = sorted(unit.code for unit in self._units.values() if unit.parent is None)
        if not top:
            raise LookupError("the net has no unit without a parent")
        return top[0]

    @cached_property
    def city_desk(self) -> str:
        """市派遣台 — the city dispatch desk, or the city itself where there is no desk."""
        return self.child_of_kind(self.city, UnitKind.DESK) or self.city
