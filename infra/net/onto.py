"""装载 — a city's own units put onto a net: what the file claims is the file's, everything else stays as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from domain.message import Role
from domain.net import CodeScheme, Compound, CompoundKind, Grid, Level, Net, Org, Outline, Unit, UnitKind, Worker
from infra.net.compounds import MARK_EN, MARK_ZH
from infra.net.features import Layer, LoadError, Text
from infra.net.ground import Candidate, Ground, Placed, area_of
from infra.net.synthetic import COMMUNITIES_PER_STREET, GRIDS_PER_COMMUNITY, SPARSE, VALID_FROM, Named, NetBuilder
from infra.net.tessellate import MIN_GRID_SHARE, Progress, cut, rings_of


@dataclass(frozen=True, slots=True)
class Loading:
    """What is put onto a net."""

    placed: Sequence[Placed]
    """From the top down; grids and compounds in one piece each."""
    ground: Ground
    cell_metres: float | None
    city: str

    @property
    def areas(self) -> list[Placed]:
        """Units above the grids."""
        return [each for each in self.placed if each.layer not in (Layer.GRID, Layer.COMPOUND)]

    @property
    def grids(self) -> list[Placed]:
        """Grids of the file's own."""
        return [each for each in self.placed if each.layer is Layer.GRID]

    @property
    def leaves(self) -> list[Placed]:
        """Areas of which the file does not say how they are divided, in order of code."""
        parents = {each.parent for each in self.placed if each.layer is not Layer.COMPOUND}
        return sorted((each for each in self.areas if each.code not in parents), key=lambda each: each.code)


@dataclass(frozen=True, slots=True)
class Made:
    """The net, what was done to the one below, and the units of the file on whose ground there is no grid."""

    net: Net
    bare: tuple[Placed, ...]
    notes: tuple[Text, ...]


def empty_city(code: str, name_zh: str, name_en: str) -> Net:
    """A net of a city and its dispatch desk, for a file that brings everything else."""
    builder = NetBuilder()
    builder.area(code, Level.CITY, None, name_zh, name_en)
    builder.desk(code)
    return builder.net(name_zh, name_en)


def onto(base: Net, loading: Loading, progress: Progress | None = None) -> Made:
    """``base`` with the features of a file. Raises `LoadError`, and `BoundaryError` where the size of the cells cannot be."""
    builder, notes = _kept(base, loading)
    is_synthetic = base.synthetic and bool(builder.grids)
    _add_areas(builder, loading.areas)
    for grid in loading.grids:
        _add_grid(builder, grid)
    builder.compounds += [_compound(each) for each in loading.placed if each.layer is Layer.COMPOUND]
    bare = leaves = loading.leaves
    if loading.cell_metres is not None and leaves:
        bare = _cut(builder, leaves, loading.ground, loading.cell_metres, progress)
        is_synthetic = is_synthetic or len(bare) < len(leaves)
    for area in loading.areas:
        builder.outline(area.code, area.feature.shape)
    return Made(_net(builder, base, loading.city, is_synthetic), tuple(bare), notes)


def _kept(base: Net, loading: Loading) -> tuple[NetBuilder, tuple[Text, ...]]:
    """What stays of the net below: units above the grids, and what lies where the file claims no ground."""
    org, leaves = Org(base.units), loading.leaves
    claimed = shapely.union_all([each.feature.shape for each in (*leaves, *loading.grids)])
    replaced = {each.code for each in leaves} | {each.parent for each in loading.grids}
    loaded = {each.code for each in loading.placed}

    def is_gone(code: str) -> bool:
        return not replaced.isdisjoint((code, *org.ancestors(code)))

    stay = [grid for grid in base.grids if grid.code not in loaded and not is_gone(grid.code)]
    grids, cropped = _clipped(stay, claimed)
    compounds = [each for each in base.compounds if each.code not in loaded and not is_gone(each.parent)]
    panels = {compound.panel for compound in compounds}
    doomed = {grid.code for grid in base.grids} - {grid.code for grid in grids}
    doomed |= {compound.panel for compound in base.compounds if compound.panel and compound.panel not in panels}
    above = {code for each in loading.placed for code in loading.ground.upwards(each.code)}
    builder = NetBuilder(
        _rates(base),
        units=[unit for unit in base.units if unit.code not in doomed],
        grids=grids,
        compounds=compounds,
        workers=[worker for worker in base.workers if not doomed.issuperset(worker.units)],
        outlines=[outline for outline in base.outlines if outline.unit in above],
    )
    for outline in base.outlines:
        if outline.unit not in above and not is_gone(outline.unit):
            builder.outline(outline.unit, shapely.difference(area_of(outline), claimed))
    lost, same = len(base.grids) - len(grids), len(grids) - cropped
    zh = f"原有网格: {lost:,} 个让位, {cropped:,} 个裁小, {same:,} 个不变"
    en = f"grids that were there: {lost:,} gave way, {cropped:,} were cut back, {same:,} stay as they were"
    return builder, ((zh, en),) if base.grids else ()


