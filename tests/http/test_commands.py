"""Commands over HTTP: the life of a case, refusals by name, and what a repeated command is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.message import Role
from domain.net import Level
from streams.record import Topic
from tests.http.city import City, city_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHOTO = {"photo": "photo-1"}


async def accepted(city: City) -> tuple[str, str, str]:
    """A case that its grid's worker has accepted: (case, grid, the worker's token)."""
    case_id = await city.filed()
    grid = await city.unit_of(case_id)
    worker = city.staff(Role.GRID_WORKER, grid)
    assert (await city.ask(case_id, "AcceptDispatch", worker)).body["outcome"] == "applied"
    return case_id, grid, worker


async def status_of(city: City, case_id: str) -> str:
    """Where the case stands, once the read models have heard of it."""
    assert await city.node.host.caught_up(5)
    administrator = city.token("root", Role.ADMINISTRATOR)
    return str((await city.get(f"/v1/cases/{case_id}", administrator)).body["case"]["status"])


async def test_a_case_lives_its_life(city: City) -> None:
    case_id, grid, worker = await accepted(city)
    inspector = city.staff(Role.INSPECTOR, city.above(grid, Level.COMMUNITY))
    steps: list[tuple[str, str, dict[str, Any], str]] = [
        ("CompleteHandling", worker, {"evidence": PHOTO, "note": "换了新井盖"}, "completed"),
        ("FailInspection", inspector, {"reason": "盖反了"}, "accepted"),
        ("CompleteHandling", worker, {"evidence": PHOTO}, "completed"),
        ("PassInspection", inspector, {}, "closed"),
        ("RateOutcome", city.rider(), {"score": 5}, "closed"),
        ("ReopenCase", city.staff(Role.SUPERVISOR, city.above(grid, Level.STREET)), {"reason": "又坏了"}, "dispatched"),
        ("AcceptDispatch", worker, {}, "accepted"),
        ("ReleaseDispatch", worker, {}, "dispatched"),
        ("ReturnDispatch", worker, {"reason": "不在本网格"}, "awaiting_dispatch"),
        ("DispatchCase", city.staff(Role.DISPATCHER, city.above(grid, Level.COMMUNITY)), {"unit": grid}, "dispatched"),
        ("CloseCase", city.staff(Role.DISPATCHER, grid), {"outcome": "unfounded", "reason": "没有坏"}, "closed"),
    ]
    for kind, token, data, status in steps:
        answer = await city.ask(case_id, kind, token, **data)
        assert (answer.status, answer.body["outcome"]) == (200, "applied"), (kind, answer)
        assert {event["subject"] for event in answer.body["events"]} == {case_id}
        where = answer.headers["beeline-position"]
        assert where.startswith("beeline.case.commands.v1/")
        assert (await city.get(f"/v1/cases/{case_id}", worker, beeline_after=where)).status == 200
        assert await status_of(city, case_id) == status, kind


async def test_a_case_is_put_off_and_goes_on(city: City) -> None:
    case_id, grid, worker = await accepted(city)
    supervisor = city.staff(Role.SUPERVISOR, city.above(grid, Level.STREET))
    reason = {"reason": "等待产权单位"}
    for kind, token, data, status in [
        ("RequestShelving", worker, reason, "accepted"),
        ("RejectShelving", supervisor, reason, "accepted"),
        ("RequestShelving", worker, reason, "accepted"),
        ("ApproveShelving", supervisor, {}, "shelved"),
        ("ResumeCase", city.staff(Role.DISPATCHER, grid), {}, "accepted"),
    ]:
        assert (await city.ask(case_id, kind, token, **data)).body["outcome"] == "applied", kind
        assert await status_of(city, case_id) == status
        (line,) = (await city.get(f"/v1/units/{grid}/queue", worker)).body["items"]
        assert line["status"] == status, line
    again = await city.ask(case_id, "RequestShelving", worker, **reason)
    assert (again.status, again.body["reason"]) == (409, "AlreadyShelvedOnce")


async def test_the_answer_names_the_events(city: City) -> None:
    case_id, grid, worker = await accepted(city)
    await city.ask(case_id, "CompleteHandling", worker, evidence=PHOTO)
    inspector = city.staff(Role.INSPECTOR, city.above(grid, Level.COMMUNITY))
    answer = await city.ask(case_id, "PassInspection", inspector)
    kinds = [event["type"] for event in answer.body["events"]]
    assert kinds == ["beeline.inspection.passed.v1", "beeline.case.closed.v1"]


async def test_a_repeated_command_finds_its_first_answer(city: City) -> None:
    case_id = await city.filed()
    worker, command = city.staff(Role.GRID_WORKER, await city.unit_of(case_id)), city.uuid()
    first = await city.ask(case_id, "AcceptDispatch", worker, command)
    at_once = await city.ask(case_id, "AcceptDispatch", worker, command)
    assert await city.node.host.caught_up(5)
    ends = [city.node.host.log.end(Topic.CASE_COMMANDS, number) for number in range(4)]
    later = await city.ask(case_id, "AcceptDispatch", worker, command)
    assert first.body == at_once.body == later.body
    assert [event["type"] for event in first.body["events"]] == ["beeline.dispatch.accepted.v1"]
    assert [city.node.host.log.end(Topic.CASE_COMMANDS, number) for number in range(4)] == ends
    another = await city.ask(case_id, "AcceptDispatch", worker)
    assert (another.status, another.body["outcome"], another.body["events"]) == (200, "empty", [])


async def test_a_refused_command_is_decided_anew(city: City) -> None:
    case_id, grid, worker = await accepted(city)
    inspector, command = city.staff(Role.INSPECTOR, city.above(grid, Level.COMMUNITY)), city.uuid()
    early = await city.ask(case_id, "PassInspection", inspector, command)
    assert (early.status, early.body["reason"]) == (409, "WrongStage")
    assert await city.node.host.caught_up(5)
    known = await city.get(f"/v1/commands/{command}", inspector)
    assert (known.status, known.body["outcome"], known.body["reason"]) == (200, "refused", "WrongStage")
    await city.ask(case_id, "CompleteHandling", worker, evidence=PHOTO)
    assert (await city.ask(case_id, "PassInspection", inspector, command)).body["outcome"] == "applied"


async def test_of_two_who_accept_at_once_one_has_it(city: City) -> None:
    case_id = await city.filed()
    grid = await city.unit_of(case_id)
    tokens = [city.staff(Role.GRID_WORKER, grid, person) for person in ("w-1", "w-2", "w-3")]
    answers = await asyncio.gather(*(city.ask(case_id, "AcceptDispatch", token) for token in tokens))
    assert sorted(answer.status for answer in answers) == [200, 409, 409]
    assert {answer.body.get("reason") for answer in answers} == {None, "HeldByAnother"}


async def test_who_does_not_wait_is_told_where_to_look(city: City) -> None:
    case_id = await city.filed()
    worker, command = city.staff(Role.GRID_WORKER, await city.unit_of(case_id)), city.uuid()
    body = {"id": command, "type": "AcceptDispatch"}
    answer = await city.post(f"/v1/cases/{case_id}/commands", body, worker, prefer="respond-async")
    assert (answer.status, answer.body["outcome"]) == (202, "pending")
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["location"] == answer.body["status_url"] == f"/v1/commands/{command}"
    known = await city.get(answer.headers["location"], worker)
    assert (known.status, known.body["outcome"]) == (200, "applied")
    never = await city.get(f"/v1/commands/{city.uuid()}", worker)
    assert (never.status, never.body["type"]) == (404, "urn:beeline:problem:not-found")


async def test_impossible_commands_are_refused_by_name(city: City) -> None:
    case_id, grid, worker = await accepted(city)
    elsewhere = next(code for code in city.grids if code != grid)
    inspector = city.staff(Role.INSPECTOR, city.above(grid, Level.COMMUNITY))
    refusals: list[tuple[str, str, str, dict[str, Any], int, str]] = [
        ("ws10k8-999999", "AcceptDispatch", worker, {}, 404, "NoSuchCase"),
        ("no case at all", "AcceptDispatch", worker, {}, 404, "NoSuchCase"),
        (case_id, "AcceptDispatch", city.staff(Role.GRID_WORKER, elsewhere), {}, 403, "OutsideYourUnit"),
        (case_id, "AcceptDispatch", city.staff(Role.GRID_WORKER, grid, "w-2"), {}, 409, "HeldByAnother"),
        (case_id, "CompleteHandling", city.staff(Role.GRID_WORKER, grid, "w-2"), {}, 403, "NotTheHolder"),
        (case_id, "CompleteHandling", worker, {}, 422, "EvidenceMissing"),
        (case_id, "PassInspection", inspector, {}, 409, "WrongStage"),
        (case_id, "RateOutcome", city.rider("somebody"), {"score": 1}, 403, "NotYourReport"),
        (case_id, "RateOutcome", city.rider(), {"score": 1}, 409, "CaseNotClosed"),
    ]
    for thing, kind, token, data, status, reason in refusals:
        answer = await city.ask(thing, kind, token, **data)
        assert (answer.status, answer.body.get("reason")) == (status, reason), (kind, answer)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.body["type"] == f"urn:beeline:problem:{reason}"
        assert "·" in answer.body["title"]
    void = await city.ask(case_id, "VoidCase", city.staff(Role.DISPATCHER, grid), reason="误报")
    assert void.status == 200
    late = await city.ask(case_id, "CompleteHandling", worker, evidence=PHOTO)
    assert (late.status, late.body["reason"]) == (409, "CaseAlreadyClosed")


async def test_an_archived_case_is_gone(tmp_path: Path) -> None:
    async with city_in(tmp_path) as city:
        case_id = await city.filed()
        dispatcher = city.staff(Role.DISPATCHER, await city.unit_of(case_id))
        await city.ask(case_id, "VoidCase", dispatcher, reason="误报")
        await city.node.host.step_to(city.node.host.now() + timedelta(days=8))
        answer = await city.ask(case_id, "AddNote", dispatcher, text="还在吗")
        assert (answer.status, answer.body["reason"]) == (410, "CaseAlreadyArchived")


@pytest.mark.parametrize(
    ("kind", "data", "pointer"),
    [
        ("FlyToTheMoon", {}, "/type"),
        ("FileReport", {}, "/type"),
        ("MissDeadline", {}, "/type"),
        ("DispatchCase", {"unit": "nowhere"}, "/data/unit"),
        ("DispatchCase", {}, "/data/unit"),
        ("ReturnDispatch", {"reason": ""}, "/data/reason"),
        ("RateOutcome", {"score": 6}, "/data/score"),
        ("AcceptDispatch", {"holder": "me"}, "/data/holder"),
        ("CompleteHandling", {"evidence": {"photo": 7}}, "/data/evidence/photo"),
        ("CloseCase", {"outcome": "merged", "reason": "x"}, "/data/outcome"),
        ("AddNote", {"text": "x" * 2001}, "/data/text"),
    ],
)
async def test_a_bad_command_is_pointed_at(city: City, kind: str, data: dict[str, Any], pointer: str) -> None:
    token = city.token("everybody", *(role for role in Role if role is not Role.SYSTEM))
    answer = await city.ask("ws10k8-1", kind, token, **data)
    assert (answer.status, answer.pointers) == (422, [pointer])
    if pointer == "/type":
        assert "AcceptDispatch" in answer.body["detail"], "the known ones are listed"


async def test_a_role_that_may_not_is_told_who_may(city: City) -> None:
    case_id = await city.filed()
    answer = await city.ask(case_id, "VoidCase", city.rider(), reason="mine")
    assert (answer.status, answer.body["reason"], answer.pointers) == (403, "RoleNotAllowed", ["/type"])
    assert "dispatcher" in answer.body["detail"]


async def test_a_held_report_waits_for_its_dispatcher(city: City) -> None:
    admitted, declined = [(await city.submit(city.report(category="D-0204")))["id"] for _ in range(2)]
    desk = city.staff(Role.DISPATCHER, city.above(city.grids[0], Level.DISTRICT))
    assert (await city.ask(admitted, "AdmitReport", city.rider())).body["reason"] == "RoleNotAllowed"
    answer = await city.ask(admitted, "AdmitReport", desk)
    assert [event["type"] for event in answer.body["events"]] == ["beeline.case.filed.v1", "beeline.case.dispatched.v1"]
    refused = await city.ask(declined, "DeclineReport", desk, reason="不属于受理范围")
    assert refused.body["outcome"] == "applied"
    assert await city.node.host.caught_up(5)
    fates = [(await city.get(f"/v1/reports/{report}", city.rider())).body for report in (admitted, declined)]
    assert [fate["status"] for fate in fates] == ["filed", "declined"]
    assert (fates[1]["reason"], fates[0]["case_id"]) == ("不属于受理范围", answer.body["events"][0]["subject"])
    again = await city.ask(declined, "AdmitReport", desk)
    assert (again.status, again.body["reason"]) == (409, "ReportAlreadyDeclined")


async def test_a_report_is_withdrawn_by_its_reporter_only(city: City) -> None:
    taken = await city.submit(city.report(), city.rider("ann"))
    stranger = await city.ask(taken["id"], "WithdrawReport", city.rider("bob"))
    assert (stranger.status, stranger.body["reason"]) == (403, "NotYourReport")
    answer = await city.ask(taken["uuid"], "WithdrawReport", city.rider("ann"))
    assert (answer.status, answer.body["outcome"]) == (200, "applied")
    assert await status_of(city, taken["case_id"]) == "voided"
    unknown = await city.ask(city.uuid(), "WithdrawReport", city.rider("ann"))
    assert (unknown.status, unknown.body["reason"]) == (404, "NoSuchReport")


async def test_a_report_is_detached_and_filed_again(city: City) -> None:
    first = city.report()
    case_id = await city.filed(**first)
    joined = await city.submit(city.report(place=first["place"]), city.rider("r-2"))
    dispatcher = city.staff(Role.DISPATCHER, await city.unit_of(case_id))
    answer = await city.ask(case_id, "DetachReport", dispatcher, report=joined["id"], reason="不是同一处")
    assert answer.status == 200, answer
    own = {event["subject"] for event in answer.body["events"]} - {case_id}
    assert len(own) == 1
    assert await city.node.host.caught_up(5)
    seen = await city.get(joined["url"], city.rider("r-2"))
    assert (seen.body["status"], seen.body["case_id"]) == ("filed", own.pop())
