"""One report's way through a real server: to its grid, through its case, to its rider's points; and what is turned away."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from resource import RLIM_INFINITY, RLIMIT_FSIZE, prlimit

import pytest

from domain.message import Role
from domain.net import Level, Net
from tests.e2e.conftest import Answer, Server, beeline
from tests.e2e.town import PHOTO, SOON_SECONDS, Town, running_town

pytestmark = pytest.mark.slow

QUARREL, UNPAID_WAGE = "D-0101", "D-0301"
POINTS_FOR_A_MANHOLE = 2 + 20
"""On filing and on resolution: reward class A, severity 4."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, small_net: Net) -> Iterator[Town]:
    with running_town(tmp_path_factory.mktemp("town"), small_net) as running:
        yield running


def pointers(answer: Answer) -> list[str]:
    """The fields that a problem points at."""
    assert answer.headers["content-type"] == "application/problem+json", answer
    assert answer.body["status"] == answer.status
    return [error["pointer"] for error in answer.body.get("errors", ())]


def refusal(answer: Answer) -> tuple[int, str]:
    """Status and name of a refusal, which is told in Chinese and English."""
    assert answer.headers["content-type"] == "application/problem+json", answer
    assert " · " in answer.body["title"]
    return answer.status, answer.body["reason"]


# -- the way -------------------------------------------------------------------------------------------------------


def test_a_report_goes_its_whole_way(town: Town) -> None:
    rider = town.rider("r-way")
    taken = town.submit(town.report(description="井盖没了 · the cover is gone"), rider)
    assert taken["status"] == "filed"
    case = taken["case_id"]
    grid = town.case(case)["case"]["owner"]
    worker, inspector = (
        town.staff(Role.GRID_WORKER, grid),
        town.staff(Role.INSPECTOR, town.above(grid, Level.COMMUNITY)),
    )

    line = town.queue(grid, worker)[case]
    assert (line["role"], line["status"], line["stage"], line["severity"]) == ("owner", "dispatched", "accept", 4)
    town.balance("r-way", 2)

    assert town.done(case, "AcceptDispatch", worker) == ["dispatch.accepted"]
    assert town.queue(grid, worker)[case]["stage"] == "handle"
    assert refusal(town.ask(case, "CompleteHandling", worker)) == (422, "EvidenceMissing")
    assert town.done(case, "CompleteHandling", worker, evidence=PHOTO, note="换了新井盖") == ["handling.completed"]
    assert town.done(case, "PassInspection", inspector) == ["inspection.passed", "case.closed"]
    assert case not in town.queue(grid, worker)

    closed = town.case(case)
    assert {name: closed["case"][name] for name in ("status", "outcome", "on_time")} == {
        "status": "closed",
        "outcome": "resolved",
        "on_time": True,
    }
    assert "换了新井盖" in [entry["note"] for entry in closed["timeline"]]

    account = town.balance("r-way", POINTS_FOR_A_MANHOLE)
    assert [(entry["kind"], entry["case_id"]) for entry in account["entries"]] == [
        ("resolution", case),
        ("filing", case),
    ]

    assert town.done(case, "RateOutcome", rider, score=5) == ["outcome.rated"]
    assert refusal(town.ask(case, "RateOutcome", rider, score=1)) == (409, "AlreadyRated")
    told = [entry["type"].split(".", 1)[1] for entry in town.case(case)["timeline"]]
    assert told == [
        "case.filed.v1",
        "case.dispatched.v1",
        "dispatch.accepted.v1",
        "handling.completed.v1",
        "inspection.passed.v1",
        "case.closed.v1",
        "outcome.rated.v1",
    ]


def test_a_failed_inspection_is_reworked_by_the_holder(town: Town) -> None:
    case, grid = town.filed()
    worker, inspector = town.staff(Role.GRID_WORKER, grid), town.staff(Role.INSPECTOR, town.above(grid, Level.STREET))
    town.done(case, "AcceptDispatch", worker)
    town.done(case, "CompleteHandling", worker, evidence=PHOTO)
    assert town.done(case, "FailInspection", inspector, reason="still loose") == ["inspection.failed"]
    assert town.queue(grid, worker)[case]["status"] == "accepted"
    town.done(case, "CompleteHandling", worker, evidence=PHOTO)
    town.done(case, "PassInspection", inspector)
    assert town.case(case)["case"]["failed_inspections"] == 1


