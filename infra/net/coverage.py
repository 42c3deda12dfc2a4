"""覆盖率 — the four coverages of each district, each with 100 % as its target. Pure: a net in, numbers out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import cos, radians

import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from domain.atlas import METRES_PER_DEGREE
from domain.message import Role
from domain.net import Compound, DistrictCoverage, Grid, Level, Net, Org, Ring, Share, UnitKind, Worker

WORKERS = frozenset({Role.GRID_WORKER, Role.PART_TIME_WORKER})
NO_DISTRICT = ""
"""The code of what stands in no district."""


@dataclass(frozen=True, slots=True)
class _Members:
    """What stands in a district."""

    grids: list[Grid] = field(default_factory=list)
    compounds: list[Compound] = field(default_factory=list)


def coverage(net: Net) -> tuple[DistrictCoverage, ...]:
    """The coverage of every district, in order of code; what is in no district stands first, under `NO_DISTRICT`."""
    org, members = Org(net.units), _members(net)
    workers = {worker.person: worker for worker in net.workers}
    outlines = {
        outline.unit: shapely.union_all([_polygon(rings) for rings in outline.polygons]) for outline in net.outlines
    }
    shapes = {code: [_polygon(grid.rings) for grid in each.grids] for code, each in members.items()}
    covered = {code: _union(each) for code, each in shapes.items()}
    everything = shapely.union_all(list(covered.values()))
    rows = []
    for code in sorted(members):
        grids, compounds = members[code].grids, members[code].compounds
        unit, own, outline = org.unit(code), covered[code], outlines.get(code)
        area = _enclosed(own) if outline is None else outline
        inside = own if outline is None else outline.intersection(everything)
        row = DistrictCoverage(
            code=code,
            name_zh=unit.name_zh if unit else "无区",
            name_en=unit.name_en if unit else "(in no district)",
            grids_on_duty=_share(_is_on_duty(grid, workers.get(grid.owner), org) for grid in grids),
            compounds_with_branch=_share(compound.has_branch for compound in compounds),
            compounds_with_panel=_share(compound.has_whole_panel for compound in compounds),
            area_covered=_square_metres(inside.area, area),
            area_of="enclosed" if outline is None else "outline",
            area_claimed_twice=_square_metres(sum(shape.area for shape in shapes[code]) - own.area, own),
        )
        rows.append(row)
    return tuple(rows)


def _members(net: Net) -> dict[str, _Members]:
    org = Org(net.units)
    districts = {unit.code for unit in net.units if unit.level is Level.DISTRICT and unit.kind is UnitKind.AREA}

    def district_of(unit: str) -> str:
        above = (unit, *org.ancestors(unit)) if org.unit(unit) else ()
        return next((code for code in above if code in districts), NO_DISTRICT)

    members = {code: _Members() for code in districts}
    for grid in net.grids:
        members.setdefault(district_of(grid.code), _Members()).grids.append(grid)
    for compound in net.compounds:
        members.setdefault(district_of(compound.parent), _Members()).compounds.append(compound)
    return members


def _is_on_duty(grid: Grid, owner: Worker | None, org: Org) -> bool:
    if owner is None or WORKERS.isdisjoint(owner.roles):
        return False
    above = org.ancestors(grid.code) if org.unit(grid.code) else ()
    return not {grid.code, *above}.isdisjoint(owner.units)


def _share(found: Iterable[bool]) -> Share:
    each = list(found)
    return Share(part=sum(each), whole=len(each))


def _square_metres(part: float, of: BaseGeometry) -> Share:
    """Square degrees as square metres at the latitude of ``of``: good to a thousandth over a city, and shares are exact."""
    if of.is_empty:
        return Share(part=0, whole=0)
    scale = METRES_PER_DEGREE**2 * cos(radians(of.centroid.y))
    return Share(part=max(0, round(part * scale)), whole=round(of.area * scale))


def _polygon(rings: tuple[Ring, ...]) -> BaseGeometry:
    """The area of rings, also of ones that cross themselves."""
    polygon = Polygon(rings[0], rings[1:])
    return polygon if polygon.is_valid else polygon.buffer(0)


def _union(shapes: list[BaseGeometry]) -> BaseGeometry:
    """What is covered; ten times as fast where neighbours meet exactly."""
    whole = shapely.coverage_is_valid(shapes) if shapes else False
    return shapely.coverage_union_all(shapes) if whole else shapely.union_all(shapes)


def _enclosed(covered: BaseGeometry) -> BaseGeometry:
    """What is covered, without its holes."""
    return shapely.union_all([Polygon(part.exterior) for part in shapely.get_parts(covered)])