def _clipped(grids: Sequence[Grid], claimed: BaseGeometry) -> tuple[list[Grid], int]:
    """The grids without the ground that is claimed, each in its largest piece, and how many were cut back; one of which hardly
    anything is left is left out."""
    shapes = np.array([Polygon(grid.rings[0], grid.rings[1:]) for grid in grids], dtype=object)
    shapely.prepare(claimed)
    touched = shapely.intersects(claimed, shapes)
    rest = shapely.set_precision(shapely.difference(shapes, claimed), 1e-6)
    kept, cropped = list[Grid](), 0
    for grid, shape, is_touched, left in zip(grids, shapes.tolist(), touched.tolist(), rest.tolist(), strict=True):
        largest = max(shapely.get_parts(left).tolist(), key=lambda part: part.area, default=Polygon())
        if not is_touched or largest.area > (1 - 1e-6) * shape.area:
            kept.append(grid)
        elif largest.area > MIN_GRID_SHARE * shape.area:
            kept.append(grid.model_copy(update={"rings": rings_of(largest)}))
            cropped += 1
    return kept, cropped


def _rates(base: Net) -> Mapping[CompoundKind, float]:
    """As many compounds a community as the net below has."""
    communities = sum(unit.level is Level.COMMUNITY and unit.kind is UnitKind.AREA for unit in base.units)
    kinds = Counter(compound.kind for compound in base.compounds)
    return {kind: kinds[kind] / communities for kind in CompoundKind} if kinds and communities else SPARSE


def _add_areas(builder: NetBuilder, areas: Sequence[Placed]) -> None:
    """Units above the grids with their people; of a known one the name and the parent as the file has them."""
    index = {unit.code: number for number, unit in enumerate(builder.units)}
    for area in areas:
        named = {"name_zh": area.name_zh, "name_en": area.name_en, "parent": area.parent}
        if area.known:
            builder.units[index[area.code]] = builder.units[index[area.code]].model_copy(update=named)
            continue
        builder.area(area.code, Level(area.layer), area.parent, area.name_zh, area.name_en)
        if area.layer is Layer.STREET:
            builder.team(area.code, area.name_zh, area.name_en)


def _add_grid(builder: NetBuilder, placed: Placed) -> None:
    """A grid of the file's own; who answers for it is ours to name."""
    code, owner = placed.code, f"w-{placed.code}"
    named = {"name_zh": placed.name_zh, "name_en": placed.name_en}
    builder.units.append(Unit(code=code, level=Level.GRID, parent=placed.parent, **named))
    rings = rings_of(shapely.get_parts(placed.feature.shape)[0])
    builder.grids.append(Grid(code=code, rings=rings, owner=owner, version="1", valid_from=VALID_FROM))
    called = {"name_zh": f"网格员{MARK_ZH}", "name_en": f"Grid worker {MARK_EN}"}
    builder.workers.append(Worker(person=owner, roles=(Role.GRID_WORKER,), units=(code,), **called))


def _compound(placed: Placed) -> Compound:
    is_village = placed.name_zh.endswith(("村", "城中村")) or "village" in placed.name_en.casefold()
    return Compound(
        code=placed.code,
        kind=CompoundKind.URBAN_VILLAGE if is_village else CompoundKind.ESTATE,
        name_zh=placed.name_zh,
        name_en=placed.name_en,
        parent=placed.parent or "",
        rings=rings_of(shapely.get_parts(placed.feature.shape)[0]),
    )


