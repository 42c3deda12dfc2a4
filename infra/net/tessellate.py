"""合成网格 — cut any boundary into square grids that cover it without gaps or overlaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, cos, radians

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from domain.atlas import METRES_PER_DEGREE
from domain.net import Ring

MIN_GRID_SHARE = 0.1
"""A piece smaller than this share of a whole cell joins a neighbour."""
MAX_CELLS = 200_000
MAX_SQUARES = 10 * MAX_CELLS
"""Squares in the bounds of all outlines, most of them outside in a long thin one: about 1 GB of memory."""
DECIMALS = 6
HILBERT_ORDER = 10
"""The curve that orders grids runs over 1024 × 1024 squares."""

Progress = Callable[[int, int], None]
"""Told (done, of all) as the work goes on."""


class BoundaryError(ValueError):
    """The boundary cannot be cut; the message says which feature, what is wrong and what to do."""


def polygons_of(document: object) -> list[tuple[dict[str, object], BaseGeometry]]:
    """(properties, polygon) of each feature of a GeoJSON document in WGS-84. Raises `BoundaryError`."""
    features = document.get("features") if isinstance(document, dict) else None
    if isinstance(document, dict) and document.get("type") == "Feature":
        features = [document]
    elif isinstance(document, dict) and document.get("type") in ("Polygon", "MultiPolygon"):
        features = [{"properties": {}, "geometry": document}]
    if not isinstance(features, list) or not features:
        raise BoundaryError(
            "不是 GeoJSON · not GeoJSON with at least one feature: give a FeatureCollection, a Feature or a (Multi)Polygon"
        )
    return [_polygon(number, feature) for number, feature in enumerate(features, start=1)]


def _polygon(number: int, feature: object) -> tuple[dict[str, object], BaseGeometry]:
    properties = (feature.get("properties") or {}) if isinstance(feature, dict) else None
    if not isinstance(feature, dict) or not isinstance(properties, dict):
        raise BoundaryError(f"要素有误 · feature {number}: is not an object with properties and a geometry")
    name = f"feature {number}" + (f" ({label})" if (label := name_of(properties)) else "")
    try:
        with np.errstate(invalid="ignore"):  # what is no number is refused below, with its place
            made = shape(feature["geometry"])
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, shapely.errors.ShapelyError) as error:
        raise BoundaryError(f"几何无法读取 · {name}: its geometry cannot be read ({error})") from error
    if made.geom_type not in ("Polygon", "MultiPolygon") or made.is_empty:
        kind = f"an empty {made.geom_type}" if made.is_empty else f"a {made.geom_type}"
        raise BoundaryError(f"不是面 · {name}: is {kind}, and only a polygon bounds an area")
    west, south, east, north = made.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise BoundaryError(
            f"坐标不是经纬度 · {name}: coordinates are not degrees of longitude and latitude; convert it to WGS-84"
        )
    if not made.is_valid:
        raise BoundaryError(f"轮廓有误 · {name}: {shapely.is_valid_reason(made)}; mend the outline first")
    return properties, made


def name_of(properties: dict[str, object]) -> str:
    """What a feature calls itself."""
    found = (properties.get(key) for key in ("name_zh", "name", "NAME", "Name", "name_en"))
    return next((str(value) for value in found if value), "")


def cut(areas: list[BaseGeometry], cell_metres: float, progress: Progress | None = None) -> list[list[Polygon]]:
    """The grids of each area, ordered along a curve so that neighbours in the list are neighbours on the ground.

    All areas share one lattice of squares ``cell_metres`` wide. Where areas overlap, the first one has the ground.
    Raises `BoundaryError` where the size gives no grid, or too many.
    """
    west, south, east, north = shapely.total_bounds(areas)
    step = _step(areas, cell_metres, (south + north) / 2)
    result = []
    for number, own in enumerate(apart(areas), start=1):
        parts = [part for part in shapely.get_parts(own) if part.geom_type == "Polygon" and not part.is_empty]
        pieces = [piece for part in parts for piece in _pieces(part, (west, south), step)]
        result.append(_in_order(_merged(pieces, MIN_GRID_SHARE * step[0] * step[1]), (west, south, east, north)))
        if progress is not None:
            progress(number, len(areas))
    return result


def apart(areas: Sequence[BaseGeometry]) -> list[BaseGeometry]:
    """Each area without the ground that an earlier one has."""
    taken: BaseGeometry = Polygon()
    own = []
    for area in areas:
        own.append(area.difference(taken))
        taken = shapely.union_all([taken, area])
    return own


def _step(areas: list[BaseGeometry], cell_metres: float, lat: float) -> tuple[float, float]:
    """The width and height of a square in degrees. Raises `BoundaryError` where there would be none, or too many."""
    step_lat = cell_metres / METRES_PER_DEGREE
    step_lon = step_lat / max(cos(radians(lat)), 0.01)
    whole = sum(area.area for area in areas) / (step_lat * step_lon)
    west, south, east, north = shapely.bounds(shapely.get_parts(areas)).T
    squares = float((((east - west) / step_lon + 1) * ((north - south) / step_lat + 1)).sum())
    excess = max(whole / MAX_CELLS, squares / MAX_SQUARES)
    if excess > 1:
        raise BoundaryError(
            f"网格过小 · cells of {cell_metres:g} m give about {whole:,.0f} grids, of {squares:,.0f} squares to look at: "
            f"try --cell-metres {ceil(cell_metres * excess**0.5)} or more"
        )
    if whole < 1:
        raise BoundaryError(
            f"网格过大 · a cell of {cell_metres:g} m is larger than the area: try a smaller --cell-metres"
        )
    return step_lon, step_lat


def _pieces(area: BaseGeometry, origin: tuple[float, float], step: tuple[float, float]) -> list[Polygon]:
    """The parts of ``area`` in each square of the lattice."""
    west, south, east, north = area.bounds
    left = np.arange(int((west - origin[0]) / step[0]), int((east - origin[0]) / step[0]) + 1)
    lower = np.arange(int((south - origin[1]) / step[1]), int((north - origin[1]) / step[1]) + 1)
    x, y = (grid.ravel() for grid in np.meshgrid(left, lower))
    edges = (
        origin[0] + x * step[0],
        origin[1] + y * step[1],
        origin[0] + (x + 1) * step[0],
        origin[1] + (y + 1) * step[1],
    )
    boxes = shapely.box(*(np.round(edge, DECIMALS) for edge in edges))
    shapely.prepare(area)
    boxes = boxes[shapely.intersects(area, boxes)]
    inside = shapely.contains_properly(area, boxes)
    clipped = shapely.set_precision(shapely.intersection(boxes[~inside], area), 10**-DECIMALS)
    parts = shapely.get_parts(clipped)
    return [*boxes[inside], *(part for part in parts if part.geom_type == "Polygon" and part.area > 0)]


def _merged(pieces: list[Polygon], least: float) -> list[Polygon]:
    """Join each sliver to the neighbour with which it shares the longest edge; one without neighbours stays."""
    pieces = list(pieces)
    tree = shapely.STRtree(pieces)
    owner = list(range(len(pieces)))
    for index in sorted((i for i, piece in enumerate(pieces) if piece.area < least), key=lambda i: pieces[i].area):
        near = [other for other in tree.query(pieces[index], predicate="intersects") if owner[other] != index]
        shared = [
            (shapely.intersection(pieces[index], pieces[root]).length, -root)
            for root in {owner[other] for other in near}
            if root != index
        ]
        for length, negated in sorted(shared, reverse=True):
            joined = shapely.union_all([pieces[index], pieces[-negated]])
            if length > 0 and joined.geom_type == "Polygon":
                pieces[-negated] = joined
                owner = [-negated if root == index else root for root in owner]
                break
    return [pieces[index] for index in sorted(set(owner))]


def _in_order(pieces: list[Polygon], bounds: tuple[float, float, float, float]) -> list[Polygon]:
    west, south, east, north = bounds
    side = (1 << HILBERT_ORDER) - 1
    width = max(east - west, north - south)

    def along(piece: Polygon) -> tuple[int, float, float]:
        x, y = piece.centroid.x, piece.centroid.y
        return hilbert(int((x - west) / width * side), int((y - south) / width * side)), x, y

    return sorted(pieces, key=along)


def hilbert(x: int, y: int) -> int:
    """Where (x, y) lies on the Hilbert curve: near on the curve is near on the ground."""
    place, half = 0, 1 << (HILBERT_ORDER - 1)
    while half:
        right, upper = int(bool(x & half)), int(bool(y & half))
        place += half * half * ((3 * right) ^ upper)
        if not upper:
            if right:
                x, y = (half - 1) - x % (2 * half), (half - 1) - y % (2 * half)
                x, y = x % (2 * half), y % (2 * half)
            x, y = y, x
        half >>= 1
    return place


def rings_of(polygon: Polygon) -> tuple[Ring, ...]:
    """A polygon's rings, rounded as the net stores them."""
    rings = (shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors))
    return tuple(tuple((lon, lat) for lon, lat in ring.round(DECIMALS).tolist()) for ring in rings)
