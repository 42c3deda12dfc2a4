"""点位归属 — point → grid, by polygon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians
from typing import Literal

import numpy as np
from shapely import Point as ShapelyPoint
from shapely import Polygon, STRtree, boundary, box
from shapely.affinity import scale

from domain.net import Compound, Grid

GAP_METRES = 200.0
"""A point in no grid goes to the nearest one within this distance (docs/reference/rules.md)."""

EDGE_DEGREES = 1e-9
"""A point this near to a boundary lies on it: about 0.1 mm."""

METRES_PER_DEGREE = 111_195.08
"""Of latitude, on the mean sphere."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where a point belongs, and why; ``distance_metres`` is 0 unless it is the nearest grid's."""

    grid: str
    how: Literal["inside", "edge", "nearest"]
    distance_metres: float = 0.0


class Atlas:
    """A spatial index over one edition of the net."""

    def __init__(self, grids: Sequence[Grid], compounds: Sequence[Compound] = ()) -> None:
        self._codes = [grid.code for grid in grids]
        self._shapes = [Polygon(grid.rings[0], grid.rings[1:]) for grid in grids]
        self._areas = [shape.area for shape in self._shapes]
        self._edges = boundary(np.array(self._shapes, dtype=object))
        self._tree = STRtree(self._shapes)
        self._compounds = sorted(compounds, key=lambda compound: compound.code)
        self._compound_tree = STRtree([Polygon(each.rings[0], each.rings[1:]) for each in self._compounds])

    def locate(self, lon: float, lat: float) -> Located | None:
        """The smallest covering grid; of a shared edge the lowest code; else the nearest within 200 m; else None."""
        point = ShapelyPoint(lon, lat)
        found = self._tree.query(point, predicate="dwithin", distance=EDGE_DEGREES)
        return self._choose([(i, self._edges[i].distance(point) <= EDGE_DEGREES) for i in found]) or self._nearest(
            point
        )

    def compound_at(self, lon: float, lat: float) -> Compound | None:
        """The compound that covers the point; of several the lowest code."""
        found = self._compound_tree.query(ShapelyPoint(lon, lat), predicate="intersects")
        return self._compounds[min(found)] if len(found) else None

    def _choose(self, found: list[tuple[int, bool]]) -> Located | None:
        """Of the grids that reach a point, each with whether the point lies on its boundary, the one that has it."""
        if not found:
            return None
        inside = [(self._areas[index], self._codes[index]) for index, on_edge in found if not on_edge]
        if inside:
            return Located(min(inside)[1], "inside")
        return Located(min(self._codes[index] for index, _ in found), "edge")

    def _nearest(self, point: ShapelyPoint) -> Located | None:
        """In a local plane whose unit is a metre: good to well under a metre over 200 m."""
        squeeze = max(cos(radians(point.y)), 0.01)
        reach_lat = GAP_METRES / METRES_PER_DEGREE
        reach_lon = reach_lat / squeeze
        around = box(point.x - reach_lon, point.y - reach_lat, point.x + reach_lon, point.y + reach_lat)
        near = []
        for index in self._tree.query(around):
            plane = scale(
                self._shapes[index], METRES_PER_DEGREE * squeeze, METRES_PER_DEGREE, origin=(point.x, point.y)
            )
            near.append((round(plane.distance(point), 3), self._codes[index]))
        if not near:
            return None
        distance, code = min(near)
        return Located(code, "nearest", distance) if distance <= GAP_METRES else None
