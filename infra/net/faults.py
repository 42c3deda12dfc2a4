"""差错 — what can be wrong with a city's own polygons, each fault with its features, its words and its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import cos, radians
from typing import Any

import numpy as np
import shapely
from shapely import Point, Polygon
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from domain.atlas import GAP_METRES, METRES_PER_DEGREE
from domain.crs import Crs
from infra.net.features import Feature, Raw, Text, as_wgs84

SLIVER_METRES = 1.0
SLIVER_SHARE = 1e-4
"""An overlap or a hole of a smaller mean width, or of a smaller share of the smaller neighbour, is counted, not listed."""
OUTSIDE_SHARE = 0.25
"""A feature with more than this share of its area outside of its parent's outline stands in the wrong place."""
FIT_GAIN = 1.03
"""So many times better must another coordinate system fit before it is named."""
FIT_COVERED = 0.5
"""An outline tells something of the coordinate system where the file covers more than this share of it."""
FIT_DEGREES = 3e-4
"""Outlines are simplified so far, about 30 m, before they are compared in other coordinate systems."""
NEIGHBOURS_NAMED = 3
LARGE_M2 = 1e6
"""From here on ground is told in square kilometres."""

_PLACE = re.compile(r"\[(\S+) (\S+)\]")


class FaultKind(StrEnum):
    """What sort of thing is wrong."""

    NO_POLYGON = "no_polygon"
    SELF_CROSSING = "self_crossing"
    NOT_DEGREES = "not_degrees"
    SWAPPED = "swapped"
    WRONG_CRS = "wrong_crs"
    DOUBTFUL_CRS = "doubtful_crs"
    MISSING_LEVEL = "missing_level"
    MISSING_CODE = "missing_code"
    MISSING_NAME = "missing_name"
    DUPLICATE_CODE = "duplicate_code"
    DUPLICATE_NAME = "duplicate_name"
    ORPHAN = "orphan"
    OUTSIDE_PARENT = "outside_parent"
    OVERLAP = "overlap"
    GAP = "gap"
    NO_GRIDS = "no_grids"


TITLES: Mapping[FaultKind, Text] = {
    FaultKind.NO_POLYGON: ("不是面", "no polygon"),
    FaultKind.SELF_CROSSING: ("自相交", "self-crossing"),
    FaultKind.NOT_DEGREES: ("坐标不是经纬度", "not degrees"),
    FaultKind.SWAPPED: ("经纬度颠倒", "longitude and latitude swapped"),
    FaultKind.WRONG_CRS: ("坐标系不对", "wrong coordinate system"),
    FaultKind.DOUBTFUL_CRS: ("坐标系存疑", "doubtful coordinate system"),
    FaultKind.MISSING_LEVEL: ("缺层级", "missing level"),
    FaultKind.MISSING_CODE: ("没有可用的编码", "no usable code"),
    FaultKind.MISSING_NAME: ("缺名称", "missing name"),
    FaultKind.DUPLICATE_CODE: ("编码重复", "duplicate code"),
    FaultKind.DUPLICATE_NAME: ("同级重名", "duplicate name under one parent"),
    FaultKind.ORPHAN: ("无上级", "orphan"),
    FaultKind.OUTSIDE_PARENT: ("超出上级边界", "outside its parent"),
    FaultKind.OVERLAP: ("重叠", "overlap"),
    FaultKind.GAP: ("空隙", "gap"),
    FaultKind.NO_GRIDS: ("没有网格", "no grids"),
}

