"""What differs between two nets, and which open cases would move."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection
from typer.testing import CliRunner, Result

from domain.ids import cell_at, report_id
from domain.message import Envelope
from domain.net import Grid, Level, Net, Unit
from domain.place import Place
from domain.report import ReportSubmitted
from infra.bootstrap import Settings, running
from infra.cli.main import app
from infra.database import open_engine
from infra.embedded.directory import directory_of
from infra.net.diff import compare, moves_of
from infra.net.files import write_net
from infra.net.synthetic import tessellate
from infra.uuid7 import uuid7_at
from projections.cases import case_table
from projections.projector import create_tables
from projections.schema import upsert
from streams.record import NewRecord, Topic, partition_of
from tests.domain.smallville import (
    CITY_DESK,
    COMMUNITY,
    DIRECTORY,
    DISTRICT,
    EDITION,
    GRID_A,
    GRID_B,
    GRID_C,
    GRID_NESTED,
    NET,
    OTHER_COMMUNITY,
    PANEL,
)

IN_A, IN_B, IN_NESTED, FAR = 113.942, 113.944, 113.946, 113.9


def renamed(net: Net, code: str, **changes: object) -> Net:
    units = tuple(unit.model_copy(update=changes) if unit.code == code else unit for unit in net.units)
    return net.model_copy(update={"units": units})


def without(net: Net, code: str) -> Net:
    """The net without a grid."""
    left: dict[str, object] = {
        "units": tuple(unit for unit in net.units if unit.code != code),
        "grids": tuple(grid for grid in net.grids if grid.code != code),
    }
    return net.model_copy(update=left)


def widened(net: Net) -> Net:
    """Grid A reaches over grid B, which is gone."""
    ring = ((113.941, 22.528), (113.945, 22.528), (113.945, 22.532), (113.941, 22.532), (113.941, 22.528))
    grids: tuple[Grid, ...] = tuple(
        grid.model_copy(update={"rings": (ring,)}) if grid.code == GRID_A else grid
        for grid in without(net, GRID_B).grids
    )
    return without(net, GRID_B).model_copy(update={"grids": grids})


def test_a_net_does_not_differ_from_itself() -> None:
    differences = compare(NET, NET)
    assert differences.before == differences.after == NET.version
    for changes in (differences.units, differences.grids, differences.compounds):
        assert not any((changes.added, changes.removed, changes.renamed, changes.moved, changes.redrawn))


def test_what_is_added_removed_renamed_moved_and_redrawn_is_told_apart() -> None:
    new = Unit(code="440305002000", level=Level.STREET, parent=DISTRICT, name_zh="新街道", name_en="New street")
    other = renamed(renamed(widened(NET), OTHER_COMMUNITY, name_zh="新社区"), GRID_C, parent=OTHER_COMMUNITY)
    other = other.model_copy(update={"units": (*other.units, new), "compounds": other.compounds[:1]})
    differences = compare(NET, other)
    assert [change.code for change in differences.units.added] == [new.code]
    (name,) = differences.units.renamed
    assert (name.code, name.before, name.after) == (OTHER_COMMUNITY, OTHER_COMMUNITY, "新社区")
    assert [change.code for change in differences.grids.removed] == [GRID_B]
    assert [change.code for change in differences.grids.redrawn] == [GRID_A]
    (moved,) = differences.grids.moved
    assert (moved.code, moved.before, moved.after) == (GRID_C, COMMUNITY, OTHER_COMMUNITY)
    assert [change.code for change in differences.compounds.removed] == ["compound-2"]


def test_a_difference_is_the_same_read_backwards() -> None:
    there, back = compare(NET, widened(NET)), compare(widened(NET), NET)
    assert there.grids.removed == back.grids.added
    assert [change.code for change in there.grids.redrawn] == [change.code for change in back.grids.redrawn]


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = open_engine(None)
    create_tables(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def case(number: int, lon: float | None, category: str = "hazard", **more: object) -> dict[str, Any]:
    place = None if lon is None else Place(lon=lon, lat=22.53).model_dump(mode="json")
    named = {"name_zh": "小类", "name_en": "minor", "edition": EDITION.version, "owner": GRID_A, "status": "accepted"}
    return {"case_id": f"ws0000-{number}", "category": category, "place": place, **named, **more}


def test_the_open_cases_that_go_to_another_unit_are_listed_and_counted_by_district(connection: Connection) -> None:
    cases = [
        case(1, IN_A),
        case(2, IN_B, owner=GRID_B),
        case(3, IN_B, status="closed", owner=GRID_B),
        case(4, IN_B, "quarrel", owner=PANEL),
        case(5, FAR, owner=CITY_DESK),
        case(6, None, owner=CITY_DESK),
    ]
    upsert(connection, case_table, cases)
    found = moves_of(connection, DIRECTORY, replace(DIRECTORY, net=widened(NET)))
    assert found.open == 5
    (move,) = found.moves
    assert (move.case_id, move.from_unit, move.to_unit) == ("ws0000-2", GRID_B, GRID_A)
    assert found.stranded == ("ws0000-2",)
    counts = {row.code: (row.open, row.leaving, row.arriving, row.within) for row in found.districts}
    assert counts == {"": (2, 0, 0, 0), DISTRICT: (3, 0, 0, 1)}


def test_a_case_whose_ground_no_grid_covers_any_more_leaves_its_district(connection: Connection) -> None:
    upsert(connection, case_table, [case(1, IN_NESTED, owner=GRID_NESTED)])
    bare = without(without(without(without(NET, GRID_NESTED), GRID_C), GRID_B), GRID_A)
    found = moves_of(connection, DIRECTORY, replace(DIRECTORY, net=bare))
    assert [(move.from_unit, move.to_unit) for move in found.moves] == [(GRID_NESTED, CITY_DESK)]
    counts = {row.code: (row.open, row.leaving, row.arriving, row.within) for row in found.districts}
    assert counts == {"": (0, 0, 1, 0), DISTRICT: (1, 1, 0, 0)}


# -- the command -----------------------------------------------------------------------------------------------------

SQUARE = [[114.0, 22.5], [114.02, 22.5], [114.02, 22.52], [114.0, 22.52], [114.0, 22.5]]
START = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["net", "diff", *map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1"})


def town(cell_metres: float) -> Net:
    return tessellate({"type": "Polygon", "coordinates": [SQUARE]}, cell_metres, name="Testville")


async def three_cases(folder: Path, net: Net) -> None:
    """A folder with three open cases, each in a cell of its own."""
    async with running(Settings(data=folder, net=net, stepped_from=START), timer=False) as beeline:
        host = beeline.host
        for number, (lon, lat) in enumerate([(114.001, 22.501), (114.014, 22.505), (114.018, 22.519)]):
            uuid, cell = uuid7_at(host.now(), Random(number)), cell_at(lon, lat)
            data = ReportSubmitted(
                report=report_id(cell, uuid),
                reporter="r-1",
                category="H-0101",
                edition=host.directory.edition.version,
                place=Place(lon=lon, lat=lat),
                occurred_at=host.now(),
            )
            sealed = Envelope(uuid, "/test", data.report, host.now(), data, uuid).encode()
            partition = partition_of(cell, host.partitions)
            await host.append([NewRecord(Topic.REPORT_EVENTS, partition, cell, sealed, {"id": uuid})])
        assert await host.caught_up(30)


async def test_the_cases_of_a_folder_are_routed_under_its_current_net_and_another(tmp_path: Path) -> None:
    net, data, file = town(400), tmp_path / "data", tmp_path / "other.json"
    await three_cases(data, net)
    current = directory_of(data)
    assert current is not None
    assert current.net.version == net.version
    write_net(town(900), file)
    result = run("current", file, "--data", data, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["nets"]["before"] == net.version
    assert said["cases"]["open"] == 3
    for move in said["cases"]["moves"]:
        assert move["from_unit"] != move["to_unit"]
    assert said["cases"]["moves"]
    assert json.loads(run("current", "current", "--data", data, "--json").stdout)["cases"]["moves"] == []
    shown = run("current", file, "--data", data)
    assert shown.exit_code == 0
    assert f"未结案件 open cases: 3, 换单位 would move: {len(said['cases']['moves'])}" in shown.stdout


def test_two_files_are_compared_without_any_data(tmp_path: Path) -> None:
    write_net(town(400), tmp_path / "a.json")
    write_net(town(900), tmp_path / "b.json")
    result = run(tmp_path / "a.json", tmp_path / "b.json", "--data", tmp_path / "none")
    assert result.exit_code == 0
    assert "没有日志" in result.stdout
    missing = run("current", tmp_path / "b.json", "--data", tmp_path / "none")
    assert missing.exit_code == 2
    assert "没有现行网格" in missing.stderr
