"""`beeline indicator` as a table, CSV, JSON and a drawing, beside a server and without one."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from domain.message import Role
from domain.net import Level, Net
from infra.cli.main import app
from infra.indicators import described
from projections.indicators.definitions import INDICATORS
from tests.e2e.town import Town, running_town
from tests.http.city import City, city_in

PHOTO = {"photo": "photo-1"}


def run(*arguments: object, width: int = 200) -> Result:
    return CliRunner().invoke(
        app, ["indicator", *map(str, arguments)], env={"COLUMNS": str(width), "NO_COLOR": "1", "TERM": "dumb"}
    )


def said(*arguments: object, width: int = 200) -> str:
    result = run(*arguments, width=width)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a city that has stopped at noon of 2 March 2026: two hazards, one of them closed, and rubbish."""
    folder = tmp_path_factory.mktemp("numbers")

    async def live() -> None:
        async with city_in(folder) as city:
            await close(city, await city.filed(category="H-0101"))
            await city.filed(category="H-0101")
            await city.filed(category="C-0101")
            assert await city.node.host.caught_up(5)

    asyncio.run(live())
    return folder


async def close(city: City, case_id: str) -> None:
    grid = await city.unit_of(case_id)
    worker = city.staff(Role.GRID_WORKER, grid, "li")
    await city.ask(case_id, "AcceptDispatch", worker)
    await city.ask(case_id, "CompleteHandling", worker, evidence=PHOTO)
    answer = await city.ask(case_id, "PassInspection", city.staff(Role.INSPECTOR, city.above(grid, Level.COMMUNITY)))
    assert answer.status == 200, answer


# -- what there is -----------------------------------------------------------------------------------------------------


def test_without_a_name_the_definitions_are_listed() -> None:
    shown = said()
    for each in INDICATORS:
        assert each.name in shown
        assert f"{each.name_zh} · {each.name_en}" in shown
    listed = json.loads(said("--format", "json"))
    assert listed == [each.model_dump(mode="json") for each in described()]


# -- one answer, four ways ---------------------------------------------------------------------------------------------


def test_a_table_says_what_it_shows(data: Path) -> None:
    shown = said("closing_rate", "--by", "family", "--data", data)
    for words in (
        "结案率 · Closing rate",
        "暂定 · provisional",
        "2026-03-01 00:00:00 – 2026-04-01 00:00:00 (Asia/Shanghai)",
        "截至 as of   2026-04-01 00:01:00",
        "complete until 2026-03-02 12:00:00",
        "lag 0",
    ):
        assert words in shown
    assert "安全隐患 · Safety hazard (hazard)" in said("filing_rate", "--by", "family", "--data", data)
    ended = said("filing_rate", "--period", "2026-02", "--data", data)
    assert "provisional" not in ended
    filtered = said("backlog", "--family", "civility", "--data", data)
    assert "范围 only    family 文明城市 · Civility (civility)" in filtered
    assert "无 · nothing in the period" in said("escalations", "--by", "day", "--data", data)


def test_csv_has_a_column_for_every_key_and_measure(data: Path) -> None:
    rows = list(
        csv.DictReader(
            io.StringIO(said("filing_rate", "--by", "family", "--by", "day", "--format", "csv", "--data", data))
        )
    )
    assert [(row["family"], row["family_en"], row["day"], row["value"], row["filed"]) for row in rows] == [
        ("civility", "Civility", "2026-03-02", "100.0", "1"),
        ("hazard", "Safety hazard", "2026-03-02", "100.0", "2"),
    ]
    assert {(row["indicator"], row["version"], row["period"], row["provisional"]) for row in rows} == {
        ("filing_rate", "v1", "2026-03", "true")
    }
    empty = said("closing_rate", "--period", "2026-02", "--format", "csv", "--data", data)
    assert empty.splitlines()[1].endswith("false,,0,0")


