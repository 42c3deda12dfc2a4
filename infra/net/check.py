"""检查网格 — what is wrong with a net, and how much of each district it covers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import shapely
from shapely import Polygon

from domain.message import Value
from domain.net import CodeScheme, DistrictCoverage, Net, Org, Ring, Unit, UnitKind
from infra.net.coverage import coverage


class NetReport(Value):
    """What a check found."""

    version: str
    synthetic: bool
    units: dict[str, int]
    grids: int
    compounds: int
    districts: tuple[DistrictCoverage, ...]
    faults: tuple[str, ...]


def check(net: Net) -> NetReport:
    """Check a net: codes, parents, polygons, owners, panels and coverage."""
    org = Org(net.units)
    kinds = Counter(unit.level if unit.kind is UnitKind.AREA else unit.kind for unit in net.units)
    return NetReport(
        version=net.version,
        synthetic=net.synthetic,
        units={str(kind): count for kind, count in sorted(kinds.items())},
        grids=len(net.grids),
        compounds=len(net.compounds),
        districts=coverage(net),
        faults=(
            *_unit_faults(net, org),
            *_grid_faults(net, org),
            *_compound_faults(net, org),
            *_outline_faults(net, org),
        ),
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
        yield from _shape_faults(f"grid {grid.code}", grid.rings)


def _compound_faults(net: Net, org: Org) -> Iterator[str]:
    for code, times in Counter(compound.code for compound in net.compounds).items():
        if times > 1:
            yield f"小区重复 · compound {code} is there {times} times"
    for compound in net.compounds:
        if org.unit(compound.parent) is None:
            yield f"上级不存在 · compound {compound.code}: its parent {compound.parent} does not exist"
        if compound.panel is not None and org.unit(compound.panel) is None:
            yield f"小组无单位 · compound {compound.code}: its panel {compound.panel} is no unit"
        yield from _shape_faults(f"compound {compound.code}", compound.rings)


def _outline_faults(net: Net, org: Org) -> Iterator[str]:
    for outline in net.outlines:
        if org.unit(outline.unit) is None:
            yield f"边界无单位 · outline of {outline.unit}: there is no such unit"
        for rings in outline.polygons:
            yield from _shape_faults(f"outline of {outline.unit}", rings)


def _shape_faults(of: str, rings: tuple[Ring, ...]) -> Iterator[str]:
    shape = Polygon(rings[0], rings[1:])
    if not shape.is_valid:
        yield f"图形有误 · {of}: {shapely.is_valid_reason(shape)}"
