"""The command line: what each command says, and how it says no. Exit 0: done, 1: findings, 2: not done, with the reason."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner, Result

from domain.case.events import CaseFiled
from domain.message import Actor, Role, decode_bytes, hash_of
from domain.net import Net
from domain.report import ReportSubmitted
from infra.cli.main import app
from infra.identity import Identity
from infra.net.files import read_net, write_net
from tests.e2e.conftest import BEELINE, SQUARE, beeline, free_port
from tests.e2e.town import PHOTO, Town, running_town


def run(*arguments: object) -> Result:
    """The command line within this process: starting one takes seconds."""
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200", "NO_COLOR": "1"})


def says_no(result: Result, *words: str) -> None:
    """Exit 2 with a sentence, nothing on stdout, no traceback."""
    assert (result.exit_code, result.stdout) == (2, ""), (result.exit_code, result.output, result.exception)
    assert all(word in result.stderr for word in words), result.stderr


def last_line(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, (result.output, result.exception)
    document: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return document


# -- help ----------------------------------------------------------------------------------------------------------


def _commands(command: object, *path: str) -> Iterator[tuple[str, ...]]:
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from _commands(inner, *path, name)
    else:
        yield path


COMMANDS = sorted(_commands(get_command(app)))


def test_the_command_line_has_what_was_promised() -> None:
    promised = ["serve", "demo", "simulate", "import", "indicator", "events", "case"]
    promised += ["audit", "rebuild", "digest", "token", "schema"]
    promised += [f"net {name}" for name in ("build", "tessellate", "load", "diff", "check", "activate")]
    assert sorted(promised) == [" ".join(path) for path in COMMANDS]


@pytest.mark.parametrize("path", [(), ("net",), *COMMANDS], ids=" ".join)
def test_every_command_explains_itself_in_chinese_and_english(path: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        result = run(*path, flag)
        assert result.exit_code == 0
        assert "Usage: " in result.stdout
        assert " · " in result.stdout


def test_an_unknown_command_is_named() -> None:
    says_no(run("dance"), "dance")


# -- token ---------------------------------------------------------------------------------------------------------


def test_a_token_speaks_for_one_person_with_all_roles_and_units(tmp_path: Path) -> None:
    roles = ("--role", "reporter", "--role", "part_time_worker")
    result = run("token", *roles, "--unit", "990101001001", "--sub", "r-1", "--data", tmp_path / "data")
    assert result.exit_code == 0, result.stderr
    actor = Identity(tmp_path / "data").verify(result.stdout.strip())
    assert actor == Actor(person="r-1", roles=(Role.REPORTER, Role.PART_TIME_WORKER), units=("990101001001",))
    assert S_IMODE((tmp_path / "data" / "identity.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((), "--role"), (("--role", "king"), "king"), (("--role", "system"), "system"), (("--hours", "0"), "--hours")],
)
def test_a_token_that_nobody_may_have_is_not_made(tmp_path: Path, arguments: tuple[str, ...], word: str) -> None:
    says_no(run("token", *arguments, "--data", tmp_path / "data"), word)
    assert not (tmp_path / "data").exists()


# -- net -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def boundary(tmp_path: Path) -> Path:
    file = tmp_path / "boundary.geojson"
    file.write_text(json.dumps({"type": "Polygon", "coordinates": [SQUARE]}))
    return file


def test_a_boundary_becomes_a_net_without_faults(tmp_path: Path, boundary: Path) -> None:
    out = tmp_path / "net.json.gz"
    made = run("net", "tessellate", boundary, "--cell-metres", 400, "--out", out, "--name", "Testville")
    assert made.exit_code == 0, made.output
    assert "synthetic" in made.stderr
    report = last_line(run("net", "check", out, "--json"))
    assert (report["grids"], report["synthetic"], report["faults"]) == (len(read_net(out).grids), True, [])
    shown = run("net", "check", out)
    assert "no faults" in shown.stdout
    assert "synthetic" in shown.stdout


def test_a_net_with_a_fault_is_named_with_its_code(tmp_path: Path, small_net: Net) -> None:
    first, *rest = small_net.grids
    write_net(
        small_net.model_copy(update={"grids": (first.model_copy(update={"owner": "w-ghost"}), *rest)}), tmp_path / "n"
    )
    result = run("net", "check", tmp_path / "n")
    assert result.exit_code == 1
    assert f"grid {first.code}: its owner w-ghost" in result.stdout


@pytest.mark.parametrize("content", [b"", b"[]", b'{"type": "Polygon"}', b"\x1f\x8b"])
def test_what_is_no_net_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "net.json"
    file.write_bytes(content)
    says_no(run("net", "check", file), str(file), "beeline net tessellate")
    says_no(run("net", "check", tmp_path / "missing.json"), "missing.json")


BAD_BOUNDARIES = {
    "is not JSON": "{",
    "at least one feature": '{"type": "FeatureCollection", "features": []}',
    "give a FeatureCollection": "[7]",
    "only a polygon": json.dumps({"type": "Feature", "geometry": {"type": "Point", "coordinates": [114, 22.5]}}),
    "cannot be read": json.dumps({"type": "Polygon", "coordinates": [[["x", 1], [2, 3], [4, 5], ["x", 1]]]}),
    "WGS-84": json.dumps({"type": "Polygon", "coordinates": [[[800, 1], [801, 1], [801, 2], [800, 1]]]}),
    "Self-intersection": json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}),
}


@pytest.mark.parametrize("reason", BAD_BOUNDARIES)
def test_a_boundary_that_cannot_be_cut_says_why(tmp_path: Path, reason: str) -> None:
    file = tmp_path / "boundary.geojson"
    file.write_text(BAD_BOUNDARIES[reason])
    says_no(run("net", "tessellate", file, "--cell-metres", 400, "--out", tmp_path / "n.json"), str(file), reason)
    assert not (tmp_path / "n.json").exists()


@pytest.mark.parametrize(
    ("metres", "word"),
    [("0", "--cell-metres"), ("-5", "--cell-metres"), ("wide", "--cell-metres"), ("1", "or more"), ("9e5", "smaller")],
)
def test_a_size_that_gives_no_grids_or_too_many_says_what_to_try(boundary: Path, metres: str, word: str) -> None:
    out = boundary.parent / "n.json"
    says_no(run("net", "tessellate", boundary, "--cell-metres", metres, "--out", out), word)
    assert not out.exists()


def test_a_boundary_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    says_no(run("net", "tessellate", tmp_path / "none.geojson", "--cell-metres", 400), "none.geojson", "No such file")


# -- a folder without a log ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [("audit",), ("events",), ("case", "ws0000-1"), ("rebuild",), ("digest",), ("indicator", "backlog")],
    ids=lambda command: command[0],
)
def test_a_folder_without_a_log_is_named_and_left_alone(tmp_path: Path, command: tuple[str, ...]) -> None:
    says_no(run(*command, "--data", tmp_path / "none"), str(tmp_path / "none"), "there is no log", "beeline serve")
    assert not (tmp_path / "none").exists()


# -- whatever is wrong -------------------------------------------------------------------------------------------------

UNUSUAL: dict[str, tuple[str, ...]] = {
    "brackets in a name": ("audit", "--data", "{folder}/no[/b]where"),
    "more brackets": ("net", "tessellate", "{folder}/[red].geojson", "--cell-metres", "400"),
    "a file for a folder": ("token", "--role", "reporter", "--data", "{file}"),
    "a log in a file": ("serve", "--data", "{file}", "--port", "0"),
    "nowhere to write": ("net", "tessellate", "{boundary}", "--cell-metres", "400", "--out", "{folder}/none/net.json"),
    "a schema into a file": ("schema", "--out", "{file}"),
    "half a gzip": ("net", "check", "{half}"),
    "a log that is none": ("events", "--data", "{junk}"),
}


@pytest.mark.parametrize("what", UNUSUAL)
def test_whatever_is_wrong_is_said_in_a_sentence(tmp_path: Path, boundary: Path, small_net: Net, what: str) -> None:
    file, half, junk = tmp_path / "file", tmp_path / "half.json.gz", tmp_path / "junk"
    file.write_text("dear all")
    write_net(small_net, half)
    half.write_bytes(half.read_bytes()[:500])
    junk.mkdir()
    (junk / "log.db").write_bytes(b"dear all" * 512)
    named = {"folder": tmp_path, "file": file, "boundary": boundary, "half": half, "junk": junk}
    arguments = [part.format_map(named) for part in UNUSUAL[what]]
    (culprit,) = (part for part in arguments if str(tmp_path) in part and part != str(boundary))
    says_no(run(*arguments), culprit)


# -- simulate and schema -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_seed_reproduces_a_simulation() -> None:
    first, again = (last_line(run("simulate", "--seed", 5, "--days", 0.4, "--json")) for _ in range(2))
    assert first == again
    assert (first["seed"], first["audit"]) == (5, "ok")
    events = first["events"]
    assert isinstance(events, dict)
    assert events["beeline.case.filed.v1"] > 0


def test_the_schema_names_every_topic(tmp_path: Path) -> None:
    assert run("schema", "--out", tmp_path).exit_code == 0
    document = json.loads((tmp_path / "asyncapi.json").read_text())
    assert document["asyncapi"].startswith("3.")
    assert "beeline.case.events.v1" in {channel["address"] for channel in document["channels"].values()}


# -- beside a running server -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, small_net: Net) -> Iterator[Town]:
    with running_town(tmp_path_factory.mktemp("cli"), small_net) as running:
        yield running


@pytest.fixture(scope="module")
def closed_case(town: Town) -> str:
    """A case that went its whole way."""
    case, grid = town.filed(town.rider("r-cli"), description="井盖没了")
    worker = town.staff(Role.GRID_WORKER, grid)
    town.done(case, "AcceptDispatch", worker)
    town.done(case, "CompleteHandling", worker, evidence=PHOTO)
    town.done(case, "PassInspection", town.staff(Role.INSPECTOR, town.org.ancestors(grid)[0]))
    return case


@pytest.mark.slow
def test_a_token_from_the_command_line_opens_the_server(town: Town, closed_case: str) -> None:
    data = town.server.data
    token = run("token", "--role", "administrator", "--data", data).stdout.strip()
    assert town.get(f"/v1/cases/{closed_case}", token).status == 200


@pytest.mark.slow
def test_the_events_of_a_case_are_cloud_events_in_an_unbroken_chain(town: Town, closed_case: str) -> None:
    shown = run("events", "--case", closed_case.upper(), "--json", "--data", town.server.data)
    assert shown.exit_code == 0, shown.stderr
    lines = [line.encode() for line in shown.stdout.splitlines()]
    events = [decode_bytes(line) for line in lines]
    assert {event.subject for event in events} == {closed_case}
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6]
    assert isinstance(events[0].data, CaseFiled)
    assert [hash_of(line) for line in lines] == [event.hash for event in events]
    assert [event.previoushash for event in events[1:]] == [event.hash for event in events[:-1]]


@pytest.mark.slow
def test_the_log_is_shown_without_what_a_person_wrote(town: Town, closed_case: str) -> None:
    data = town.server.data
    whole, raw = run("events", "--data", data), run("events", "--json", "--data", data)
    for word in ("ReportSubmitted", "CaseFiled", "PointsAwarded", closed_case):
        assert word in whole.stdout
    for shown in (whole, raw):
        assert "井盖没了" not in shown.stdout
    assert any(isinstance(decode_bytes(line.encode()).data, ReportSubmitted) for line in raw.stdout.splitlines())
    assert len(run("events", "--limit", 2, "--json", "--data", data).stdout.splitlines()) == 2
    assert run("events", "--case", "ws0000-77", "--data", data).stdout == ""


@pytest.mark.slow
@pytest.mark.usefixtures("closed_case")
def test_following_the_log_shows_what_comes(town: Town) -> None:
    command = [BEELINE, "events", "--follow", "--json", "--data", town.server.data]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE) as follower:
        try:
            assert follower.stdout is not None
            assert decode_bytes(follower.stdout.readline())
            new = town.submit(town.report())["case_id"]
            assert any(decode_bytes(line).subject == new for line in follower.stdout)
            follower.send_signal(signal.SIGINT)
            assert follower.wait(10) == 0
        finally:
            follower.kill()


@pytest.mark.slow
def test_a_case_is_shown_with_its_timeline(town: Town, closed_case: str) -> None:
    data = town.server.data
    shown = run("case", closed_case.upper(), "--data", data)
    assert shown.exit_code == 0, shown.stderr
    for word in (closed_case, "closed", "case.filed", "dispatch.accepted", "case.closed", " · "):
        assert word in shown.stdout
    document = last_line(run("case", closed_case, "--json", "--data", data))
    seen, stored = town.case(closed_case)["case"], document["case"]
    assert isinstance(stored, dict)
    assert (stored["case_id"], stored["outcome"], stored["version"]) == (closed_case, "resolved", seen["version"])
    says_no(run("case", "ws0000-77", "--data", data), "there is no case ws0000-77")


@pytest.mark.slow
@pytest.mark.usefixtures("closed_case")
def test_the_deep_audit_passes_beside_the_running_server(town: Town) -> None:
    result = run("audit", "--deep", "--json", "--data", town.server.data)
    assert "a server runs here" in result.stderr
    found = last_line(result)
    assert (found["audit"], found["findings"]) == ("ok", [])
    assert (found["read_models_differ"], found["statements_changed"]) == ([], [])
    assert int(str(found["outstanding_points"])) >= 22
    readable = run("audit", "--data", town.server.data)
    assert json.loads(readable.stdout)["audit"] == "ok"


@pytest.mark.slow
def test_a_second_server_on_the_folder_says_which_process_holds_it(town: Town) -> None:
    second = beeline("serve", "--data", town.server.data, "--port", free_port())
    assert town.server.process is not None
    assert (second.returncode, second.stdout) == (2, "")
    assert f"process {town.server.process.pid} writes the log" in second.stderr
    assert "Traceback" not in second.stderr
    assert town.server.is_ready()


@pytest.mark.slow
def test_a_port_that_is_taken_is_named(town: Town, tmp_path: Path) -> None:
    port = town.server.port
    second = beeline("serve", "--data", tmp_path / "data", "--port", port, "--net", town.server.net_file)
    assert second.returncode == 2
    assert f"127.0.0.1:{port}" in second.stderr
    assert "choose another --port" in second.stderr
    assert "Traceback" not in second.stderr


# -- after a server has ended ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, small_net: Net) -> Path:
    """The data folder of a server that has ended."""
    folder = tmp_path_factory.mktemp("ended")
    with running_town(folder, small_net) as town:
        town.filed()
    return folder / "data"


@pytest.mark.slow
def test_the_audit_needs_no_server(ended: Path) -> None:
    result = run("audit", "--deep", "--json", "--data", ended)
    assert "no server runs here" in result.stderr
    found = last_line(result)
    assert (found["audit"], found["reports"], found["cases"]) == ("ok", 1, 1)


@pytest.mark.slow
def test_a_log_keeps_its_number_of_partitions(ended: Path) -> None:
    refused = beeline("serve", "--data", ended, "--partitions", 9, "--port", free_port())
    assert refused.returncode == 2
    assert "partitions" in refused.stderr
    assert "Traceback" not in refused.stderr