def test_json_is_the_whole_answer(data: Path) -> None:
    told: dict[str, Any] = json.loads(said("backlog", "--by", "worker", "--format", "json", "--data", data))
    assert (told["as_of"], told["provisional"], told["lag_records"]) == ("2026-03-02T04:00:00Z", True, 0)
    assert [(line["key"], line["value"]) for line in told["lines"]] == [({"worker": None}, 2)]
    done = json.loads(said("resolution_time", "--worker", "li", "--format", "json", "--data", data))
    assert (done["filters"], done["lines"][0]["measures"]["count"]) == ({"worker": "li"}, 1)
    elsewhere = json.loads(said("filing_rate", "--zone", "UTC", "--format", "json", "--data", data))
    assert (elsewhere["zone"], elsewhere["start"]) == ("UTC", "2026-03-01T00:00:00Z")


def test_over_time_it_is_drawn_as_columns_and_by_anything_else_as_bars(data: Path) -> None:
    columns = said("filing_rate", "--by", "day", "--format", "plot", "--data", data).splitlines()
    assert [line for line in columns if "100.00 % │" in line]
    assert columns[-1].split() == ["03-01", "02"]
    assert sum("█" in line for line in columns) == 8
    bars = said("backlog", "--by", "family", "--format", "plot", "--data", data).splitlines()
    (hazard,) = (line for line in bars if "安全隐患" in line)
    (rubbish,) = (line for line in bars if "文明城市" in line)
    assert hazard.count("█") == rubbish.count("█") == 40
    assert hazard.split()[-1] == "1"
    one = said("points", "--format", "plot", "--data", data)
    assert "积分" in one.splitlines()[-1]


def test_a_year_of_days_that_does_not_fit_becomes_bars(data: Path) -> None:
    narrow = said("filing_rate", "--period", "2026", "--by", "day", "--format", "plot", "--data", data, width=60)
    assert "│" not in narrow
    assert "2026-03-02" in narrow


def test_the_same_question_is_answered_the_same_by_a_statement(data: Path) -> None:
    first = said("filing_rate", "--period", "2026-03-01", "--data", data)
    assert "provisional" not in first
    assert said("filing_rate", "--period", "2026-03-01", "--data", data) == first


# -- saying no ---------------------------------------------------------------------------------------------------------

WRONG = {
    "NAME": ("nonsense",),
    "--version": ("backlog", "--version", "v9"),
    "--period": ("backlog", "--period", "soon"),
    "--as-of": ("backlog", "--as-of", "soon"),
    "--unit": ("backlog", "--unit", "nowhere"),
    "--family": ("backlog", "--family", "nothing"),
    "--by": ("backlog", "--by", "month"),
    "--zone": ("backlog", "--zone", "Mars"),
}


@pytest.mark.parametrize("option", WRONG)
def test_a_wrong_question_names_the_option_and_says_what_there_is(data: Path, option: str) -> None:
    result = run(*WRONG[option], "--data", data)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert f"{option}: " in result.stderr
    assert " · " in result.stderr


def test_a_folder_without_a_log_is_left_alone(tmp_path: Path) -> None:
    result = run("backlog", "--data", tmp_path / "none")
    assert result.exit_code == 2
    assert "there is no log" in result.stderr
    assert not (tmp_path / "none").exists()


# -- beside a running server -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, small_net: Net) -> Iterator[Town]:
    with running_town(tmp_path_factory.mktemp("asked"), small_net) as running:
        yield running


@pytest.mark.slow
def test_command_line_and_server_say_the_same(town: Town) -> None:
    town.filed()
    token = town.server.token("root", Role.ADMINISTRATOR)
    over_http = town.get("/v1/indicators/filing_rate?by=family", token).body
    here = json.loads(said("filing_rate", "--by", "family", "--format", "json", "--data", town.server.data))
    for name in ("lines", "names", "start", "end", "as_of", "provisional", "zone"):
        assert here[name] == over_http[name]
