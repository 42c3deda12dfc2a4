"""Synthetic nets: over any boundary, and over Shenzhen."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon
from shapely.geometry import shape

from domain.crs import Crs, from_wgs84
from domain.directory import UNPUBLISHED
from domain.message import Role
from domain.net import CompoundKind, Level, Net, Org, Ring, UnitKind
from domain.place import Place
from domain.routing import route
from infra.net.check import check
from infra.net.files import NetFileError, read_net, write_geojson, write_net
from infra.net.regions import borders_of, divide
from infra.net.shenzhen import shenzhen
from infra.net.synthetic import tessellate
from infra.net.tessellate import BoundaryError
from infra.seed import seed_edition


def feature(name: str, *ring: tuple[float, float]) -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return {"type": "Feature", "properties": {"name": name}, "geometry": geometry}


def collection(*features: dict[str, Any]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


NORTH = feature("North", (8.50, 47.36), (8.56, 47.36), (8.55, 47.40), (8.51, 47.41))
SOUTH = feature("South", (8.50, 47.33), (8.56, 47.34), (8.56, 47.36), (8.50, 47.36))


def shapes_of(net: Net) -> list[Polygon]:
    return [Polygon(grid.rings[0], grid.rings[1:]) for grid in net.grids]


def test_grids_cover_the_boundary_without_gaps_or_overlaps() -> None:
    net = tessellate(collection(NORTH, SOUTH), 400)
    shapes = shapes_of(net)
    boundary = shapely.union_all([shape(NORTH["geometry"]), shape(SOUTH["geometry"])])
    covered = shapely.union_all(shapes)
    assert sum(each.area for each in shapes) == pytest.approx(covered.area, rel=1e-6)
    assert covered.symmetric_difference(boundary).area / boundary.area < 1e-4


def test_no_grid_is_a_sliver_and_none_is_broken() -> None:
    shapes = shapes_of(tessellate(collection(NORTH, SOUTH), 400))
    typical = sorted(each.area for each in shapes)[len(shapes) // 2]
    assert min(each.area for each in shapes) > 0.09 * typical
    assert all(each.is_valid for each in shapes)


def test_the_same_boundary_gives_the_same_net_to_the_version() -> None:
    assert tessellate(collection(NORTH), 500).version == tessellate(collection(NORTH), 500).version
    assert tessellate(collection(NORTH), 500).version != tessellate(collection(NORTH), 501).version


def test_every_grid_has_an_owner_and_a_ladder_up_to_the_city() -> None:
    net = tessellate(collection(NORTH, SOUTH), 300, name="Zurich")
    org, people = Org(net.units), {worker.person: worker for worker in net.workers}
    for grid in net.grids:
        assert people[grid.owner].units == (grid.code,)
        assert people[grid.owner].roles == (Role.GRID_WORKER,)
        levels = [org.level(code) for code in org.ladder(grid.code)]
        assert levels == [Level.COMMUNITY, Level.STREET, Level.DISTRICT, Level.CITY]


def test_districts_are_the_features_and_everything_made_up_says_so() -> None:
    net = tessellate(collection(NORTH, SOUTH), 400)
    assert net.synthetic
    districts = [unit.name_zh for unit in net.units if unit.level is Level.DISTRICT and unit.kind is UnitKind.AREA]
    assert districts == ["North", "South"]
    made_up = [unit for unit in net.units if unit.level in (Level.GRID, Level.COMMUNITY, Level.STREET)]
    assert all("合成" in unit.name_zh and "synthetic" in unit.name_en for unit in made_up)


def test_where_features_overlap_the_first_one_has_the_ground() -> None:
    twin = feature("Twin", (8.50, 47.36), (8.60, 47.36), (8.60, 47.41), (8.51, 47.41))
    shapes = shapes_of(tessellate(collection(NORTH, twin), 500))
    assert sum(each.area for each in shapes) == pytest.approx(shapely.union_all(shapes).area, rel=1e-6)


def test_a_feature_wholly_inside_an_earlier_one_gets_no_grids() -> None:
    net = tessellate(collection(NORTH, NORTH), 500)
    assert net.grids == tessellate(collection(NORTH), 500).grids


def test_islands_far_apart_are_one_district() -> None:
    def island(lon: float, lat: float) -> list[list[tuple[float, float]]]:
        return [[(lon, lat), (lon + 0.1, lat), (lon + 0.1, lat + 0.1), (lon, lat + 0.1), (lon, lat)]]

    parts = [island(179.9, -17.0), island(-180.0, -17.0), island(-180.0, -12.0)]
    net = tessellate({"type": "MultiPolygon", "coordinates": parts}, 1000)
    covered = shapely.union_all(shapes_of(net))
    assert covered.area == pytest.approx(0.03, rel=1e-4)
    assert {unit.code for unit in net.units if unit.level is Level.DISTRICT} == {"990101000000"}


@settings(max_examples=15)
@given(
    st.tuples(st.floats(-170, 170), st.floats(-70, 70)),
    st.floats(0.03, 0.05),
    st.floats(0.03, 0.05),
    st.integers(250, 900),
)
def test_any_triangle_on_earth_is_covered(
    corner: tuple[float, float], width: float, height: float, cell_metres: int
) -> None:
    lon, lat = corner
    triangle = feature("T", (lon, lat), (lon + width, lat), (lon, lat + height))
    net = tessellate(collection(triangle), cell_metres)
    boundary = shape(triangle["geometry"])
    covered = shapely.union_all(shapes_of(net))
    assert covered.symmetric_difference(boundary).area / boundary.area < 2e-3


@pytest.mark.parametrize(
    ("document", "cell_metres", "says"),
    [
        ({"hello": 1}, 100, "FeatureCollection"),
        ([], 100, "GeoJSON"),
        (
            collection({"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2]}}),
            100,
            "feature 1",
        ),
        (collection({"type": "Feature", "properties": {}, "geometry": None}), 100, "feature 1"),
        (collection(NORTH, feature("Bow", (0, 0), (1, 1), (1, 0), (0, 1))), 100, "feature 2 (Bow): Self-intersection"),
        (collection(feature("Far", (500000, 4), (500100, 4), (500100, 9))), 100, "WGS-84"),
        (collection(feature("NaN", (0, 0), (1, float("nan")), (1, 0))), 100, "feature 1 (NaN)"),
        (collection(NORTH | {"properties": [1]}), 100, "feature 1: is not an object"),
        ({"type": "Polygon", "coordinates": []}, 100, "empty Polygon"),
        (collection(*[NORTH] * 100), 100, "at most 99 districts"),
        (collection(NORTH), 1, "--cell-metres"),
        (collection(NORTH), 1_000_000, "smaller --cell-metres"),
    ],
)
def test_a_boundary_that_cannot_be_cut_is_named(document: object, cell_metres: float, says: str) -> None:
    with pytest.raises(BoundaryError) as caught:
        tessellate(document, cell_metres)
    assert says in str(caught.value)


def test_a_net_comes_back_from_its_file(tmp_path: Path) -> None:
    net = tessellate(collection(NORTH), 800)
    for name in ("net.json", "net.json.gz"):
        write_net(net, tmp_path / name)
        assert read_net(tmp_path / name) == net
    (tmp_path / "broken.json").write_text(json.dumps({"units": 3}))
    with pytest.raises(NetFileError, match="net tessellate"):
        read_net(tmp_path / "broken.json")
    (tmp_path / "half.json.gz").write_bytes((tmp_path / "net.json.gz").read_bytes()[:300])
    with pytest.raises(NetFileError, match="damaged"):
        read_net(tmp_path / "half.json.gz")
    with pytest.raises(NetFileError, match="cannot be read"):
        read_net(tmp_path / "missing.json")


@pytest.mark.parametrize(
    "rings", [(), (((8.5, 47.3), (8.6, 47.3)),), (((8.5, 47.3), (8.6, 47.3), (8.6, 470.4), (8.5, 47.3)),)]
)
def test_a_file_with_an_outline_that_cannot_be_drawn_is_refused(tmp_path: Path, rings: tuple[Ring, ...]) -> None:
    net = tessellate(collection(NORTH), 800)
    odd = net.grids[0].model_copy(update={"rings": rings})
    write_net(net.model_copy(update={"grids": (odd, *net.grids[1:])}), tmp_path / "odd.json")
    with pytest.raises(NetFileError, match=odd.code):
        read_net(tmp_path / "odd.json")


def test_a_check_names_circles_strange_codes_and_double_grids() -> None:
    net = tessellate(collection(NORTH, SOUTH), 800)
    codes = {(unit.level, unit.kind): unit.code for unit in net.units}
    street, community = codes[Level.STREET, UnitKind.AREA], codes[Level.COMMUNITY, UnitKind.AREA]
    parents = {street: community, "990101000000": "990102000000"}
    units = tuple(unit.model_copy(update={"parent": parents.get(unit.code, unit.parent)}) for unit in net.units)
    faults = "\n".join(check(net.model_copy(update={"units": units, "grids": (net.grids[0], *net.grids)})).faults)
    assert f"unit {street}: its parents go round" in faults
    assert "unit 990101000000: its first digits are not those of its parent 990102000000" in faults
    assert f"grid {net.grids[0].code} is there 2 times" in faults


def test_a_check_names_what_is_wrong() -> None:
    net = tessellate(collection(NORTH), 800)
    assert check(net).faults == ()
    orphan = net.units[-1].model_copy(update={"parent": "nowhere"})
    unowned = net.grids[0].model_copy(update={"owner": ""})
    broken = net.model_copy(
        update={"units": (*net.units[:-1], orphan, net.units[0]), "grids": (unowned, *net.grids[1:])}
    )
    faults = "\n".join(check(broken).faults)
    assert f"unit {orphan.code}: its parent nowhere does not exist" in faults
    assert f"unit {net.units[0].code} is there 2 times" in faults
    assert f"grid {unowned.code}: its owner (nobody)" in faults


def test_a_check_names_compounds_without_a_place_in_the_net_and_outlines_of_nothing() -> None:
    net = tessellate(collection(NORTH), 400)
    compound, outline = net.compounds[0], net.outlines[0]
    bow = (((8.0, 47.0), (8.1, 47.1), (8.1, 47.0), (8.0, 47.1), (8.0, 47.0)),)
    odd = compound.model_copy(update={"parent": "nowhere", "panel": "nobody", "rings": bow})
    stray = outline.model_copy(update={"unit": "nothing"})
    broken = net.model_copy(update={"compounds": (odd, *net.compounds), "outlines": (stray,)})
    faults = "\n".join(check(broken).faults)
    assert f"compound {compound.code} is there 2 times" in faults
    assert f"compound {compound.code}: its parent nowhere does not exist" in faults
    assert f"compound {compound.code}: its panel nobody is no unit" in faults
    assert f"compound {compound.code}: Self-intersection" in faults
    assert "outline of nothing: there is no such unit" in faults


def squares(*corners: tuple[int, int]) -> list[Polygon]:
    return [shapely.box(x, y, x + 1, y + 1) for x, y in corners]


def test_squares_that_share_an_edge_are_neighbours_and_ones_that_share_a_corner_are_not() -> None:
    triangle = Polygon([(2, 0), (3, 0), (2, 1)])
    borders = borders_of([*squares((0, 0), (1, 0), (0, 1), (5, 5)), triangle])
    assert [sorted(each) for each in borders] == [[1, 2], [0, 4], [0], [], [1]]
    assert borders[1][4] == pytest.approx(1)


def test_an_exclave_goes_to_the_neighbour_with_the_longest_border_and_an_island_stays() -> None:
    row = squares((0, 0), (2, 0), (1, 0), (3, 0), (9, 9), (4, 0))
    borders = borders_of(row)
    assert divide(range(6), [1, 1], borders) == [[0, 1, 2], [3, 4, 5]]
    scattered = [0, 2, 5, 1, 3, 4]  # the first three squares are no piece without the fourth
    assert divide(scattered, [1, 1], borders) == [[0, 2], [5, 1, 3, 4]]


@settings(max_examples=30)
@given(st.integers(1, 60), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_division_gives_every_grid_to_one_group(count: int, weights: list[int]) -> None:
    pieces = squares(*((number % 7, number // 7) for number in range(count)))
    divided = divide(range(count), weights, borders_of(pieces))
    assert sorted(member for group in divided for member in group) == list(range(count))
    assert len(divided) == len(weights)


@pytest.fixture(scope="module")
def city() -> Net:
    return shenzhen()


def test_shenzhen_has_its_units_and_about_20_000_synthetic_grids(city: Net) -> None:
    counts = Counter(unit.level for unit in city.units if unit.kind is UnitKind.AREA)
    assert (counts[Level.CITY], counts[Level.DISTRICT], counts[Level.COMMUNITY]) == (1, 9, 788)
    assert counts[Level.STREET] == 74 + 5  # streets and special zones
    assert 19_000 <= len(city.grids) <= 21_000
    assert city.synthetic
    assert Org(city.units).city_desk == "440300000000-desk"


def test_a_grid_of_shenzhen_begins_with_the_code_of_its_community(city: Net) -> None:
    parents = {unit.code: unit.parent for unit in city.units}
    assert all(grid.code.startswith(str(parents[grid.code])) and len(grid.code) == 15 for grid in city.grids)


def areas_of(net: Net) -> dict[str, shapely.Geometry]:
    """The outlines, by unit."""
    parts = {each.unit: [Polygon(rings[0], rings[1:]) for rings in each.polygons] for each in net.outlines}
    return {unit: shapely.MultiPolygon(polygons) for unit, polygons in parts.items()}


@pytest.mark.parametrize(
    ("level", "below", "every"),
    [(Level.DISTRICT, Level.STREET, 1), (Level.STREET, Level.COMMUNITY, 1), (Level.COMMUNITY, Level.GRID, 7)],
)
def test_an_area_is_its_children_without_gaps_or_overlaps(city: Net, level: Level, below: Level, every: int) -> None:
    grids = {grid.code: shape for grid, shape in zip(city.grids, shapes_of(city), strict=True)}
    areas, org = {**areas_of(city), **grids}, Org(city.units)
    units = [unit.code for unit in city.units if unit.level is level and unit.kind is UnitKind.AREA]
    assert len(units) == {Level.DISTRICT: 9, Level.STREET: 79, Level.COMMUNITY: 788}[level]
    for unit in units[::every]:
        children = [areas[code] for code in org.children(unit) if code in areas and org.level(code) is below]
        together = shapely.union_all(children)
        assert sum(child.area for child in children) == pytest.approx(together.area, rel=1e-9)
        assert together.symmetric_difference(areas[unit]).area / together.area < 2e-5


def test_districts_do_not_overlap(city: Net) -> None:
    areas = areas_of(city)
    districts = [areas[unit.code] for unit in city.units if unit.level is Level.DISTRICT]
    assert sum(each.area for each in districts) == pytest.approx(shapely.union_all(districts).area, rel=1e-9)


def test_streets_and_communities_lie_in_one_piece(city: Net) -> None:
    pieces = {outline.unit: len(outline.polygons) for outline in city.outlines}
    level = {unit.code: unit.level for unit in city.units}
    scattered = Counter(level[unit] for unit, count in pieces.items() if count > 1)
    assert scattered[Level.COMMUNITY] == 0
    assert scattered[Level.STREET] <= 1  # water divides what a street cannot


def test_shenzhen_has_its_compounds_inside_their_communities_and_some_span_two_grids(city: Net) -> None:
    kinds, areas = Counter(compound.kind for compound in city.compounds), areas_of(city)
    assert kinds[CompoundKind.ESTATE] == pytest.approx(4_400, rel=0.01)
    assert kinds[CompoundKind.URBAN_VILLAGE] == pytest.approx(1_900, rel=0.01)
    shapes = [Polygon(compound.rings[0]) for compound in city.compounds]
    assert all(areas[each.parent].covers(shape) for each, shape in zip(city.compounds, shapes, strict=True))
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    assert (one == other).all()  # none touches another
    inside = shapely.STRtree(shapes_of(city)).query(shapes, predicate="overlaps")[0]
    assert sum(times == 2 for times in Counter(inside.tolist()).values()) > 500


def test_a_panel_is_a_unit_of_its_community_with_a_mediator(city: Net) -> None:
    org, people = Org(city.units), {worker.person: worker for worker in city.workers}
    panels = [(compound.panel, compound.parent) for compound in city.compounds if compound.panel]
    assert len(panels) > 0.9 * len(city.compounds)
    for panel, community in panels:
        assert (org.level(panel), org.ancestors(panel)[0]) == (Level.COMMUNITY, community)
        assert (people[f"m-{panel}"].roles, people[f"m-{panel}"].units) == ((Role.MEDIATOR,), (panel,))


def test_a_dispute_inside_a_compound_goes_to_its_panel() -> None:
    net = tessellate(collection(NORTH, SOUTH), 400)
    compound = next(each for each in net.compounds if each.panel)
    edition = seed_edition()
    terms = next(edition.terms_of(each.code) for each in edition.categories if each.family == "dispute")
    middle = Polygon(compound.rings[0]).centroid
    directory = replace(UNPUBLISHED, net=net)
    assert terms is not None
    routed = route(directory, Place(lon=middle.x, lat=middle.y), terms)
    assert (routed.how, routed.unit.unit, routed.ladder[0].unit) == ("panel", compound.panel, compound.parent)


def test_shenzhen_is_the_same_every_time() -> None:
    coarse = shenzhen(cell_metres=2_000)
    assert coarse.version == shenzhen(cell_metres=2_000).version
    assert len(coarse.grids) < 700
    assert check(coarse).faults == ()


def test_a_changed_copy_of_a_net_has_another_version(city: Net) -> None:
    assert city.model_copy(update={"name_en": "Another"}).version != city.version


def test_every_polygon_is_on_the_map_with_level_code_names_and_parent(tmp_path: Path) -> None:
    net = tessellate(collection(NORTH, SOUTH), 800)
    write_geojson(net, tmp_path / "map.geojson")
    features = json.loads((tmp_path / "map.geojson").read_text(encoding="utf-8"))["features"]
    levels = Counter(each["properties"]["level"] for each in features)
    assert (levels["grid"], levels["compound"]) == (len(net.grids), len(net.compounds))
    assert sum(levels[level] for level in ("district", "street", "community")) == len(net.outlines)
    for each in features:
        named = each["properties"]
        assert named["code"]
        assert named["name_zh"]
        assert named["name_en"]
        assert named["parent"]
        assert shape(each["geometry"]).is_valid


def test_shenzhen_lies_where_an_independent_outline_says_and_not_where_gcj02_would_put_it(city: Net) -> None:
    data = os.environ.get("BEELINE_TEST_DATA")
    if not data:
        pytest.skip("set BEELINE_TEST_DATA to the folder of shenzhen_districts10_wgs84.geojson")
    document = json.loads((Path(data) / "shenzhen_districts10_wgs84.geojson").read_text())
    outline = shapely.union_all([shape(each["geometry"]).buffer(0) for each in document["features"]])
    covered = shapely.union_all(shapes_of(city))
    shifted = shapely.transform(covered, lambda points: [from_wgs84(lon, lat, Crs.GCJ02) for lon, lat in points])

    def agreement(area: shapely.Geometry) -> float:
        return float(area.intersection(outline).area / area.union(outline).area)

    assert agreement(covered) > 0.85
    assert agreement(covered) > agreement(shifted)
