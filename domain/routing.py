"""Who answers for it: point → grid → unit, and the ladder above that unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from domain.message import Value
from domain.net import Level, UnitKind

if TYPE_CHECKING:
    from domain.catalogue import CategoryTerms
    from domain.directory import Directory
    from domain.place import Place

How = Literal["inside", "edge", "nearest", "panel", "team", "nowhere", "no_place", "dispatcher"]
"""Why the case goes where it goes; ``nowhere`` and ``no_place`` could not be mapped."""

UNMAPPED: frozenset[How] = frozenset({"nowhere", "no_place"})


class Rung(Value):
    """A unit on the ladder, with the level at which it stands."""

    unit: str
    level: Level


class Route(Value):
    """The unit that answers for a place, what stands above it, and the version of the net that said so."""

    unit: Rung
    ladder: tuple[Rung, ...]
    """Units that the case climbs when a clock runs out, nearest first."""
    ancestors: tuple[str, ...]
    """Every unit whose subtree holds ``unit``, nearest first."""
    grid: str | None = None
    how: How
    net: str

    @property
    def desk(self) -> Rung:
        """回退 — where a returned case stands: the community's desk, or the unit itself where none is nearer."""
        return next((rung for rung in self.ladder if rung.level is Level.COMMUNITY), self.unit)

    def holds(self, unit: str) -> bool:
        """Whether ``unit`` answers for this route or stands above the one that does."""
        return unit == self.unit.unit or unit in self.ancestors

    def above(self, unit: str) -> Rung | None:
        """The next rung over ``unit``; None at the top of the ladder."""
        climbed = [self.unit, *self.ladder]
        position = next((i for i, rung in enumerate(climbed) if rung.unit == unit), -1)
        return climbed[position + 1] if position + 1 < len(climbed) else None


class NoSuchUnit(LookupError):
    """The directory's current net has no unit of that code."""


def route_to(directory: Directory, unit: str, how: How, grid: str | None = None) -> Route:
    """The route to a unit that somebody named; raises `NoSuchUnit`."""
    org = directory.org
    found = org.unit(unit)
    if found is None:
        raise NoSuchUnit(unit)
    ladder = tuple(Rung(unit=code, level=org.level(code)) for code in org.ladder(unit))
    return Route(
        unit=Rung(unit=unit, level=found.level),
        ladder=ladder,
        ancestors=org.ancestors(unit),
        grid=grid,
        how=how,
        net=directory.net_version,
    )


def route(directory: Directory, place: Place | None, terms: CategoryTerms) -> Route:
    """归属 — the one unit that answers for a place: the smallest covering grid's own, or the one that the category calls for.

    A shared edge goes to the lowest code; a gap of up to 200 m to the nearest grid; everything else to the city dispatch
    desk. An enforcement category goes to the street's team, a dispute inside a compound to the compound's panel
    (docs/reference/rules.md).
    """
    if place is None:
        return route_to(directory, directory.org.city_desk, "no_place")
    located = directory.atlas.locate(place.lon, place.lat)
    if located is None:
        return route_to(directory, directory.org.city_desk, "nowhere")
    if terms.enforcement_item and (team := _team_over(directory, located.grid)):
        return route_to(directory, team, "team", located.grid)
    if terms.family == "dispute":
        compound = directory.atlas.compound_at(place.lon, place.lat)
        if compound is not None and compound.panel:
            return route_to(directory, compound.panel, "panel", located.grid)
    return route_to(directory, located.grid, located.how, located.grid)


def _team_over(directory: Directory, grid: str) -> str | None:
    org = directory.org
    street = next((code for code in org.ancestors(grid) if org.level(code) is Level.STREET), None)
    return org.child_of_kind(street, UnitKind.TEAM) if street else None
