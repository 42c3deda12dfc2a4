"""归属 — which unit of a net a feature is, and which stands above it: by code, by name, by place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count

import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from domain.net import CodeScheme, Level, Net, Org, Outline, UnitKind
from infra.net.features import LAYERS, Feature, Layer, Text, bare
from infra.net.synthetic import CITY, Named

MADE_FROM = 9
"""Made codes begin with it, so that nobody takes them for official ones; grids count from 1."""

LONGEST_CODE = 24
"""Characters of a code that a file may bring: a unit's has 40 at most, and those of what stands below begin with it."""


@dataclass(frozen=True, slots=True)
class Placed(Named):
    """A feature with its place in the tree."""

    feature: Feature
    layer: Layer
    parent: str | None
    """None at the top."""
    known: bool
    """Whether the net that it is loaded onto has the unit already."""
    made: bool
    """Whether the code is ours."""


@dataclass(frozen=True, slots=True)
class Candidate(Named):
    """A unit as far as placing needs it."""

    layer: Layer
    parent: str | None


class Ground:
    """The units that there are: at first those of the net below, then also the features, as they are placed from the top down."""

    def __init__(self, base: Net | None, scheme: CodeScheme) -> None:
        self.scheme = scheme
        areas = [unit for unit in base.units if unit.kind is UnitKind.AREA] if base else []
        self.base = {u.code: Candidate(u.code, u.name_zh, u.name_en, Layer(u.level), u.parent) for u in areas}
        self.top: str | None = None
        """The city."""
        self._net = base
        self._units: dict[str, Candidate] = {}
        self._layers: dict[Layer, list[str]] = {}
        self._names: dict[tuple[Layer, str], list[str]] = {}
        self._outlines = {outline.unit: area_of(outline) for outline in base.outlines} if base else {}
        self._trees: dict[Layer, tuple[list[str], shapely.STRtree]] = {}
        self._numbers: dict[tuple[Layer, str], Iterator[str]] = {}
        for unit in self.base.values():
            self._add(unit)

    def add(self, unit: Candidate, area: BaseGeometry) -> None:
        """From now on there is this unit, with this outline."""
        self._add(unit)
        if not area.is_empty:
            self._outlines[unit.code] = area
            self._trees.pop(unit.layer, None)

    def _add(self, unit: Candidate) -> None:
        if unit.code not in self._units:
            self._layers.setdefault(unit.layer, []).append(unit.code)
            for name in {bare(unit.name_zh, unit.layer), bare(unit.name_en, unit.layer)}:
                self._names.setdefault((unit.layer, name), []).append(unit.code)
        self._units[unit.code] = unit
        self.top = unit.code if unit.parent is None else self.top

    def unit(self, code: str | None) -> Candidate | None:
        """The unit of that code."""
        return self._units.get(code) if code else None

    def children(self, code: str, layer: Layer) -> list[Candidate]:
        """The units of a layer directly under a unit, in order of code."""
        there = (self._units[each] for each in self._layers.get(layer, ()))
        return sorted((unit for unit in there if unit.parent == code), key=lambda unit: unit.code)

    def above(self, layer: Layer) -> Layer | None:
        """The nearest layer above that has any units."""
        upper = LAYERS[: LAYERS.index(Layer.GRID if layer is Layer.COMPOUND else layer)]
        return next((each for each in reversed(upper) if each in self._layers), None)

    def padded(self, code: str, layer: Layer) -> str:
        """A code as the scheme writes it: 440303001 and 440303001000 are the same street."""
        digits = self.scheme.prefixes.get(Level(layer)) if layer is not Layer.COMPOUND else None
        return code.ljust(self.scheme.padded_to, "0") if code.isdigit() and len(code) == digits else code

    def known(self, code: str, layer: Layer) -> str | None:
        """The unit of the net below that has this code at this layer."""
        unit = self.base.get(self.padded(code, layer))
        return unit.code if unit is not None and unit.layer is layer else None

    def named(self, name: str, layer: Layer) -> list[str]:
        """The units at a layer that are called so, with or without its suffix."""
        return self._names.get((layer, bare(name, layer)), [])

    def stated(self, text: str, upper: Layer) -> str | None:
        """The unit at ``upper`` or above it that a property names by code or by name; None where that is unclear."""
        for layer in reversed(LAYERS[: LAYERS.index(upper) + 1]):
            code = self.padded(text, layer)
            if (unit := self._units.get(code)) is not None and unit.layer is layer:
                return code
            if len(found := self.named(text, layer)) == 1:
                return found[0]
        return None

    def by_prefix(self, code: str, upper: Layer) -> str | None:
        """The unit whose digits ``code`` begins with."""
        level = Level(upper)
        if not code.isdigit() or len(code) < self.scheme.prefixes.get(level, len(code) + 1):
            return None
        unit = self._units.get(self.scheme.code_at(code, level))
        return unit.code if unit is not None and unit.layer is upper else None

    def by_place(self, area: BaseGeometry, upper: Layer, within: str | None) -> str | None:
        """The unit at ``upper`` (under ``within``) that holds most of the area; the city holds everything."""
        if upper is Layer.CITY:
            return self.top
        codes, tree = self._tree(upper)
        near = [codes[index] for index in sorted(tree.query(area, predicate="intersects").tolist())]
        there = {code: self._outlines[code] for code in near if within in (None, *self.upwards(code))}
        held = {code: shapely.intersection(area, outline).area for code, outline in there.items()}
        best = max(held, key=lambda code: held[code], default=None)
        return best if best is not None and held[best] > 0 else None

    def made_code(self, layer: Layer, parent: str | None) -> str:
        """A code that no unit has: the digits of the parent and so many more, where the scheme says how many."""
        if parent is None:
            return CITY.ljust(self.scheme.padded_to, "0")
        numbers = self._numbers.setdefault((layer, parent), self._codes(layer, parent))
        return next(code for code in numbers if code not in self._units)

    def _codes(self, layer: Layer, parent: str) -> Iterator[str]:
        sizes = {Layer(level): size for level, size in self.scheme.prefixes.items()}
        whole, own = sizes.get(layer), sizes.get(self._units[parent].layer)
        if whole is not None and own is not None and parent.isdigit():
            width = whole - own
            first = 1 if layer is Layer.GRID else MADE_FROM * 10 ** (width - 1) + 1
            for number in chain(range(first, 10**width), range(1, first)):
                yield f"{parent[:own]}{number:0{width}d}".ljust(self.scheme.padded_to, "0")
        yield from (f"{parent}-{number}" for number in count(1))

    def _tree(self, layer: Layer) -> tuple[list[str], shapely.STRtree]:
        if layer not in self._trees:
            there = {code: area for code in self._layers[layer] if (area := self.outline(code)) is not None}
            self._outlines |= there
            self._trees[layer] = list(there), shapely.STRtree(list(there.values()))
        return self._trees[layer]

    def outline(self, code: str) -> BaseGeometry | None:
        """The area of a unit: its outline, or else what its grids cover; None where it has none."""
        return self._outlines.get(code) or self._covered.get(code)

    def has_outline(self, code: str) -> bool:
        """Whether somebody gave its outline, so that it need not be put together from grids."""
        return code in self._outlines

    def upwards(self, code: str | None) -> Iterator[str]:
        """The unit itself and every one above it."""
        while (unit := self.unit(code)) is not None:
            yield unit.code
            code = unit.parent

    def ancestor(self, code: str | None, layer: Layer) -> str | None:
        """The unit itself or above it at a layer."""
        return next((each for each in self.upwards(code) if self._units[each].layer is layer), None)

    @cached_property
    def _covered(self) -> dict[str, BaseGeometry]:
        """What the grids below cover, for the units of a net that has no outlines."""
        if self._net is None:
            return {}
        org, pieces = Org(self._net.units), dict[str, list[Polygon]]()
        for grid in self._net.grids:
            for code in org.ancestors(grid.code) if org.unit(grid.code) else ():
                if code not in self._outlines:
                    pieces.setdefault(code, []).append(Polygon(grid.rings[0], grid.rings[1:]))
        return {code: shapely.union_all(own) for code, own in pieces.items()}


