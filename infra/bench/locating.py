"""Point → grid, beside a bare look into shapely's tree."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from statistics import median

from shapely import Point, Polygon, STRtree

from domain.atlas import Atlas
from domain.net import Grid
from infra.bench.city import SEED, city, described
from infra.bench.result import Bench, Line, Section

ROUNDS = 5

Spot = tuple[float, float]


def measure(bench: Bench) -> Section:
    """Both in turn, over the same points."""
    net = city(whole=bench.scale.whole_city)
    spots = _spots(net.grids, bench.scale.points)
    atlas = Atlas(net.grids, net.compounds)
    tree = STRtree([Polygon(grid.rings[0], grid.rings[1:]) for grid in net.grids])

    def bare(lon: float, lat: float) -> object:
        return tree.query(Point(lon, lat), predicate="intersects")

    located, looked = [], []
    for number in range(ROUNDS):
        bench.notes(f"round {number + 1} of {ROUNDS}")
        located.append(_rate(atlas.locate, spots))
        looked.append(_rate(bare, spots))
    line = Line("point → grid", "points/s", median(located), median(looked), "bare STRtree query, point by point")
    return Section(
        title="点位归属 · Point → grid",
        method=f"`domain.atlas.Atlas.locate` on {described(net)}, point by point, beside `shapely.STRtree.query` of the "
        "same points. Most lie in a grid, some in none.",
        held_back=HELD_BACK,
        lines=(line,),
    )


def _spots(grids: Sequence[Grid], number: int) -> list[Spot]:
    """Near grids chosen by chance: in them, next to them, and a few beside the city."""
    random = Random(f"spots|{SEED}")

    def near(grid: Grid) -> Spot:
        lon, lat = random.choice(grid.rings[0])
        return lon + random.uniform(-0.002, 0.002), lat + random.uniform(-0.002, 0.002)

    return [near(random.choice(grids)) for _ in range(number)]


def _rate(locate: Callable[[float, float], object], spots: Sequence[Spot]) -> float:
    began = time.monotonic()
    for lon, lat in spots:
        locate(lon, lat)
    return len(spots) / (time.monotonic() - began)


HELD_BACK = (
    "Asking for the polygons within 0.1 mm of a point costs half as much again as asking for those that cover it, and the "
    "distance to the boundary of the grid found is a sixth of the whole: both see to it that a point on a shared edge goes "
    "to the lowest code. The few points outside every grid cost four times as much as the others."
)