BLOCKING = frozenset(
    {
        FaultKind.NO_POLYGON,
        FaultKind.SELF_CROSSING,
        FaultKind.NOT_DEGREES,
        FaultKind.SWAPPED,
        FaultKind.WRONG_CRS,
        FaultKind.MISSING_LEVEL,
        FaultKind.MISSING_CODE,
        FaultKind.DUPLICATE_CODE,
        FaultKind.ORPHAN,
    }
)
"""With one of these there is no net: codes, parents or polygons are broken. The others leave one that routes reports."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. ``features`` are numbers in the file, from 1; ``where`` is in WGS-84."""

    kind: FaultKind
    text_zh: str
    text_en: str
    features: tuple[int, ...] = ()
    code: str = ""
    name: str = ""
    where: BaseGeometry | None = None
    area_m2: float | None = None

    @property
    def blocks(self) -> bool:
        """Whether there is no net because of it."""
        return self.kind in BLOCKING

    def as_geojson(self) -> dict[str, Any]:
        """A GeoJSON Feature."""
        title_zh, title_en = TITLES[self.kind]
        properties: dict[str, Any] = {
            "kind": self.kind.value,
            "kind_zh": title_zh,
            "kind_en": title_en,
            "blocks": self.blocks,
            "features": list(self.features),
            "code": self.code,
            "name": self.name,
            "text_zh": self.text_zh,
            "text_en": self.text_en,
        }
        if self.area_m2 is not None:
            properties["area_m2"] = round(self.area_m2, 1)
        geometry = None if self.where is None else mapping(self.where)
        return {"type": "Feature", "properties": properties, "geometry": geometry}


@dataclass(frozen=True, slots=True)
class Plane:
    """Metres around a latitude: good to a few parts in a thousand over a city."""

    lat: float

    def metres(self, geometry: BaseGeometry) -> BaseGeometry:
        """A geometry in degrees, in metres."""
        scale = np.array([METRES_PER_DEGREE * cos(radians(self.lat)), METRES_PER_DEGREE])
        return shapely.transform(geometry, lambda points: points * scale)

    def area(self, geometry: BaseGeometry) -> float:
        """Square metres of a geometry in degrees."""
        return float(self.metres(geometry).area)

    def width(self, geometry: BaseGeometry) -> float:
        """Mean width in metres of a geometry in degrees: twice its area by its perimeter."""
        there = self.metres(geometry)
        return float(2 * there.area / there.length) if there.length else 0.0

    def degrees(self, metres: float) -> float:
        """A distance in degrees of latitude; along a parallel it is shorter on the ground."""
        return metres / METRES_PER_DEGREE


def plane_of(areas: Iterable[BaseGeometry]) -> Plane:
    """The plane in the middle of the areas."""
    _, south, _, north = shapely.total_bounds([area for area in areas if not area.is_empty] or [Point(0, 0)])
    return Plane(float(south + north) / 2)


def ground_text(area_m2: float) -> str:
    """So much ground, as people say it."""
    return f"{area_m2:,.0f} m²" if area_m2 < LARGE_M2 else f"{area_m2 / 1e6:,.2f} km²"


def fault_of(kind: FaultKind, feature: Feature, zh: str, en: str, where: BaseGeometry | None = None) -> Fault:
    """A fault of one feature, which is named in both languages; without ``where`` it lies all over the feature."""
    named = f"要素 {feature.number} {feature.label}: {zh}", f"feature {feature.number} ({feature.label}) {en}"
    place = where if where is not None else (None if feature.shape.is_empty else feature.shape)
    return Fault(kind, *named, (feature.number,), feature.code, feature.name, place)


def crossing(feature: Feature, area: BaseGeometry) -> Fault:
    """自相交 — an outline that is not valid, in WGS-84, with the place where it is not."""
    reason = shapely.is_valid_reason(area)
    found = _PLACE.search(reason)
    where = Point(float(found[1]), float(found[2])) if found else None
    what = reason.split("[")[0].strip()
    place = f" ({where.x:.6f}, {where.y:.6f})" if where is not None else ""
    return fault_of(
        FaultKind.SELF_CROSSING, feature, f"轮廓有误 {what}{place}", f"has a broken outline: {what}{place}", where
    )


def not_degrees(raws: Sequence[Raw], named: str) -> Fault | None:
    """坐标不是经纬度 — projected coordinates, or latitude before longitude. ``named`` is the file's own ``crs`` member."""
    drawn = [raw for raw in raws if raw.geometry is not None]
    bounds = {raw.number: raw.geometry.bounds for raw in drawn if raw.geometry is not None}
    wrong = tuple(number for number, box in bounds.items() if not _in_degrees(*box))
    if not wrong:
        return None
    many = f"{len(wrong)} / {len(raws)}"
    west, south, *_ = bounds[wrong[0]]
    example = f"({west:.6g}, {south:.6g})"
    if all(_in_degrees(south, west, north, east) for west, south, east, north in (bounds[number] for number in wrong)):
        return Fault(
            FaultKind.SWAPPED,
            f"{many} 个要素的坐标是 (纬度, 经度), 如 {example}: 请改为 (经度, 纬度)",
            f"{many} features have latitude before longitude, as in {example}: give longitude first",
            wrong,
        )
    said = f", the file calls them {named}" if named else ""
    return Fault(
        FaultKind.NOT_DEGREES,
        f"{many} 个要素的坐标不是经纬度, 如 {example}{f', 文件称 {named}' if named else ''}: 请先转成 EPSG:4326",
        f"{many} features have projected coordinates, as in {example}{said}: convert the file to EPSG:4326 first",
        wrong,
    )


