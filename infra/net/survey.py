"""核对 — a file's features in their places over a net, and what is wrong with them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import shapely
from shapely.geometry.base import BaseGeometry

from domain.crs import Crs
from domain.net import Net
from infra.net.faults import (
    Fault,
    FaultKind,
    crs_fault,
    duplicates,
    fault_of,
    gaps,
    outside,
    overlaps,
    plane_of,
)
from infra.net.features import LAYERS, Feature, Layer, Text
from infra.net.ground import Ground, Placed, area_of, place

NAMED = 5
"""Examples in a note."""


class Survey:
    """Places the features when it is made. ``drawn`` are the geometries of the file, in its coordinates, by feature number;
    ``numbering`` says that it has no codes, and that ours are in order."""

    def __init__(
        self, base: Net, features: Sequence[Feature], drawn: Mapping[int, BaseGeometry], numbering: bool
    ) -> None:
        self._base, self._drawn = base, drawn
        self.ground = Ground(base, base.scheme)
        areal = [feature for feature in features if not feature.shape.is_empty]
        self.placed, self._orphans, self._uncoded = place(areal, self.ground, numbering)
        self._plane = plane_of(feature.shape for feature in areal)

    @property
    def outlines(self) -> tuple[BaseGeometry, ...]:
        """Of the units above the features, where the file does not bring them itself."""
        loaded = {each.code for each in self.placed}
        parents = dict.fromkeys(each.parent for each in self.placed if each.parent and each.parent not in loaded)
        return tuple(area for code in parents if (area := self._outline(code)) is not None)

    def faults(self, said: Crs | None) -> tuple[list[Fault], int]:
        """What shows when the features stand together, and how many overlaps and gaps are too small to be listed."""
        faults, slivers = [*self._crs(said), *self._identities()], 0
        for layer in LAYERS:
            own = [each for each in self.placed if each.layer is layer]
            if own:
                overlapping, few = overlaps([each.feature for each in own], self._plane)
                uncovered, more = self._gaps(layer, own)
                faults += [*self._outside(own), *overlapping, *uncovered]
                slivers += few + more
        return faults, slivers

    def notes(self) -> list[Text]:
        """How the features were matched with the units of the net below."""
        known, made = sum(each.known for each in self.placed), sum(each.made for each in self.placed)
        all_zh, all_en = f"{len(self.placed):,} 个要素装在 {self._base.name_zh} 之上", f"{len(self.placed):,} features"
        new = len(self.placed) - known
        notes = [
            (
                f"{all_zh}: {known:,} 个对上已有单位, {new:,} 个是新单位",
                f"{all_en} onto {self._base.name_en}: {known:,} are units that it has, {new:,} are new",
            )
        ]
        if made:
            notes.append((f"{made:,} 个没有编码, 由我们编号", f"{made:,} have no code: we made one for each"))
        below = self.ground.base
        moved = [each for each in self.placed if each.known and each.parent != below[each.code].parent]
        renamed = [each for each in self.placed if each.known and each.name_zh != below[each.code].name_zh]
        notes += _listed([each.name_zh for each in moved], "换了上级", "have another parent than before")
        notes += _listed([each.name_zh for each in renamed], "改了名称", "have another name than before")
        unread = [each.feature.parent for each in self.placed if self._is_unread(each)]
        return notes + _listed(
            unread, "所写上级查不到, 改按编码或位置", "name a parent that is unknown: code or place decided"
        )

    def _is_unread(self, placed: Placed) -> bool:
        """Whether the property that names the parent helped nothing."""
        upper = self.ground.above(placed.layer)
        return (
            bool(placed.feature.parent) and upper is not None and not self.ground.stated(placed.feature.parent, upper)
        )

    def _crs(self, said: Crs | None) -> Iterator[Fault]:
        """The districts of the net below are held against the features that they should hold."""
        levels = {code: unit.layer for code, unit in self.ground.base.items()}
        outlines = {o.unit: area_of(o) for o in self._base.outlines if levels.get(o.unit) is Layer.DISTRICT}
        members: dict[str, list[BaseGeometry]] = {}
        top = next((each.layer for each in self.placed if each.layer is not Layer.CITY), None)
        for each in self.placed:
            district = self.ground.ancestor(each.code, Layer.DISTRICT) if each.layer is top else None
            if district in outlines and district is not None:
                members.setdefault(district, []).append(self._drawn[each.feature.number])
        if (fault := crs_fault(members, outlines, said)) is not None:
            yield fault

    def _identities(self) -> Iterator[Fault]:
        """Codes, names and parents."""
        for feature, why in self._uncoded:
            yield fault_of(FaultKind.MISSING_CODE, feature, *why)
        for feature in self._orphans:
            of = f" {feature.parent}" if feature.parent else ""
            yield fault_of(FaultKind.ORPHAN, feature, f"找不到上级单位{of}", f"has no parent that could be found{of}")
        codes: dict[tuple[str, ...], list[Feature]] = {}
        names: dict[tuple[str, ...], list[Feature]] = {}
        for each in self.placed:
            codes.setdefault((each.code,), []).append(each.feature)
            if each.feature.name:
                names.setdefault((each.layer, each.parent or "", each.feature.name), []).append(each.feature)
            elif not each.known and each.layer not in (Layer.GRID, Layer.COMPOUND):
                yield fault_of(FaultKind.MISSING_NAME, each.feature, "没有名称", "has no name")
        yield from duplicates(codes, FaultKind.DUPLICATE_CODE, ("编码", "code"))
        yield from duplicates(names, FaultKind.DUPLICATE_NAME, ("上级和名称", "parent and the name"))

    def _gaps(self, layer: Layer, own: Sequence[Placed]) -> tuple[list[Fault], int]:
        """Ground of the parents that neither the features cover nor the units beside them that are there already."""
        if layer in (Layer.CITY, Layer.COMPOUND):
            return [], 0
        loaded, parents = {each.code for each in own}, {each.parent for each in own if each.parent}
        beside = [
            unit.code for parent in parents for unit in self.ground.children(parent, layer) if unit.code not in loaded
        ]
        there = [area for code in beside if (area := self.ground.outline(code)) is not None]
        above = [area for code in sorted(parents) if (area := self._outline(code)) is not None]
        return gaps([each.feature for each in own], there, above, self._plane)

    def _outside(self, own: Sequence[Placed]) -> Iterator[Fault]:
        for each in own:
            outline, above = self._outline(each.parent), self.ground.unit(each.parent)
            if outline is None or above is None:
                continue
            shapely.prepare(outline)
            if not outline.covers(each.feature.shape):
                fault = outside(each.feature, above.name_zh, outline, self._plane)
                if fault is not None:
                    yield fault

    def _outline(self, code: str | None) -> BaseGeometry | None:
        """Of a unit; what the grids of a whole city happen to cover is no outline."""
        if code is None or (code == self.ground.top and not self.ground.has_outline(code)):
            return None
        return self.ground.outline(code)


def _listed(names: Sequence[str], zh: str, en: str) -> list[Text]:
    if not names:
        return []
    counted = Counter(names)
    some = "、".join(list(counted)[:NAMED]) + ("…" if len(counted) > NAMED else "")
    return [(f"{len(names):,} 个{zh}: {some}", f"{len(names):,} {en}: {some}")]
