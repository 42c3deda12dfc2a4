"""检查网格 — what is wrong with a net, and how much of each district it covers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import shapely
from shapely import Polygon

from domain.message import Value
from domain.net import Level, Net, Org, UnitKind

NEGLIGIBLE = 1e-6
"""A share of area below which an overlap is rounding."""


class DistrictCoverage(Value):
    """覆盖率 — of one district."""

    code: str
    name_zh: str
    name_en: str
    grids: int
    with_owner: int
    overlap_percent: float
    """Area that more than one grid claims, of the area that grids cover."""
    hole_percent: float
    """Area enclosed by the district's grids that none of them covers, of the area they enclose."""


class NetReport(Value):
    """What a check found."""

    version: str
    synthetic: bool
    units: dict[str, int]
    grids: int
    districts: tuple[DistrictCoverage, ...]
    faults: tuple[str, ...]


def check(net: Net) -> NetReport:
    """Check a net: codes, parents, polygons, owners, overlaps and holes."""
    org = Org(net.units)
    kinds = Counter(unit.level if unit.kind is UnitKind.AREA else unit.kind for unit in net.units)
    return NetReport(
        version=net.version,
        synthetic=net.synthetic,
        units={str(kind): count for kind, count in sorted(kinds.items())},
        grids=len(net.grids),
        districts=tuple(_districts(net, org)),
        faults=tuple(_faults(net, org)),
    )


def _faults(net: Net, org: Org) -> Iterator[str]:
    for code, times in Counter(unit.code for unit in net.units).items():
        if times > 1:
            yield f"unit {code} is there {times} times"
    tops = [unit.code for unit in net.units if unit.parent is None]
    if len(tops) != 1:
        yield f"{len(tops)} units have no parent, and one city has one top"
    for unit in net.units:
        if unit.parent is not None and org.unit(unit.parent) is None:
            yield f"unit {unit.code}: its parent {unit.parent} does not exist"
    people = {worker.person for worker in net.workers}
    for grid in net.grids:
        if org.unit(grid.code) is None:
            yield f"grid {grid.code} has no unit of its own"
        if grid.owner not in people:
            yield f"grid {grid.code}: its owner {grid.owner or '(nobody)'} is not among the workers"
        shape = Polygon(grid.rings[0], grid.rings[1:])
        if not shape.is_valid:
            yield f"grid {grid.code}: {shapely.is_valid_reason(shape)}"


def _districts(net: Net, org: Org) -> Iterator[DistrictCoverage]:
    people = {worker.person for worker in net.workers}
    members: dict[str, list[int]] = {}
    for index, grid in enumerate(net.grids):
        above = org.ancestors(grid.code) if org.unit(grid.code) else ()
        district = next((code for code in above if org.level(code) is Level.DISTRICT), "")
        members.setdefault(district, []).append(index)
    for code, indexes in sorted(members.items()):
        shapes = [Polygon(net.grids[i].rings[0], net.grids[i].rings[1:]).buffer(0) for i in indexes]
        covered = shapely.union_all(shapes)
        enclosed = shapely.union_all([Polygon(part.exterior) for part in shapely.get_parts(covered)])
        unit = org.unit(code)
        yield DistrictCoverage(
            code=code,
            name_zh=unit.name_zh if unit else "无区",
            name_en=unit.name_en if unit else "(in no district)",
            grids=len(indexes),
            with_owner=sum(net.grids[i].owner in people for i in indexes),
            overlap_percent=_percent(sum(shape.area for shape in shapes) / covered.area - 1),
            hole_percent=_percent(1 - covered.area / enclosed.area),
        )


def _percent(share: float) -> float:
    return 0.0 if abs(share) < NEGLIGIBLE else round(share * 100, 3)