def _cut(
    builder: NetBuilder, leaves: Sequence[Placed], ground: Ground, cell_metres: float, progress: Progress | None
) -> list[Placed]:
    """Synthetic grids on the leaves' ground; where two overlap the lower code has it. Gives the ones that got none."""
    pieces = cut([leaf.feature.shape for leaf in leaves], cell_metres, progress)
    for leaf, own in zip(leaves, pieces, strict=True):
        if not own:
            continue
        match leaf.layer:
            case Layer.CITY:
                raise LoadError("只有市界 · nothing but the city's own outline: cut it with `beeline net tessellate`")
            case Layer.COMMUNITY:
                builder.community(leaf.code, leaf.name_zh, leaf.name_en, own)
            case _:
                builder.divided(own, _communities(builder, leaf, len(own), ground))
    return [leaf for leaf, own in zip(leaves, pieces, strict=True) if not own]


def _communities(builder: NetBuilder, leaf: Placed, grids: int, ground: Ground) -> dict[str, list[Named]]:
    """The communities of a street, or of each street of a district: those that there are, or as many as the grids call for."""
    streets: list[Named] = [leaf]
    if leaf.layer is Layer.DISTRICT:
        count = -(-grids // (GRIDS_PER_COMMUNITY * COMMUNITIES_PER_STREET))
        streets = [*ground.children(leaf.code, Layer.STREET)] or _made_up(builder, leaf, Layer.STREET, count, ground)
    count = -(-grids // (GRIDS_PER_COMMUNITY * len(streets)))
    return {
        street.code: [*ground.children(street.code, Layer.COMMUNITY)]
        or _made_up(builder, street, Layer.COMMUNITY, count, ground)
        for street in streets
    }


def _made_up(builder: NetBuilder, above: Named, layer: Layer, count: int, ground: Ground) -> list[Named]:
    """So many streets or communities that nobody named, marked synthetic."""
    made, kind = list[Named](), "街道" if layer is Layer.STREET else "社区"
    zh, en = above.name_zh.removesuffix(MARK_ZH), above.name_en.removesuffix(f" {MARK_EN}")
    for number in range(1, count + 1):
        named = Named(ground.made_code(layer, above.code), f"{zh}第{number}{kind}", f"{en} {layer} {number}")
        builder.area(named.code, Level(layer), above.code, f"{named.name_zh}{MARK_ZH}", f"{named.name_en} {MARK_EN}")
        if layer is Layer.STREET:
            builder.team(named.code, named.name_zh, named.name_en)
        ground.add(Candidate(named.code, named.name_zh, named.name_en, layer, above.code), Polygon())
        made.append(named)
    return made


def _net(builder: NetBuilder, base: Net, city: str, is_synthetic: bool) -> Net:
    zh = city or base.name_zh.removesuffix(MARK_ZH)
    en = city or base.name_en.removesuffix(f" {MARK_EN}")
    units = tuple(
        unit.model_copy(update={"name_zh": zh, "name_en": en}) if city and unit.parent is None else unit
        for unit in builder.units
    )
    outlines: dict[str, Outline] = {outline.unit: outline for outline in builder.outlines}
    return Net(
        synthetic=is_synthetic,
        name_zh=f"{zh}{MARK_ZH}" if is_synthetic else zh,
        name_en=f"{en} {MARK_EN}" if is_synthetic else en,
        scheme=base.scheme if _conform(units, base.scheme) else CodeScheme(prefixes={}),
        units=units,
        grids=tuple(builder.grids),
        compounds=tuple(builder.compounds),
        workers=tuple(builder.workers),
        outlines=tuple(outlines.values()),
    )


def _conform(units: Sequence[Unit], scheme: CodeScheme) -> bool:
    """Whether the first digits of every area's code are those of its parent; else codes are opaque."""
    areas = {unit.code: unit for unit in units if unit.kind is UnitKind.AREA}
    return all(
        scheme.code_at(unit.code, parent.level) == parent.code
        for unit in areas.values()
        if (parent := areas.get(unit.parent or "")) is not None and parent.level in scheme.prefixes
    )