def _in_degrees(west: float, south: float, east: float, north: float) -> bool:
    return -180 <= west <= east <= 180 and -90 <= south <= north <= 90


def overlaps(features: Sequence[Feature], plane: Plane) -> tuple[list[Fault], int]:
    """重叠 — the pairs that share ground, the largest first, and how many slivers there are besides."""
    areas = np.array([feature.shape for feature in features], dtype=object)
    one, other = shapely.STRtree(areas).query(areas, predicate="intersects")
    one, other = one[one < other], other[one < other]
    shared = shapely.intersection(areas[one], areas[other])
    found, slivers = list[Fault](), 0
    for first, second, ground in zip(one.tolist(), other.tolist(), shared.tolist(), strict=True):
        if ground.area == 0:
            continue
        share = ground.area / min(areas[first].area, areas[second].area)
        if share < SLIVER_SHARE or plane.width(ground) < SLIVER_METRES:
            slivers += 1
        else:
            found.append(_overlap(features[first], features[second], ground, share, plane.area(ground)))
    return sorted(found, key=lambda fault: -(fault.area_m2 or 0)), slivers


def _overlap(one: Feature, other: Feature, ground: BaseGeometry, share: float, size: float) -> Fault:
    both = f"{one.number} {one.label}", f"{other.number} {other.label}"
    how = f"{ground_text(size)}, {100 * share:.2f} %"
    return Fault(
        FaultKind.OVERLAP,
        f"要素 {both[0]} 与 {both[1]} 重叠 {how} (占较小者)",
        f"features {both[0]} and {both[1]} overlap by {how} of the smaller",
        (one.number, other.number),
        f"{one.code} {other.code}".strip(),
        f"{one.label} / {other.label}",
        _areal(ground),
        size,
    )


def gaps(
    features: Sequence[Feature], others: Sequence[BaseGeometry], parents: Sequence[BaseGeometry], plane: Plane
) -> tuple[list[Fault], int]:
    """空隙 — holes that the features enclose, and ground of their parents' outlines that neither they nor ``others`` cover.

    Holes narrower than a sliver are counted only, and so is ground at the rim of a parent that is nowhere farther than 200 m from
    what is covered: a report there goes to the nearest grid.
    """
    areas = [feature.shape for feature in features]
    covered = shapely.union_all([*areas, *others])
    enclosed = shapely.union_all([Polygon(part.exterior) for part in _parts(covered)])
    holes = _parts(shapely.difference(enclosed, covered))
    rim = _parts(shapely.difference(shapely.union_all(parents), enclosed)) if parents else []
    near = shapely.buffer(covered, plane.degrees(GAP_METRES)) if rim else covered
    least = SLIVER_SHARE * min(area.area for area in areas)
    listed = [hole for hole in holes if hole.area >= least and plane.width(hole) >= SLIVER_METRES]
    far = [part for part in rim if not near.contains(part)]
    tree = shapely.STRtree(areas)
    found = [
        _gap(part, [features[i] for i in tree.query(part, "intersects")], plane.area(part)) for part in [*listed, *far]
    ]
    return sorted(found, key=lambda fault: -(fault.area_m2 or 0)), len(holes) - len(listed) + len(rim) - len(far)


def _gap(ground: BaseGeometry, beside: Sequence[Feature], size: float) -> Fault:
    names = "、".join(feature.label for feature in beside[:NEIGHBOURS_NAMED]) or "-"
    more = "…" if len(beside) > NEIGHBOURS_NAMED else ""
    return Fault(
        FaultKind.GAP,
        f"{names}{more} 旁有 {ground_text(size)} 无人负责",
        f"{ground_text(size)} beside {names}{more} belong to nobody",
        tuple(feature.number for feature in beside),
        where=ground,
        area_m2=size,
    )