def test_a_second_riders_report_of_the_same_matter_joins_the_case_for_one_point(town: Town) -> None:
    first = town.report()
    case = town.submit(first, town.rider("r-first"))["case_id"]
    nearby = {"lon": first["place"]["lon"] + 0.0001, "lat": first["place"]["lat"]}
    second = town.submit(town.report(place=nearby), town.rider("r-second"))
    assert (second["status"], second["case_id"]) == ("attached", case)
    assert town.case(case)["case"]["reports"] == 2
    assert town.balance("r-second", 1)["entries"][0]["kind"] == "co_report"
    town.balance("r-first", 2)


def test_a_confidential_wage_claim_waits_for_the_dispatcher_of_its_community(town: Town) -> None:
    taken = town.submit(town.report(category=UNPAID_WAGE), town.rider("r-wage"))
    assert (taken["status"], taken["case_id"]) == ("held", None)
    top = town.org.city
    city = town.staff(Role.DISPATCHER, top)
    assert town.queue(top, city, "?subtree=true&limit=500")[taken["id"]]["kind"] == "held_report"
    body = {"id": town.uuid(), "type": "AdmitReport", "data": {}}
    answer = town.post(f"/v1/reports/{taken['id']}/commands", body, city)
    assert (answer.status, answer.body["outcome"]) == (200, "applied"), answer
    seen = town.get(f"/v1/reports/{taken['uuid']}", town.rider("r-wage")).body
    assert seen["status"] == "filed"
    assert town.case(seen["case_id"])["case"]["visibility"] == "confidential"


def test_a_report_is_found_by_its_bare_uuid_by_its_reporter_alone(town: Town) -> None:
    rider = town.rider("r-uuid")
    taken = town.submit(town.report(description="只有我能看"), rider)
    bare, full = town.get(f"/v1/reports/{taken['uuid']}", rider), town.get(f"/v1/reports/{taken['id']}", rider)
    assert bare.status == full.status == 200
    assert bare.body == full.body
    assert bare.body["id"] == f"{taken['case_id'].split('-')[0]}-{taken['uuid']}"
    assert bare.body["description"] == "只有我能看"
    assert refusal(town.get(f"/v1/reports/{taken['uuid']}", town.rider("r-else"))) == (403, "NotYourReport")
    assert refusal(town.get(f"/v1/reports/{town.uuid()}", rider)) == (404, "NoSuchReport")
    assert refusal(town.get("/v1/riders/r-uuid/points", town.rider("r-else"))) == (403, "RoleNotAllowed")


def test_a_reporter_follows_the_case_without_seeing_who_works_on_it(town: Town) -> None:
    rider = town.rider("r-follow")
    case, grid = town.filed(rider)
    town.done(case, "AcceptDispatch", town.staff(Role.GRID_WORKER, grid, "w-secret"))
    seen = town.get(f"/v1/cases/{case}", rider)
    assert seen.status == 200
    assert "w-secret" not in str(seen.body)
    assert "r-follow" not in str(town.get(f"/v1/cases/{case}", town.staff(Role.GRID_WORKER, grid)).body)
    assert refusal(town.get(f"/v1/cases/{case}", town.rider("r-else"))) == (403, "OutsideYourUnit")


def test_a_supervisor_sees_the_subtree_and_a_worker_only_the_own_queue(town: Town) -> None:
    case, grid = town.filed()
    community, street = town.above(grid, Level.COMMUNITY), town.above(grid, Level.STREET)
    supervisor, worker = town.staff(Role.SUPERVISOR, street), town.staff(Role.GRID_WORKER, grid)
    assert case not in town.queue(street, supervisor)
    assert town.queue(street, supervisor, "?subtree=true&limit=500")[case]["role"] == "above"
    assert case in town.queue(community, supervisor, "?subtree=true&limit=500")
    assert case in town.queue(grid, supervisor)
    other = next(code for code in town.grids if town.above(code, Level.COMMUNITY) != community)
    assert case not in town.queue(town.above(other, Level.COMMUNITY), supervisor, "?subtree=true&limit=500")
    for path, token, expected in (
        (f"/v1/units/{other}/queue", worker, (403, "OutsideYourUnit")),
        (f"/v1/units/{grid}/queue?subtree=true", worker, (403, "RoleNotAllowed")),
        (f"/v1/units/{town.org.city}/queue?subtree=true", supervisor, (403, "OutsideYourUnit")),
        (f"/v1/units/{grid}/queue", town.rider("r-0"), (403, "RoleNotAllowed")),
    ):
        assert refusal(town.get(path, token)) == expected, path
    assert town.get("/v1/units/nowhere/queue", supervisor).status == 404


