"""A city's own polygons: how they are read and placed, what is wrong with them, and the net that they give."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import Polygon
from shapely.geometry import mapping, shape
from typer.testing import CliRunner, Result

from domain.atlas import Atlas
from domain.crs import Crs, from_wgs84
from domain.net import Level, Net, Org, Unit, UnitKind
from infra.cli.main import app
from infra.net.check import check
from infra.net.fault_map import fault_page
from infra.net.faults import BLOCKING, TITLES, FaultKind
from infra.net.features import Asked, Layer, LoadError, as_wgs84, bare
from infra.net.files import read_net, write_net
from infra.net.load import Loaded, lies_in_shenzhen, load
from infra.net.synthetic import tessellate

WEST, SOUTH, STEP = 114.0, 22.5, 0.02
"""Features are squares of a lattice, each some 2 km wide; the base has two districts, each three squares wide and three high."""


def square(x: float, y: float, width: float = 1, height: float = 1) -> Polygon:
    left, low = WEST + x * STEP, SOUTH + y * STEP
    return shapely.box(left, low, left + width * STEP, low + height * STEP)


def feature(area: Polygon | None, **properties: object) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": None if area is None else mapping(area)}


def collection(*features: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **more}


@pytest.fixture(scope="module")
def base() -> Net:
    """东区 lies at columns 0 to 2, 西区 at 3 to 5: the names do not say where."""
    areas = (feature(square(0, 0, 3, 3), name="东区"), feature(square(3, 0, 3, 3), name="西区"))
    return tessellate(collection(*areas), 1500, name="试城")


EAST, WESTERN = "990101000000", "990102000000"


def kinds(loaded: Loaded) -> Counter[FaultKind]:
    return Counter(fault.kind for fault in loaded.faults)


def unit(net: Net | None, name: str) -> Unit:
    assert net is not None
    (found,) = [each for each in net.units if each.name_zh == name and each.kind is UnitKind.AREA]
    return found


def streets(*features: dict[str, Any], base: Net | None, **asked: Any) -> Loaded:
    return load(collection(*features), Asked(**{"level": "street", "cell_metres": 700, **asked}), base)


# -- placing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["西区", "西", WESTERN, "990102"])
def test_the_parent_is_taken_by_property_as_a_code_or_a_name_with_or_without_its_suffix(base: Net, said: str) -> None:
    loaded = streets(feature(square(0, 0), name="甲街道", parent=said), base=base)
    assert unit(loaded.net, "甲街道").parent == WESTERN


def test_the_parent_is_taken_by_the_first_digits_of_the_code(base: Net) -> None:
    loaded = streets(feature(square(0, 0), name="甲街道", code="990102901"), base=base)
    assert unit(loaded.net, "甲街道").parent == WESTERN
    assert unit(loaded.net, "甲街道").code == "990102901000"


def test_the_parent_is_the_one_that_holds_most_of_the_area(base: Net) -> None:
    loaded = streets(feature(square(2.4, 0), name="甲街道"), feature(square(3.5, 1), name="乙街道"), base=base)
    assert unit(loaded.net, "甲街道").parent == EAST
    assert unit(loaded.net, "乙街道").parent == WESTERN


def test_a_parent_that_is_unknown_is_said_and_the_place_decides(base: Net) -> None:
    loaded = streets(feature(square(3, 0), name="甲街道", parent="南区"), base=base)
    assert unit(loaded.net, "甲街道").parent == WESTERN
    assert any("南区" in zh for zh, _ in loaded.notes)


def test_a_feature_without_a_code_is_matched_by_name_and_else_gets_a_code_under_its_parent(base: Net) -> None:
    known = next(each for each in base.units if each.level is Level.STREET and each.parent == EAST)
    loaded = streets(feature(square(0, 0), name=known.name_zh), feature(square(1, 1), name="新街道"), base=base)
    assert loaded.net is not None
    assert Org(loaded.net.units).unit(known.code) is not None
    assert unit(loaded.net, "新街道").code == "990101901000"
    assert any("没有编码" in zh for zh, _ in loaded.notes)


def test_a_whole_tree_may_come_in_one_file() -> None:
    document = collection(
        feature(square(0, 0), 级别="网格", name="一号网格", code="440399001001001"),
        feature(square(1, 0), 级别="网格", name="二号网格", code="440399001001002"),
        feature(square(0, 0, 2, 1), 级别="社区", name="某社区", code="440399001001"),
        feature(square(0, 0, 2, 1), 级别="街道", name="某街道", code="440399001"),
        feature(square(0, 0, 2, 1), 级别="区", name="某区", code="440399"),
        feature(square(0.2, 0.2, 0.1, 0.1), 级别="小区", name="花园小区", code="c-1"),
    )
    loaded = load(document, Asked(city="某市"), None)
    assert loaded.faults == ()
    net = loaded.net
    assert net is not None
    assert not net.synthetic
    assert net.name_zh == "某市"
    assert [compound.parent for compound in net.compounds] == ["440399001001000"[:12]]
    ladder = Org(net.units).ladder("440399001001001")
    assert ladder == ("440399001001", "440399001000", "440399000000", "440300000000")
    assert check(net).faults == ()


def test_a_grid_in_two_pieces_becomes_two_grids_so_that_no_ground_is_lost() -> None:
    pieces = shapely.union_all([square(0, 0), square(2, 0, 0.5, 0.5)])
    loaded = load(collection(feature(pieces, code="g", name="飞地")), Asked(level="grid"), None)
    assert loaded.net is not None
    assert sorted(grid.code for grid in loaded.net.grids) == ["g", "g-2"]
    assert check(loaded.net).faults == ()


def test_properties_and_levels_are_guessed_and_the_guess_is_said(base: Net) -> None:
    document = collection(
        feature(square(0, 0), JDMC="甲街道", QXMC="西", JDDM="990102901", Shape_Area=3.5),
        feature(square(1, 0), JDMC="乙街道", QXMC="东", JDDM="990101901", Shape_Area=3.5),
    )
    loaded = load(document, Asked(cell_metres=700), base)
    assert unit(loaded.net, "甲街道").parent == WESTERN
    said = " ".join(en for _, en in loaded.notes)
    assert all(word in said for word in ("JDMC", "QXMC", "JDDM", "street"))


def test_the_code_of_the_district_is_not_taken_for_the_code_of_its_streets(base: Net) -> None:
    places = enumerate(("甲街道", "乙街道", "丙街道"))
    loaded = streets(*(feature(square(x, 0), name=name, adcode="990101") for x, name in places), base=base)
    assert loaded.faults == ()
    assert unit(loaded.net, "甲街道").code == "990101901000"


def test_a_property_that_no_feature_has_is_refused_with_the_ones_that_there_are(base: Net) -> None:
    with pytest.raises(LoadError, match="JDMC"):
        streets(feature(square(0, 0), JDMC="甲街道"), base=base, name="NAME")


@given(st.text(alphabet="东西南北中和平安", min_size=2, max_size=5))
def test_a_name_is_the_same_with_and_without_its_suffix(name: str) -> None:
    for layer, suffix in ((Layer.DISTRICT, "区"), (Layer.STREET, "街道"), (Layer.COMMUNITY, "社区")):
        assert bare(name + suffix, layer) == bare(name, layer)


@pytest.mark.parametrize("crs", [Crs.GCJ02, Crs.BD09])
def test_another_coordinate_system_lands_within_a_metre(base: Net, crs: Crs) -> None:
    shifted = shapely.transform(square(1, 1), lambda points: [from_wgs84(lon, lat, crs) for lon, lat in points])
    assert as_wgs84(shifted, crs).hausdorff_distance(square(1, 1)) < 1e-5
    loaded = streets(feature(shifted, name="甲街道"), base=base, crs=crs)
    assert loaded.features[0].shape.hausdorff_distance(square(1, 1)) < 1e-5


# -- the net ---------------------------------------------------------------------------------------------------------


def test_the_file_has_its_ground_and_what_it_does_not_claim_stays_as_it_was(base: Net) -> None:
    claimed = shapely.union_all([square(1, 1), square(4.5, 1)])
    loaded = streets(feature(square(1, 1), name="甲街道"), feature(square(4.5, 1), name="乙街道"), base=base)
    net = loaded.net
    assert net is not None
    assert check(net).faults == ()
    org, people = Org(net.units), {worker.person for worker in net.workers}
    mine = {code for name in ("甲街道", "乙街道") for code in (unit(net, name).code,)}
    for grid in net.grids:
        shared = Polygon(grid.rings[0], grid.rings[1:]).intersection(claimed).area
        assert (shared > 1e-9) == bool(mine & set(org.ancestors(grid.code))), grid.code
        assert grid.owner in people
    covered = shapely.union_all([Polygon(grid.rings[0]) for grid in net.grids])
    assert covered.symmetric_difference(square(0, 0, 6, 3)).area < 0.1 * STEP**2
    located = Atlas(net.grids).locate(WEST + 1.5 * STEP, SOUTH + 1.5 * STEP)
    assert located is not None
    assert unit(net, "甲街道").code in org.ancestors(located.grid)
    assert org.child_of_kind(unit(net, "甲街道").code, UnitKind.TEAM) is not None


def test_a_street_that_is_known_keeps_its_communities_on_new_ground(base: Net) -> None:
    known = next(each for each in base.units if each.level is Level.STREET and each.parent == EAST)
    communities = set(Org(base.units).children(known.code))
    loaded = streets(feature(square(0, 0, 3, 1), code=known.code, name=known.name_zh), base=base)
    assert loaded.net is not None
    assert communities <= set(Org(loaded.net.units).children(known.code))
    owners = {grid.code[:12] for grid in loaded.net.grids if known.code in Org(loaded.net.units).ancestors(grid.code)}
    assert owners <= communities


def test_the_same_file_gives_the_same_net_to_the_version(base: Net) -> None:
    made = [streets(feature(square(1, 1), name="甲街道"), base=base).net for _ in range(2)]
    assert made[0] is not None
    assert made[0].version == (made[1].version if made[1] else "")


def test_codes_of_another_kind_are_taken_as_they_are(base: Net) -> None:
    loaded = streets(feature(square(1, 1), name="Altstadt", code="ZH-01"), base=base)
    assert unit(loaded.net, "Altstadt").code == "ZH-01"
    assert loaded.net is not None
    assert check(loaded.net).faults == ()


def test_districts_onto_nothing_make_a_city_of_their_own() -> None:
    document = collection(feature(square(0, 0), name="甲区"), feature(square(1, 0), name="乙区"))
    net = load(document, Asked(city="新城", cell_metres=700), None).net
    assert net is not None
    assert (net.name_zh, net.synthetic) == ("新城(合成)", True)
    assert unit(net, "甲区").parent == Org(net.units).city
    assert check(net).faults == ()


# -- faults ----------------------------------------------------------------------------------------------------------

BOW_TIE = Polygon([(114.0, 22.5), (114.02, 22.52), (114.02, 22.5), (114.0, 22.52)])
RIGHT = {"name": "甲街道", "code": "990101901"}


def moved_to(crs: Crs) -> list[dict[str, Any]]:
    """Streets that fill both districts, in another coordinate system."""
    areas = {"甲街道": square(0, 0, 3, 3), "乙街道": square(3, 0, 3, 3)}
    shifted = {
        name: shapely.transform(area, lambda points: [from_wgs84(lon, lat, crs) for lon, lat in points])
        for name, area in areas.items()
    }
    return [feature(area, name=name) for name, area in shifted.items()]


@pytest.mark.parametrize(
    ("features", "kind", "words"),
    [
        ([feature(None, **RIGHT)], FaultKind.NO_POLYGON, "geometry"),
        ([feature(BOW_TIE, **RIGHT)], FaultKind.SELF_CROSSING, "114.010000"),
        ([feature(shapely.box(12690000, 2570000, 12692000, 2572000), **RIGHT)], FaultKind.NOT_DEGREES, "EPSG:4326"),
        ([feature(shapely.box(22.5, 114.0, 22.52, 114.02), **RIGHT)], FaultKind.SWAPPED, "longitude first"),
        (moved_to(Crs.BD09), FaultKind.WRONG_CRS, "--crs bd09"),
        (moved_to(Crs.GCJ02), FaultKind.WRONG_CRS, "--crs gcj02"),
        (
            [feature(square(0, 0), **RIGHT), feature(square(1, 1), name="乙街道")],
            FaultKind.MISSING_CODE,
            "feature 2 (乙街道)",
        ),
        ([feature(square(0, 0), name="甲街道", code="x" * 25)], FaultKind.MISSING_CODE, "more than 24 characters"),
        ([feature(square(0, 0), name="甲街道", code=EAST)], FaultKind.MISSING_CODE, f"the code {EAST} of the district"),
        ([feature(square(0, 0), code="990101901")], FaultKind.MISSING_NAME, "feature 1"),
        (
            [feature(square(0, 0), **RIGHT), feature(square(1, 1), **{**RIGHT, "name": "乙街道"})],
            FaultKind.DUPLICATE_CODE,
            "990101901",
        ),
        (
            [feature(square(0, 0), **RIGHT), feature(square(1, 1), **{**RIGHT, "code": "990101902"})],
            FaultKind.DUPLICATE_NAME,
            "甲街道",
        ),
        ([feature(square(50, 50), name="甲街道")], FaultKind.ORPHAN, "no parent"),
        ([feature(square(2.8, 0), name="甲街道", parent="东区")], FaultKind.OUTSIDE_PARENT, "80 %"),
        (
            [feature(square(0, 0), **RIGHT), feature(square(0.75, 0), name="乙街道", code="990101902")],
            FaultKind.OVERLAP,
            "25.00 %",
        ),
        (
            [feature(square(0, 0, 3, 3) - square(1, 1, 0.2, 0.2), **{**RIGHT, "code": "990101001"})],
            FaultKind.GAP,
            "m² beside 甲街道",
        ),
    ],
)
def test_every_fault_is_named_with_its_feature_and_its_place(
    base: Net, features: list[dict[str, Any]], kind: FaultKind, words: str
) -> None:
    loaded = streets(*features, base=base)
    assert kinds(loaded)[kind] == 1
    (fault,) = [each for each in loaded.faults if each.kind is kind]
    assert words in fault.text_en
    assert fault.text_zh != fault.text_en
    assert (loaded.net is None) == any(each in BLOCKING for each in kinds(loaded))
    unplaced = (FaultKind.NO_POLYGON, FaultKind.NOT_DEGREES, FaultKind.SWAPPED)
    assert (fault.where is None) == (kind in unplaced)
    page, (zh, en) = fault_page(loaded, "核对"), TITLES[kind]
    assert f"{zh} · {en}" in page
    assert words in page


def test_faults_are_faults_of_the_file_and_not_of_the_right_one(base: Net) -> None:
    loaded = streets(*moved_to(Crs.GCJ02), base=base, crs=Crs.GCJ02)
    assert loaded.faults == ()


def test_an_overlap_names_both_and_measures_it_and_a_sliver_is_only_counted(base: Net) -> None:
    others = feature(square(0.75, 0), name="乙街道"), feature(square(1.7499, 0), name="丙街道")
    loaded = streets(feature(square(0, 0), name="甲街道"), *others, base=base)
    (overlap,) = loaded.faults
    assert overlap.features == (1, 2)
    assert overlap.area_m2 == pytest.approx(0.25 * (STEP * 111_195) ** 2 * 0.9238, rel=1e-3)
    assert loaded.slivers == 1


def test_where_two_overlap_every_grid_has_its_own_ground(base: Net) -> None:
    loaded = streets(feature(square(0, 0), name="甲街道"), feature(square(0.75, 0), name="乙街道"), base=base)
    assert loaded.net is not None
    shapes = [Polygon(grid.rings[0], grid.rings[1:]) for grid in loaded.net.grids]
    assert sum(each.area for each in shapes) == pytest.approx(shapely.union_all(shapes).area, rel=1e-6)


def test_ground_of_the_parent_that_nobody_covers_is_a_gap_unless_units_that_stay_cover_it(base: Net) -> None:
    areas = (feature(square(0, 0, 3, 2.5), level="street", name="甲街道", parent="新区"),)
    whole = feature(square(0, 0, 3, 3), level="district", name="新区")
    alone = load(collection(whole, *areas), Asked(cell_metres=700), None)
    (gap,) = alone.faults
    assert gap.kind is FaultKind.GAP
    assert gap.where is not None
    assert gap.where.symmetric_difference(square(0, 2.5, 3, 0.5)).area < 1e-8
    assert streets(feature(square(0, 0), name="甲街道"), base=base).faults == ()


def test_a_coordinate_system_that_somebody_insists_on_is_contested_but_kept(base: Net) -> None:
    loaded = streets(*moved_to(Crs.GCJ02), base=base, crs=Crs.WGS84)
    assert kinds(loaded)[FaultKind.DOUBTFUL_CRS] == 1
    assert loaded.net is not None


def test_without_grids_there_is_nothing_to_route_by(base: Net) -> None:
    alone = load(collection(feature(square(0, 0), name="甲区")), Asked(), None)
    assert kinds(alone) == {FaultKind.NO_GRIDS: 1}
    assert alone.net is None
    beside = streets(feature(square(0, 0), name="甲街道"), base=base, cell_metres=None)
    assert kinds(beside) == {FaultKind.NO_GRIDS: 1}
    assert beside.net is not None


def test_a_level_that_nothing_says_is_missing(base: Net) -> None:
    loaded = load(collection(feature(square(0, 0), name="Altstadt")), Asked(), base)
    assert kinds(loaded) == {FaultKind.MISSING_LEVEL: 1}


def test_names_in_the_report_cannot_become_markup(base: Net) -> None:
    page = fault_page(streets(feature(BOW_TIE, name="<script>alert(1)</script>"), base=base), "<b>")
    assert "<script>alert" not in page
    assert "<b>" not in page.replace("<b>1</b>", "")


def test_the_report_needs_nothing_else(base: Net) -> None:
    page = fault_page(streets(feature(BOW_TIE, name="甲街道"), base=base), "核对")
    assert not [word for word in ("http://", "https://", "src=", "@import", "{{") if word in page]


# -- the command -----------------------------------------------------------------------------------------------------


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["net", "load", *map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1"})


def test_a_file_with_a_byte_order_mark_height_and_an_old_crs_member_loads(tmp_path: Path, base: Net) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    high = shapely.force_3d(square(1, 1), 7.0)
    source, below, out = tmp_path / "in.geojson", tmp_path / "base.json", tmp_path / "out.json.gz"
    source.write_text(json.dumps(collection(feature(high, name="甲街道"), crs=crs)), encoding="utf-8-sig")
    write_net(base, below)
    result = run(source, "--onto", below, "--cell-metres", 700, "--out", out)
    assert result.exit_code == 0, result.output
    assert "无差错" in result.stdout
    assert unit(read_net(out), "甲街道").parent == EAST


def test_the_command_writes_the_report_and_exits_1_where_something_is_wrong(tmp_path: Path, base: Net) -> None:
    source, below, out = tmp_path / "in.geojson", tmp_path / "base.json", tmp_path / "out.json"
    overlapping = feature(square(0, 0), name="甲街道"), feature(square(0.5, 0), name="乙街道")
    source.write_text(json.dumps(collection(*overlapping)))
    write_net(base, below)
    options = ("--onto", below, "--cell-metres", 700, "--out", out)
    result = run(source, *options, "--report", tmp_path / "faults.geojson", "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["counts"] == {"overlap": 1}
    assert said["net"] == read_net(out).version
    (there,) = json.loads((tmp_path / "faults.geojson").read_text())["features"]
    assert there["properties"]["features"] == [1, 2]
    assert shape(there["geometry"]).area == pytest.approx(0.5 * STEP**2)
    shown = run(source, *options, "--report", tmp_path / "faults.html")
    assert shown.exit_code == 1
    assert "重叠 · overlap" in shown.stdout
    assert "甲街道" in (tmp_path / "faults.html").read_text()


def test_what_is_broken_leaves_no_net_but_a_report(tmp_path: Path) -> None:
    source, out, page = tmp_path / "in.geojson", tmp_path / "out.json", tmp_path / "faults.html"
    source.write_text(json.dumps(collection(feature(BOW_TIE, name="甲街道"))))
    result = run(source, "--onto", "none", "--out", out, "--report", page)
    assert result.exit_code == 1
    assert not out.exists()
    assert "自相交" in page.read_text()


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("no json", (), "不是 UTF-8 编码的 JSON"),
        ('{"type": "Point"}', (), "不是 GeoJSON"),
        (json.dumps(collection(feature(square(0, 0), name="甲区"))), ("--name", "NAME"), "NAME"),
        (json.dumps(collection(feature(square(0, 0), name="甲区"))), ("--report", "faults.pdf"), ".html"),
        (json.dumps(collection(feature(square(0, 0), name="甲区"))), ("--cell-metres", 1), "网格过小"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(
    tmp_path: Path, content: str, options: tuple[object, ...], words: str
) -> None:
    source = tmp_path / "in.geojson"
    source.write_text(content)
    result = run(source, "--onto", "none", "--out", tmp_path / "out.json", *options)
    assert result.exit_code == 2
    assert words in result.stderr


def test_the_real_districts_are_known_by_name_and_their_one_gap_is_found() -> None:
    folder = os.environ.get("BEELINE_TEST_DATA")
    if not folder:
        pytest.skip("set BEELINE_TEST_DATA to the folder of shenzhen_districts10_wgs84.geojson")
    document = json.loads((Path(folder) / "shenzhen_districts10_wgs84.geojson").read_text(encoding="utf-8"))
    assert lies_in_shenzhen(document, None)
    loaded = load(document, Asked(level="district", cell_metres=3000), None)
    assert loaded.net is not None
    assert {"罗湖", "福田", "大鹏"} <= {each.name_zh for each in loaded.net.units}
    (gap,) = loaded.faults
    assert gap.kind is FaultKind.GAP
    assert {"龙华", "龙岗"} == {feature.label for feature in loaded.features if feature.number in gap.features}
    assert check(loaded.net).faults == ()