def outside(feature: Feature, parent: str, outline: BaseGeometry, plane: Plane) -> Fault | None:
    """超出上级边界 — more of the feature lies outside of its parent's outline than a wrong line could explain."""
    beyond = shapely.difference(feature.shape, outline)
    share = beyond.area / feature.shape.area
    if share <= OUTSIDE_SHARE:
        return None
    zh, en = f"{100 * share:.0f} % 在上级 {parent} 之外", f"lies {100 * share:.0f} % outside of its parent {parent}"
    fault = fault_of(FaultKind.OUTSIDE_PARENT, feature, zh, en, _areal(beyond))
    return Fault(
        fault.kind,
        fault.text_zh,
        fault.text_en,
        fault.features,
        fault.code,
        fault.name,
        fault.where,
        plane.area(beyond),
    )


def crs_fault(
    members: Mapping[str, Sequence[BaseGeometry]], outlines: Mapping[str, BaseGeometry], said: Crs | None
) -> Fault | None:
    """坐标系不对 — the features fit the outlines that they belong to markedly better in another coordinate system.

    ``members`` are the geometries of the file, in its coordinates, by the unit whose outline they should fill. Where somebody
    ``said`` a system, that is contested, but kept.
    """
    coarse = {unit: [shapely.simplify(each, FIT_DEGREES).buffer(0) for each in own] for unit, own in members.items()}
    before = said or Crs.WGS84
    judged = {
        unit: own
        for unit, own in coarse.items()
        if shapely.intersection(_union(own, before), outlines[unit]).area > FIT_COVERED * outlines[unit].area
    }
    if not judged:
        return None
    fits = {crs: _fit(judged, outlines, crs) for crs in Crs}
    best = max(fits, key=lambda crs: fits[crs])
    if fits[best] < FIT_GAIN * fits[before]:
        return None
    numbers = f"{100 * fits[best]:.1f} % > {100 * fits[before]:.1f} %"
    keep = (
        ("", "") if said else (f"; 确为 {before} 则注明 --crs {before}", f"; if they are {before} say --crs {before}")
    )
    return Fault(
        FaultKind.DOUBTFUL_CRS if said else FaultKind.WRONG_CRS,
        f"按 {best} 比按 {before} 更吻合上级边界 ({numbers}): 请用 --crs {best}{keep[0]}",
        f"the features fit the outlines above them better as {best} than as {before} ({numbers}): give --crs {best}{keep[1]}",
        where=shapely.union_all([outlines[unit] for unit in judged]),
    )


def _union(geometries: Sequence[BaseGeometry], crs: Crs) -> BaseGeometry:
    return shapely.union_all([as_wgs84(each, crs).buffer(0) for each in geometries])


def _fit(members: Mapping[str, Sequence[BaseGeometry]], outlines: Mapping[str, BaseGeometry], crs: Crs) -> float:
    """Ground in common by ground in all, over every unit."""
    common = whole = 0.0
    for unit, own in members.items():
        there = _union(own, crs)
        common += shapely.intersection(there, outlines[unit]).area
        whole += shapely.union(there, outlines[unit]).area
    return common / whole


def _parts(geometry: BaseGeometry) -> list[Polygon]:
    return [part for part in shapely.get_parts(geometry).tolist() if isinstance(part, Polygon) and part.area > 0]


def _areal(geometry: BaseGeometry) -> BaseGeometry:
    """The polygons of what an intersection gives."""
    return shapely.union_all(_parts(geometry)) if geometry.geom_type == "GeometryCollection" else geometry


def duplicates(groups: Mapping[tuple[str, ...], Sequence[Feature]], kind: FaultKind, what: Text) -> Iterator[Fault]:
    """重复 — one fault for each feature but the first of a group."""
    for key, members in groups.items():
        for feature in members[1:]:
            first = members[0]
            zh = f"{what[0]} {key[-1]} 与要素 {first.number} 相同"
            yield fault_of(kind, feature, zh, f"has the {what[1]} {key[-1]} of feature {first.number} ({first.label})")
