"""Point → grid, and the coordinate systems that phones give."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import Point, Polygon

from domain.atlas import EDGE_DEGREES, GAP_METRES, METRES_PER_DEGREE, Atlas, Located
from domain.crs import Crs, from_wgs84, to_wgs84
from domain.net import Compound, Grid, Ring
from domain.place import Place, distance_metres


def grid(code: str, *corners: tuple[float, float]) -> Grid:
    return Grid(code=code, rings=((*corners, corners[0]),), owner="w", version="1", valid_from=date(2026, 1, 1))


def square(code: str, west: float, south: float, side: float = 0.01) -> Grid:
    east, north = west + side, south + side
    return grid(code, (west, south), (east, south), (east, north), (west, north))


WEST, EAST = square("2", 114.00, 22.50), square("1", 114.01, 22.50)
INNER = square("9", 114.002, 22.502, 0.002)
ATLAS = Atlas([WEST, EAST, INNER])


def found(lon: float, lat: float) -> Located:
    located = ATLAS.locate(lon, lat)
    assert located is not None
    return located


def test_a_point_inside_goes_to_its_grid() -> None:
    assert found(114.015, 22.505) == Located("1", "inside")


def test_of_two_that_cover_a_point_the_smaller_one_has_it() -> None:
    assert found(114.003, 22.503).grid == "9"


def test_a_shared_edge_goes_to_the_lowest_code() -> None:
    assert found(114.01, 22.505) == Located("1", "edge")


def test_a_metre_from_an_edge_is_inside() -> None:
    metre = 1 / METRES_PER_DEGREE / 0.924
    assert found(114.01 - metre, 22.507).grid == "2"
    assert found(114.01 + metre, 22.507).grid == "1"


@pytest.mark.parametrize(("metres", "grid_code"), [(150.0, "1"), (199.0, "1"), (201.5, None), (5000.0, None)])
def test_a_gap_of_up_to_200_metres_goes_to_the_nearest_grid(metres: float, grid_code: str | None) -> None:
    located = ATLAS.locate(114.015, 22.51 + metres / METRES_PER_DEGREE)
    assert (located.grid if located else None) == grid_code
    if located is not None:
        assert located.how == "nearest"
        assert located.distance_metres == pytest.approx(metres, abs=1.0)


def test_two_grids_at_the_same_distance_go_by_code() -> None:
    assert found(114.01, 22.511).grid == "1"


def test_the_other_side_of_the_world_is_in_no_grid() -> None:
    assert ATLAS.locate(-66.0, -22.5) is None


def test_a_hole_in_a_grid_is_not_of_the_grid() -> None:
    outer: Ring = ((0.0, 0.0), (0.1, 0.0), (0.1, 0.1), (0.0, 0.1), (0.0, 0.0))
    hole: Ring = ((0.04, 0.04), (0.06, 0.04), (0.06, 0.06), (0.04, 0.06), (0.04, 0.04))
    ring = Grid(code="1", rings=(outer, hole), owner="w", version="1", valid_from=date(2026, 1, 1))
    assert Atlas([ring]).locate(0.05, 0.05) is None
    assert Atlas([ring]).locate(0.02, 0.02) == Located("1", "inside")


def test_a_shared_edge_inside_a_hole_goes_to_the_lowest_code() -> None:
    outer, hole = square("2", 0.0, 0.0, 0.1), square("1", 0.04, 0.04, 0.02)
    around = outer.model_copy(update={"rings": (outer.rings[0], hole.rings[0])})
    assert Atlas([around, hole]).locate(0.05, 0.04) == Located("1", "edge")
    assert Atlas([around, hole.model_copy(update={"code": "3"})]).locate(0.05, 0.04) == Located("2", "edge")


def test_a_compound_has_its_points() -> None:
    corners: Ring = ((114.0, 22.5), (114.005, 22.5), (114.005, 22.505), (114.0, 22.505), (114.0, 22.5))
    compound = Compound(code="c1", name_zh="花园", name_en="Garden", parent="x", panel="c1-panel", rings=(corners,))
    atlas = Atlas([WEST], [compound])
    assert atlas.compound_at(114.001, 22.501) == compound
    assert atlas.compound_at(114.008, 22.501) is None


lons, lats = st.floats(113.996, 114.024), st.floats(22.496, 22.514)


@given(lons, lats)
def test_the_index_agrees_with_a_look_at_every_grid(lon: float, lat: float) -> None:
    shapes = {each.code: Polygon(each.rings[0]) for each in (WEST, EAST, INNER)}
    inside = [code for code, shape in shapes.items() if shape.contains(Point(lon, lat))]
    located = ATLAS.locate(lon, lat)
    if inside:
        assert located is not None
        assert located.grid == min(inside, key=lambda code: shapes[code].area)
    elif located is not None and located.how == "nearest":
        assert located.distance_metres <= GAP_METRES


LATTICE = [
    square(f"{7 * (3 * x + y) % 10}", 114.0 + 0.002 * x, 22.5 + 0.002 * y, 0.002) for x in range(3) for y in range(3)
]
steps = st.integers(-2, 14)
"""Of half a thousandth of a degree: often on an edge or a corner."""


@given(steps, steps)
def test_on_a_lattice_the_lowest_code_of_those_that_touch_has_the_point(x: int, y: int) -> None:
    lon, lat = 114.0 + 0.0005 * x, 22.5 + 0.0005 * y
    touching = [each.code for each in LATTICE if Polygon(each.rings[0]).distance(Point(lon, lat)) <= EDGE_DEGREES]
    located = Atlas(LATTICE).locate(lon, lat)
    if touching:
        assert located is not None
        assert (located.grid, located.distance_metres) == (min(touching), 0.0)
    else:
        assert located is None or located.how == "nearest"


@pytest.mark.parametrize("crs", list(Crs))
@given(lon=st.floats(73.0, 135.0), lat=st.floats(4.0, 53.0))
def test_there_and_back_is_where_one_was(crs: Crs, lon: float, lat: float) -> None:
    back = to_wgs84(*from_wgs84(lon, lat, crs), crs)
    assert back == pytest.approx((lon, lat), abs=1e-7)


def test_in_shenzhen_gcj02_lies_some_500_metres_east_and_300_south() -> None:
    lon, lat = from_wgs84(114.0579, 22.5431, Crs.GCJ02)
    here = Place(lon=114.0579, lat=22.5431)
    assert distance_metres(here, Place(lon=lon, lat=22.5431)) == pytest.approx(524, abs=20)
    assert lon > here.lon
    assert distance_metres(here, Place(lon=114.0579, lat=lat)) == pytest.approx(310, abs=20)
    assert lat < here.lat


def test_outside_china_gcj02_is_wgs84() -> None:
    assert from_wgs84(-122.4, 37.8, Crs.GCJ02) == (-122.4, 37.8)