def test_a_queue_is_read_page_by_page(town: Town) -> None:
    cases = {town.filed()[0] for _ in range(3)}
    city = town.org.city
    token, found, after = town.staff(Role.DISPATCHER, city), [], ""
    while True:
        page = town.get(f"/v1/units/{city}/queue?subtree=true&limit=2&after={after.replace('+', '%2B')}", token).body
        found += [item["item"] for item in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert len(found) == len(set(found))
    assert cases <= set(found)


# -- the same again --------------------------------------------------------------------------------------------------


def test_a_repeated_command_id_gives_the_first_answer(town: Town) -> None:
    case, grid = town.filed()
    worker, accept = town.staff(Role.GRID_WORKER, grid), {"id": town.uuid(), "type": "AcceptDispatch"}
    first = town.command(case, worker, accept)
    town.done(case, "CompleteHandling", worker, evidence=PHOTO)
    again = town.command(case, worker, accept)
    assert first.body["outcome"] == "applied"
    assert (again.status, again.body) == (first.status, first.body)
    assert town.get(f"/v1/commands/{accept['id']}", worker).body == first.body
    assert town.case(case)["case"]["status"] == "completed"


def test_what_was_done_already_is_empty(town: Town) -> None:
    case, grid = town.filed()
    worker = town.staff(Role.GRID_WORKER, grid)
    town.done(case, "AcceptDispatch", worker)
    again = town.ask(case, "AcceptDispatch", worker)
    assert (again.status, again.body["outcome"], again.body["events"]) == (200, "empty", [])


def test_a_report_sent_again_is_the_same_and_with_other_content_a_contradiction(town: Town) -> None:
    report = town.report()
    assert town.submit(report) == town.submit(report)
    other = town.send({**report, "category": QUARREL})
    assert (other.status, pointers(other)) == (409, ["/id"])
    assert town.send(report, town.rider("r-thief")).status == 409


def test_who_waits_for_a_report_sent_a_moment_ago_hears_what_became_of_it(town: Town) -> None:
    for _ in range(6):
        report = town.report()
        assert town.post("/v1/reports", report, town.rider("r-0"), prefer="").body["status"] == "received"
        assert town.post("/v1/reports", report, town.rider("r-0"), prefer="wait=1").body["status"] == "filed"


# -- refused by name -------------------------------------------------------------------------------------------------


def test_wrong_roles_and_units_are_refused_by_name(town: Town) -> None:
    case, grid = town.filed(town.rider("r-own"))
    other = next(code for code in town.grids if code != grid)
    both = town.server.token("r-own", Role.REPORTER, Role.PART_TIME_WORKER, units=(grid,))
    for kind, token, expected in (
        ("AcceptDispatch", town.rider("r-own"), (403, "RoleNotAllowed")),
        ("AcceptDispatch", town.staff(Role.GRID_WORKER, other), (403, "OutsideYourUnit")),
        ("AcceptDispatch", both, (403, "OwnReport")),
        ("PassInspection", town.staff(Role.GRID_WORKER, grid), (403, "RoleNotAllowed")),
        ("PassInspection", town.staff(Role.INSPECTOR, other), (403, "OutsideYourUnit")),
        ("PassInspection", town.staff(Role.INSPECTOR, town.above(grid, Level.COMMUNITY)), (409, "WrongStage")),
    ):
        assert refusal(town.ask(case, kind, token)) == expected, (kind, expected)
    assert town.case(case)["case"]["status"] == "dispatched"


def test_one_holder_at_a_time_and_nobody_inspects_what_they_handled(town: Town) -> None:
    case, grid = town.filed()
    community = town.above(grid, Level.COMMUNITY)
    holder = town.server.token("p-both", Role.GRID_WORKER, Role.INSPECTOR, units=(grid, community))
    colleague = town.staff(Role.GRID_WORKER, grid, "p-colleague")
    town.done(case, "AcceptDispatch", holder)
    assert refusal(town.ask(case, "AcceptDispatch", colleague)) == (409, "HeldByAnother")
    assert refusal(town.ask(case, "CompleteHandling", colleague, evidence=PHOTO)) == (403, "NotTheHolder")
    town.done(case, "CompleteHandling", holder, evidence=PHOTO)
    assert refusal(town.ask(case, "PassInspection", holder)) == (403, "HandledByYou")


def test_commands_on_unknown_and_ended_cases_are_refused_by_name(town: Town) -> None:
    case, grid = town.filed(town.rider("r-ended"))
    worker, dispatcher = town.staff(Role.GRID_WORKER, grid), town.staff(Role.DISPATCHER, town.above(grid, Level.STREET))
    assert refusal(town.ask(case, "RateOutcome", town.rider("r-ended"), score=3)) == (409, "CaseNotClosed")
    assert town.done(case, "CloseCase", dispatcher, outcome="unfounded", reason="nothing there") == ["case.closed"]
    assert refusal(town.ask(case, "AcceptDispatch", worker)) == (409, "CaseAlreadyClosed")
    assert refusal(town.ask(case, "VoidCase", dispatcher, reason="again")) == (409, "CaseAlreadyClosed")
    cell = case.split("-")[0]
    for unknown in (f"{cell}-999999", "zzzzzz-1", "nonsense", "%E6%A1%88%E4%BB%B6", case.upper() + "x"):
        assert refusal(town.ask(unknown, "AcceptDispatch", worker)) == (404, "NoSuchCase"), unknown
        assert refusal(town.get(f"/v1/cases/{unknown}", worker)) == (404, "NoSuchCase"), unknown
    town.balance("r-ended", 0)


@pytest.mark.parametrize(
    ("command", "pointer"),
    [
        ({"type": "PassInspektion"}, "/type"),
        ({"type": "MissDeadline"}, "/type"),
        ({"id": "7"}, "/id"),
        ({"type": "RateOutcome", "data": {"score": 6}}, "/data/score"),
        ({"type": "FailInspection"}, "/data/reason"),
        ({"type": "DispatchCase", "data": {"unit": "nowhere"}}, "/data/unit"),
        ({"actor": {"person": "root"}}, "/actor"),
    ],
)
def test_a_bad_command_is_pointed_at(town: Town, command: dict[str, object], pointer: str) -> None:
    everybody = town.server.token("everybody", *(role for role in Role if role is not Role.SYSTEM))
    body = {"id": town.uuid(), "type": "AcceptDispatch", **command}
    answer = town.command("ws0000-1", everybody, body)
    assert (answer.status, pointers(answer)) == (422, [pointer])


# -- bad input -------------------------------------------------------------------------------------------------------

BAD_REPORTS: list[tuple[str, dict[str, object]]] = [
    ("/category", {"category": "H-9999"}),
    ("/place/lon", {"place": {"lon": 181, "lat": 22.5}}),
    ("/place/lat", {"place": {"lon": 114.0, "lat": 90.5}}),
    ("/place/crs", {"place": {"lon": 114.0, "lat": 22.5, "crs": "cgcs2000"}}),
    ("/occurred_at", {"occurred_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}),
    ("/occurred_at", {"occurred_at": (datetime.now(UTC) - timedelta(days=7, hours=1)).isoformat()}),
    ("/occurred_at", {"occurred_at": "yesterday"}),
    ("/description", {"description": "x" * 5_000_000}),
    ("/id", {"id": "report-1"}),
    ("/id", {"id": "6f1c1f6e-2d0b-4a57-9a3e-0b1be71ee001"}),
    ("/nickname", {"nickname": "bee"}),
]


@pytest.mark.parametrize(("pointer", "change"), BAD_REPORTS, ids=lambda value: str(value)[:40])
def test_a_bad_report_is_turned_away_with_the_field(town: Town, pointer: str, change: dict[str, object]) -> None:
    report = town.report(**change)
    answer = town.send(report)
    assert (answer.status, pointers(answer)) == (422, [pointer])
    assert len(str(answer.body)) < 2000


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe{}", b'{"id": '])
def test_broken_json_is_a_bad_request(town: Town, raw: bytes) -> None:
    for path in ("/v1/reports", "/v1/reports/batch"):
        answer = town.server.ask("POST", path, token=town.rider("r-0"), raw=raw)
        assert (answer.status, pointers(answer)) == (400, [""]), answer


def test_a_batch_takes_the_good_reports_and_points_at_the_bad_one(town: Town) -> None:
    bad = town.report(category="H-9999", place={"lon": 114.0, "lat": 22.5, "crs": "mars"})
    reports = [town.report(), bad, town.report()]
    rider = town.rider("r-batch")
    answer = town.server.ask("POST", "/v1/reports/batch", {"reports": reports}, token=rider)
    assert (answer.status, answer.body["accepted"], answer.body["rejected"]) == (200, 2, 1)
    assert [item["status"] for item in answer.body["results"]] == [202, 422, 202]
    assert [error["pointer"] for error in answer.body["results"][1]["problem"]["errors"]] == ["/reports/1/place/crs"]
    again = town.server.ask("POST", "/v1/reports/batch", {"reports": reports}, token=rider)
    assert again.body["results"][0]["report"]["id"] == answer.body["results"][0]["report"]["id"]
    seen = [town.get(f"/v1/reports/{report['id']}", rider).status for report in reports]
    assert seen == [200, 404, 200]


def test_without_a_valid_token_nothing_is_taken(town: Town) -> None:
    for token in ("", "x.y.z"):
        answer = town.server.ask("POST", "/v1/reports", town.report(), token=token)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


# -- the machine fails -----------------------------------------------------------------------------------------------


Failing = Callable[[Server], AbstractContextManager[None]]


@contextmanager
def locked(server: Server) -> Iterator[None]:
    """Another program holds the log's file."""
    with closing(sqlite3.connect(server.data / "log.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """No file of the server can grow any more."""
    assert server.process is not None
    prlimit(server.process.pid, RLIMIT_FSIZE, (1024, RLIM_INFINITY))
    try:
        yield
    finally:
        prlimit(server.process.pid, RLIMIT_FSIZE, (RLIM_INFINITY, RLIM_INFINITY))


@pytest.mark.parametrize("failing", [locked, full_disk])
def test_a_log_that_cannot_be_written_is_a_503_and_nothing_half_written(server: Server, failing: Failing) -> None:
    server.start()
    town = Town(server)
    case, grid = town.filed()
    worker, report = town.staff(Role.GRID_WORKER, grid), town.report()
    accept = {"id": town.uuid(), "type": "AcceptDispatch"}
    with failing(server):
        for answer in (town.send(report), town.command(case, worker, accept)):
            assert answer.status == 503, answer
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["content-type"] == "application/problem+json"
    _recovered(server)
    assert town.submit(report)["status"] == "filed"
    assert town.command(case, worker, accept).body["outcome"] == "applied"
    assert town.case(case)["case"]["version"] == 3


def test_after_outages_under_load_everything_is_caught_up_and_nothing_lost(server: Server) -> None:
    server.start()
    town = Town(server)
    for _ in range(4):
        reports = [town.report() for _ in range(5)]
        assert town.server.ask("POST", "/v1/reports/batch", reports, token=town.rider("r-outage")).body["accepted"] == 5
        with full_disk(server):
            time.sleep(0.3)
        _recovered(server)
    assert town.submit(town.report())["status"] == "filed"
    audit = beeline("audit", "--deep", "--json", "--data", server.data)
    assert (audit.returncode, json.loads(audit.stdout)["reports"]) == (0, 21), audit.stdout


def _recovered(server: Server) -> None:
    deadline = time.monotonic() + SOON_SECONDS
    while not server.is_ready():
        assert time.monotonic() < deadline, f"the server does not recover: {server.ask('GET', '/readyz').body}"
        time.sleep(0.1)