def place(
    features: Sequence[Feature], ground: Ground, numbering: bool
) -> tuple[list[Placed], list[Feature], list[tuple[Feature, Text]]]:
    """Every feature that finds its place, from the top down; then the orphans; then those with no code that can be used, and why.

    ``numbering``: whether the file has no codes, so that ours are in order.
    """
    placed, orphans, uncoded = list[Placed](), list[Feature](), list[tuple[Feature, Text]]()
    ordered = sorted((f for f in features if f.layer is not None), key=lambda f: LAYERS.index(f.layer or Layer.CITY))
    for feature in ordered:
        layer = feature.layer or Layer.CITY
        own, parent = _own_and_parent(feature, layer, ground)
        if parent is None and layer is not Layer.CITY:
            orphans.append(feature)
        elif own is None and (why := _unusable(feature, layer, ground, numbering)) is not None:
            uncoded.append((feature, why))
        else:
            found = _placed(feature, layer, own, parent, ground)
            ground.add(Candidate(found.code, found.name_zh, found.name_en, layer, parent), feature.shape)
            placed.append(found)
    return placed, orphans, uncoded


def _unusable(feature: Feature, layer: Layer, ground: Ground, numbering: bool) -> Text | None:
    """What is wrong with the code of a feature that is a new unit."""
    if not feature.code:
        return None if numbering else ("没有编码", "has no code")
    if len(feature.code) > LONGEST_CODE:
        return f"编码超过 {LONGEST_CODE} 个字符", f"has a code of more than {LONGEST_CODE} characters"
    other = ground.unit(ground.padded(feature.code, layer))
    if other is None or other.layer is layer:
        return None
    return f"编码 {other.code} 已属 {other.name_zh}", f"has the code {other.code} of the {other.layer} {other.name_en}"


