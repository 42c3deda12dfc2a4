"""`beeline import`: another city's export, unchanged, on a net of its own, twice; and what makes it say no."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from domain.net import Net
from infra.cli.main import app
from infra.net.files import write_net
from infra.net.synthetic import tessellate

FIXTURES = Path(__file__).parent.parent / "fixtures"
CASES, TRIPS = FIXTURES / "cases_open_dt.csv", FIXTURES / "trips.csv"
HARBOUR = [[-30.02, 40.0], [-30.0, 40.0], [-30.0, 40.02], [-30.02, 40.02], [-30.02, 40.0]]
CODES = {"Graffiti": "C-0102", "Street Light Out": "H-0103", "Overflowing Trash Can": "C-0103"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200", "NO_COLOR": "1"})


def numbers(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, (result.output, result.exception)
    document: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return document


@pytest.fixture
def harbour(tmp_path: Path) -> Path:
    """The net of another city."""
    file = tmp_path / "harbour.json"
    write_net(tessellate({"type": "Polygon", "coordinates": [HARBOUR]}, 400, name="Harbour"), file)
    return file


@pytest.fixture
def category_map(tmp_path: Path) -> Path:
    """The template, filled in."""
    file = tmp_path / "map.csv"
    made = run("import", CASES, "--map-template", file, "--data", tmp_path / "none")
    assert (made.exit_code, made.stdout) == (0, "")
    assert not (tmp_path / "none").exists()
    with file.open(encoding="utf-8-sig", newline="") as opened:
        header, *found = csv.reader(opened)
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([header, *([value, n, CODES.get(value, "")] for value, n, *_ in found)])
    return file


@pytest.mark.slow
def test_a_history_is_imported_once_and_its_rejects_are_explained(
    tmp_path: Path, harbour: Path, category_map: Path
) -> None:
    data = tmp_path / "data"
    command = ("import", CASES, "--data", data, "--zone", "America/New_York", "--map", category_map, "--json")
    first = numbers(run(*command, "--net", harbour))
    assert [first[name] for name in ("rows", "imported", "known", "repeated", "rejected")] == [17, 5, 0, 1, 11]
    assert [first[name] for name in ("filed", "attached", "closed")] == [4, 1, 2]
    assert first["first"] == "2023-03-10T08:15:00-05:00"
    again = numbers(run(*command, "--net", harbour))
    assert [again[name] for name in ("imported", "known", "rejected")] == [0, 5, 11]
    with (data / "cases_open_dt.csv.rejects.csv").open(encoding="utf-8-sig", newline="") as file:
        rejects = list(csv.DictReader(file))
    assert len(rejects) == 11
    assert rejects[0]["line"] == "5"
    assert "closed before it was reported" in rejects[0]["reason"]
    audit = numbers(run("audit", "--deep", "--json", "--data", data))
    assert (audit["audit"], audit["reports"], audit["cases"]) == ("ok", 5, 4)


@pytest.mark.slow
def test_what_was_settled_and_left_out_is_said(tmp_path: Path, harbour: Path) -> None:
    rejects = tmp_path / "elsewhere" / "bad.csv"
    options = ("--zone", "America/New_York", "--category-value", "C-0102", "--net", harbour, "--rejects", rejects)
    result = run("import", FIXTURES / "cases_created_date.csv", "--data", tmp_path / "data", *options)
    assert (result.exit_code, result.stdout) == (0, "")
    for words in ("month/day/year", "Unique Key", "WGS-84", "before 1970", str(rejects)):
        assert words in result.stderr
    assert rejects.exists()


@pytest.mark.slow
def test_a_history_does_not_go_before_what_is_there(tmp_path: Path, harbour: Path) -> None:
    later, earlier = tmp_path / "later.csv", tmp_path / "earlier.csv"
    later.write_text("time,lon,lat,category\n2023-01-02 10:00,-30.01,40.01,H-0103\n")
    earlier.write_text("time,lon,lat,category\n2023-01-01 10:00,-30.01,40.01,H-0103\n")
    options = ("--data", tmp_path / "data", "--zone", "America/New_York", "--json")
    assert numbers(run("import", later, *options, "--net", harbour))["imported"] == 1
    refused = run("import", earlier, *options)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "end of the log" in refused.stderr
    assert numbers(run("audit", "--json", "--data", tmp_path / "data"))["reports"] == 1


@pytest.mark.slow
def test_what_lies_outside_the_net_and_what_never_closes_is_said(tmp_path: Path, harbour: Path) -> None:
    file = tmp_path / "cases.csv"
    file.write_text(
        "工单编号,受理时间,经度,纬度,诉求类别,诉求内容\n"
        "1,2023-01-02 10:00,-30.01,40.01,H-0103,路灯不亮\n"
        "2,2023-01-02 11:00,-31.5,40.01,H-0103,外地\n"
        "3,2023-01-02 12:00,,,H-0103,没说在哪\n",
        encoding="gb18030",
    )
    options = ("--data", tmp_path / "data", "--zone", "America/New_York", "--json")
    result = run("import", file, *options, "--net", harbour)
    found = numbers(result)
    assert [found[name] for name in ("imported", "filed", "outside", "closed")] == [3, 3, 2, 0]
    assert "outside the net" in result.stderr
    assert "no column of closing times" in result.stderr


FULL_DISK = """
import resource, sys
from infra.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("file_kilobytes", [100, 400])
def test_a_disk_that_is_full_ends_in_a_sentence_and_the_same_command_goes_on(
    tmp_path: Path, harbour: Path, file_kilobytes: int
) -> None:
    options = ("--zone", "America/New_York", "--category-value", "H-0103", "--net", str(harbour))
    command = ("import", str(CASES), "--data", str(tmp_path / "data"), *options)
    full = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file_kilobytes * 1024), *command],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert full.returncode == 2, full.stderr
    assert "disk I/O error. 再次运行同一命令即可继续 · the same command goes on" in full.stderr
    assert numbers(run(*command, "--json"))["rejected"] == 10
    assert numbers(run("audit", "--deep", "--json", "--data", tmp_path / "data"))["reports"] == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((CASES,), ("4 categories", "--map-template")),
        ((CASES, "--category-value", "H-0103"), ("--zone America/New_York",)),
        ((CASES, "--category-value", "H-9999", "--zone", "UTC"), ("H-9999", "no code")),
        ((CASES, "--time", "opened", "--zone", "UTC"), ("--time opened", "case_enquiry_id, open_dt")),
        ((TRIPS,), ("--category", "--category-value CODE")),
        ((TRIPS, "--category-value", "H-0103", "--encoding", "klingon"), ("klingon",)),
        ((TRIPS, "--category-value", "H-0103", "--time-format", "%H"), ("no time can be read", "--time-format")),
        ((FIXTURES / "nothing.csv",), ("nothing.csv",)),
        ((FIXTURES,), ("fixtures",)),
        ((TRIPS, "--category-value", "H-0103", "--net", CASES), ("cases_open_dt.csv", "is no net")),
        ((TRIPS, "--map-template", TRIPS, "--category", "Lng"), ("trips.csv", "exists")),
    ],
)
def test_input_of_no_use_ends_in_a_sentence_and_leaves_nothing_behind(
    tmp_path: Path, arguments: tuple[object, ...], words: tuple[str, ...]
) -> None:
    result = run("import", *arguments, "--data", tmp_path / "data")
    assert (result.exit_code, result.stdout) == (2, ""), (result.output, result.exception)
    assert all(word in result.stderr for word in words), result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
@pytest.mark.skipif("BEELINE_TEST_DATA" not in os.environ, reason="the real trips lie in BEELINE_TEST_DATA")
def test_real_trips_become_reports_where_they_end(tmp_path: Path, small_net: Net) -> None:
    trips, some = Path(os.environ["BEELINE_TEST_DATA"]) / "shenzhen_taxi_trips_10619.csv", tmp_path / "some.csv"
    with trips.open(encoding="utf-8") as file:
        some.write_text("".join(islice(file, 301)), encoding="utf-8")
    net = tmp_path / "net.json"
    write_net(small_net, net)
    options = ("--category-value", "H-0103", "--net", net, "--data", tmp_path / "data", "--json")
    first = numbers(run("import", some, *options))
    assert (first["rows"], first["imported"], first["rejected"]) == (300, 300, 0)
    assert first["zone"] == "Asia/Shanghai"
    again = numbers(run("import", some, *options))
    assert (again["imported"], again["known"]) == (0, 300)
    assert numbers(run("audit", "--deep", "--json", "--data", tmp_path / "data"))["audit"] == "ok"
