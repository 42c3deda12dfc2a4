"""检查网格 — what is wrong with a net, and how much of each district it covers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import shapely
from shapely import Polygon

from domain.message import Value
from domain.net import CodeScheme, Level, Net, Org, Unit, UnitKind

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
        faults=(*_unit_faults(net, org), *_grid_faults(net, org)),
    )


def _unit_faults(net: Net, org: Org) -> Iterator[str]:
    for code, times in Counter(unit.code for unit in net.units).items():
        if times > 1:
            yield f"单位重复 · unit {code} is there {times} times"
    tops = [unit.code for unit in net.units if unit.parent is None]
    if len(tops) != 1:
        yield f"须有一个市 · {len(tops)} units have no parent, and one city has one top"
    for unit in net.units:
        if unit.parent is None:
            continue
        parent, highest = org.unit(unit.parent), org.unit((unit.code, *org.ancestors(unit.code))[-1])
        if parent is None:
            yield f"上级不存在 · unit {unit.code}: its parent {unit.parent} does not exist"
        elif highest is not None and highest.parent is not None and org.unit(highest.parent) is not None:
            yield f"上级成环 · unit {unit.code}: its parents go round in a circle"
        elif _is_misnamed(unit, parent, net.scheme):
            yield f"编码不符 · unit {unit.code}: its first digits are not those of its parent {parent.code}"


def _is_misnamed(unit: Unit, parent: Unit, scheme: CodeScheme) -> bool:
    """Prefixes serve area levels only; a team, a desk or a panel is called as it likes."""
    areas = unit.kind is UnitKind.AREA and parent.kind is UnitKind.AREA
    return areas and parent.level in scheme.prefixes and scheme.code_at(unit.code, parent.level) != parent.code


def _grid_faults(net: Net, org: Org) -> Iterator[str]:
    for code, times in Counter(grid.code for grid in net.grids).items():
        if times > 1:
            yield f"网格重复 · grid {code} is there {times} times"
    people = {worker.person for worker in net.workers}
    for grid in net.grids:
        if org.unit(grid.code) is None:
            yield f"网格无单位 · grid {grid.code} has no unit of its own"
        if grid.owner not in people:
            yield f"无网格员 · grid {grid.code}: its owner {grid.owner or '(nobody)'} is not among the workers"
        shape = Polygon(grid.rings[0], grid.rings[1:])
        if not shape.is_valid:
            yield f"图形有误 · grid {grid.code}: {shapely.is_valid_reason(shape)}"


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