def _own_and_parent(feature: Feature, layer: Layer, ground: Ground) -> tuple[str | None, str | None]:
    """The known unit that a feature is, and its parent: by property, by code, as the net below has it, by place."""
    if layer is Layer.CITY:
        return ground.top, None
    upper = ground.above(layer)
    if upper is None:
        return None, None
    own = ground.known(feature.code, layer)
    within = ground.stated(feature.parent, upper) if feature.parent else None
    stated = ground.unit(within)
    parent = within if stated is not None and stated.layer is upper else None
    parent = parent or ground.by_prefix(feature.code, upper)
    if own is None:
        own = _by_name(feature, layer, parent, upper, within, ground)
    if parent is None and own is not None:
        parent = ground.base[own].parent
    return own, parent or ground.by_place(feature.shape, upper, within)


def _by_name(
    feature: Feature, layer: Layer, parent: str | None, upper: Layer, within: str | None, ground: Ground
) -> str | None:
    same = [code for code in ground.named(feature.name, layer) if code in ground.base] if feature.name else []
    if parent is None and len(same) > 1:
        parent = ground.by_place(feature.shape, upper, within)
    if parent is not None:
        same = [code for code in same if ground.base[code].parent == parent]
    return same[0] if len(same) == 1 else None


def _placed(feature: Feature, layer: Layer, own: str | None, parent: str | None, ground: Ground) -> Placed:
    below = ground.base.get(own or "")
    code = own or ground.padded(feature.code, layer) or ground.made_code(layer, parent)
    above = ground.unit(parent)
    nameless = f"{above.name_zh if above else ''}{layer} {code}"
    same = below is not None and bare(below.name_zh, layer) == bare(feature.name, layer)
    zh = below.name_zh if below is not None and (same or not feature.name) else feature.name or nameless
    en = feature.name_en or (below.name_en if below is not None and (same or not feature.name) else "")
    en = en or (zh if zh.isascii() else f"{layer.value.capitalize()} {code}")
    known, made = own is not None, own is None and not feature.code
    return Placed(code, zh, en, feature, layer, parent, known, made)


def area_of(outline: Outline) -> BaseGeometry:
    """An outline as a geometry."""
    return shapely.union_all([Polygon(rings[0], rings[1:]) for rings in outline.polygons])


def splits(placed: Iterable[Placed]) -> list[Placed]:
    """Grids and compounds are one polygon each: a further part becomes one of its own, numbered from 2."""
    whole = list[Placed]()
    for each in placed:
        parts = shapely.get_parts(each.feature.shape).tolist()
        if each.layer not in (Layer.GRID, Layer.COMPOUND) or len(parts) < 2:
            whole.append(each)
            continue
        largest, *others = sorted(parts, key=lambda part: -part.area)
        whole.append(replace(each, feature=replace(each.feature, shape=largest)))
        for number, part in enumerate(others, start=2):
            whole.append(
                replace(
                    each,
                    feature=replace(each.feature, shape=part),
                    code=f"{each.code}-{number}",
                    name_zh=f"{each.name_zh} ({number})",
                    name_en=f"{each.name_en} ({number})",
                )
            )
    return whole
