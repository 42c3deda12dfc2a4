"""挂账与恢复 — who puts a case off, what stands still meanwhile, and how it goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.case import events as e
from domain.case.commands import (
    AcceptDispatch,
    AddNote,
    ApproveShelving,
    CloseCase,
    CompleteHandling,
    DispatchCase,
    FailInspection,
    FileReport,
    MissDeadline,
    OnCase,
    PassInspection,
    RejectShelving,
    ReleaseDispatch,
    ReopenCase,
    RequestShelving,
    ResumeCase,
    ReturnDispatch,
    VoidCase,
    WithdrawReport,
)
from domain.case.events import Stage
from domain.case.state import Status
from domain.limits import LimitKind
from domain.message import Actor, Event, Role
from domain.sealing import Sealed
from tests.domain.smallville import (
    CASE,
    CITY,
    COMMUNITY,
    DIRECTORY,
    DISPATCHER,
    FOREIGN_DISPATCHER,
    INSPECTOR,
    OTHER_COMMUNITY,
    OTHER_WORKER,
    RIDER,
    ROUTE,
    STREET,
    SUPERVISOR,
    WORKER,
    actor,
    rung,
)
from tests.domain.specification import (
    ACCEPT,
    ASKED,
    CLOSED,
    DONE,
    FIRST,
    HANDLE,
    HANDLE_DUE,
    IN_HAND,
    IN_QUEUE,
    ON_THE_SHELF,
    REASON,
    RESUMED,
    SECOND,
    SHELVED,
    SHELVED_WITH,
    TUESDAY_NOON,
    Past,
    Specification,
    accepted,
    after,
    attached,
    closed,
    completed,
    deadline,
    escalated,
    file_report,
    filed,
    given,
    minute,
    missed,
    report,
)

DAY = 24 * 60
DESK_OVER_ALL = actor("supervisor-3", Role.SUPERVISOR, CITY)


def ask(by: Actor = WORKER) -> RequestShelving:
    return RequestShelving(actor=by, case_id=CASE, reason=REASON)


def approve(by: Actor = SUPERVISOR) -> ApproveShelving:
    return ApproveShelving(actor=by, case_id=CASE)


def reject(by: Actor = SUPERVISOR) -> RejectShelving:
    return RejectShelving(actor=by, case_id=CASE, reason="应尽快处置")


def resume(by: Actor = SUPERVISOR) -> ResumeCase:
    return ResumeCase(actor=by, case_id=CASE)


def complete() -> CompleteHandling:
    return CompleteHandling(actor=WORKER, case_id=CASE, evidence={"photo": "p"})


def shelved_at(minutes: float, *past: Event | Past) -> Specification:
    """The case after ``past``, asked for by its unit's dispatcher and shelved at so many minutes after the start."""
    spec = given(*past).when(ask(DISPATCHER), at=minutes, command_id="ask").brings(e.ShelvingRequested)
    return spec.when(approve(DESK_OVER_ALL), at=minutes, command_id="approve").brings(e.CaseShelved)


def dues(spec: Specification) -> dict[Stage, object]:
    """The open deadlines."""
    return {each.stage: each.due for each in spec.case.deadlines}


# -- asking and deciding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [WORKER, DISPATCHER, SUPERVISOR, actor("d", Role.DISPATCHER, STREET)])
@pytest.mark.parametrize("past", [(filed(), accepted()), IN_HAND])
def test_the_holder_or_the_desks_above_ask_and_no_clock_moves(by: Actor, past: tuple[e.CaseEvent, ...]) -> None:
    spec = given(*past).when(ask(by)).then(e.ShelvingRequested(by=by.person, reason=REASON))
    assert (spec.case.status, spec.case.deadlines) == (Status.ACCEPTED, (HANDLE,))


def test_nobody_else_asks() -> None:
    given(*IN_HAND).when(ask(OTHER_WORKER)).refused("NotTheHolder")
    given(*IN_QUEUE).when(ask()).refused("NotTheHolder")
    given(*IN_HAND).when(ask(FOREIGN_DISPATCHER)).refused("NotTheHolder")
    given(*IN_HAND).when(ask(RIDER)).refused("RoleNotAllowed")


@pytest.mark.parametrize("past", [(filed(),), IN_QUEUE, IN_HAND])
def test_a_case_that_somebody_still_has_to_deal_with_can_be_shelved(past: tuple[e.CaseEvent, ...]) -> None:
    given(*past).when(ask(DISPATCHER)).brings(e.ShelvingRequested)


def test_what_is_done_or_has_ended_is_not_shelved() -> None:
    given(*DONE).when(ask()).refused("WrongStage")
    given(*CLOSED).when(ask(DISPATCHER)).refused("CaseAlreadyClosed")


def test_a_pending_request_is_not_doubled() -> None:
    given(*IN_HAND, ASKED).when(ask()).nothing_happens()
    given(*IN_HAND, ASKED).when(ask(DISPATCHER)).refused("ShelvingPending")


def test_a_pending_request_stops_nothing() -> None:
    over = MissDeadline(case_id=CASE, stage=Stage.HANDLE, number=HANDLE.number)
    given(*IN_HAND, ASKED).when(over, at=360).brings(e.DeadlineMissed, e.CaseEscalated)


def test_a_supervisor_over_the_case_approves_and_every_clock_stands_still() -> None:
    spec = given(*IN_HAND, ASKED).when(approve(), at=60).then(SHELVED)
    assert (spec.case.status, spec.case.holder, spec.case.owner) == (Status.SHELVED, WORKER.person, ROUTE.unit)


def test_a_supervisor_rejects_with_a_reason_and_may_be_asked_again() -> None:
    spec = given(*IN_HAND, ASKED).when(reject(), command_id="no")
    spec.then(e.ShelvingRejected(by=SUPERVISOR.person, reason="应尽快处置"))
    assert spec.case.deadlines == (HANDLE,)
    spec.when(approve(), command_id="too late").refused("NoShelvingRequested")
    spec.when(ask(), command_id="again").brings(e.ShelvingRequested)


@pytest.mark.parametrize("decision", [approve, reject])
def test_nobody_decides_on_what_they_asked_for(decision: Callable[[Actor], OnCase]) -> None:
    own = e.ShelvingRequested(by=SUPERVISOR.person, reason=REASON)
    given(*IN_HAND, own).when(decision(SUPERVISOR)).refused("OwnRequest")


@pytest.mark.parametrize("decision", [approve, reject, resume])
def test_only_a_desk_over_the_case_decides(decision: Callable[[Actor], OnCase]) -> None:
    given(*ON_THE_SHELF).when(decision(actor("s", Role.SUPERVISOR, OTHER_COMMUNITY))).refused("OutsideYourUnit")
    given(*ON_THE_SHELF).when(decision(WORKER)).refused("RoleNotAllowed")


def test_without_a_request_there_is_nothing_to_decide() -> None:
    given(*IN_HAND).when(approve()).refused("NoShelvingRequested")
    given(*IN_HAND).when(reject()).refused("NoShelvingRequested")


def test_approving_what_is_shelved_is_not_an_error() -> None:
    given(*ON_THE_SHELF).when(approve(DESK_OVER_ALL)).nothing_happens()


def test_the_work_done_settles_the_request() -> None:
    rework = e.InspectionFailed(by=INSPECTOR.person, reason="", deadlines=(deadline(Stage.HANDLE, 4, minute(900)),))
    given(*IN_HAND, ASKED, completed(), rework).when(approve()).refused("NoShelvingRequested")


# -- while it is shelved ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        DispatchCase(actor=DISPATCHER, case_id=CASE, route=ROUTE),
        AcceptDispatch(actor=WORKER, case_id=CASE),
        ReleaseDispatch(actor=WORKER, case_id=CASE),
        ReturnDispatch(actor=WORKER, case_id=CASE, reason="不属本网格"),
        complete(),
        PassInspection(actor=INSPECTOR, case_id=CASE),
        FailInspection(actor=INSPECTOR, case_id=CASE, reason="未清理"),
        ask(),
        reject(),
    ],
    ids=lambda command: type(command).__name__,
)
def test_nobody_works_on_a_shelved_case(command: OnCase) -> None:
    given(*ON_THE_SHELF).when(command).refused("CaseShelved")


def test_a_shelved_case_takes_notes_and_reports_and_can_end() -> None:
    note = AddNote(actor=RIDER, case_id=CASE, text=Sealed(person=RIDER.person, cipher="AAAA"))
    given(*ON_THE_SHELF).when(note).brings(e.NoteAdded)
    given(*ON_THE_SHELF).when(_file_another()).brings(e.ReportAttached)
    given(*ON_THE_SHELF, attached()).when(_withdraw()).brings(e.ReportWithdrawn)
    given(*ON_THE_SHELF).when(_withdraw()).brings(e.ReportWithdrawn, e.CaseVoided)
    given(*ON_THE_SHELF).when(VoidCase(actor=DISPATCHER, case_id=CASE, reason="误报")).brings(e.CaseVoided)
    spec = given(*ON_THE_SHELF).when(_close()).brings(e.CaseClosed)
    assert (spec.case.status, spec.case.deadlines) == (Status.CLOSED, ())


def _file_another() -> FileReport:
    return file_report(SECOND)


def _withdraw() -> WithdrawReport:
    return WithdrawReport(actor=RIDER, report=FIRST.report)


def _close() -> CloseCase:
    return CloseCase(actor=DISPATCHER, case_id=CASE, outcome="referred", reason="已转产权单位")


def test_a_shelved_case_has_one_clock_and_misses_no_deadline() -> None:
    over = MissDeadline(case_id=CASE, stage=Stage.HANDLE, number=HANDLE.number)
    given(*ON_THE_SHELF).when(over, at=30 * DAY).nothing_happens()


# -- going on --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [SUPERVISOR, DISPATCHER])
def test_a_resumed_case_goes_on_with_what_was_left_and_on_time_moves_with_it(by: Actor) -> None:
    spec = given(*ON_THE_SHELF).when(resume(by), at=DAY)
    spec.then(RESUMED.model_copy(update={"by": by.person}))
    assert (spec.case.status, spec.case.holder, spec.case.handling_due) == (
        Status.ACCEPTED,
        WORKER.person,
        TUESDAY_NOON,
    )


@pytest.mark.parametrize(("minutes", "on_time"), [(180, True), (180.01, False)])
def test_on_time_is_judged_as_paused(minutes: float, on_time: bool) -> None:
    done = after(DAY + minutes, completed())
    spec = given(*ON_THE_SHELF, RESUMED, done).when(PassInspection(actor=INSPECTOR, case_id=CASE), at=2 * DAY)
    assert [event.on_time for event in spec.events if isinstance(event, e.CaseClosed)] == [on_time]


def test_each_clock_goes_on_in_its_own_kind_of_time() -> None:
    spec = shelved_at(10, *IN_QUEUE)
    saturday = 5 * DAY
    spec.when(resume(), at=saturday, command_id="resume")
    on_tuesday = minute(8 * DAY) + timedelta(hours=2, minutes=50)  # from 08:00; Monday the 9th is a holiday
    assert dues(spec) == {Stage.ACCEPT: minute(saturday + 5), Stage.HANDLE: on_tuesday}
    assert (spec.case.status, spec.case.handling_due) == (Status.DISPATCHED, on_tuesday)


def test_the_handling_clock_of_a_returned_case_goes_on_when_it_is_dispatched_not_before() -> None:
    back = ReturnDispatch(actor=WORKER, case_id=CASE, reason="不属本网格")
    returned = given(*IN_HAND).when(back, at=60).events
    spec = shelved_at(70, *IN_HAND, *(after(60, event) for event in returned))
    spec.when(resume(), at=DAY, command_id="resume")
    assert (dues(spec), spec.case.handling_due) == ({Stage.DISPATCH: minute(DAY + 10)}, HANDLE_DUE)
    spec.when(DispatchCase(actor=DISPATCHER, case_id=CASE, route=ROUTE), at=DAY + 5, command_id="send")
    assert spec.case.handling_due == minute(DAY + 5) + SHELVED_WITH + timedelta(hours=2)


def test_a_limit_that_was_over_is_missed_as_soon_as_the_case_resumes_and_on_time_stays_lost() -> None:
    spec = shelved_at(361, *IN_HAND).when(resume(), at=DAY, command_id="resume")
    assert (dues(spec), spec.case.handling_due) == ({Stage.HANDLE: minute(DAY)}, HANDLE_DUE)
    over = MissDeadline(case_id=CASE, stage=Stage.HANDLE, number=4)
    spec.when(over, at=DAY, command_id="over").brings(e.DeadlineMissed, e.CaseEscalated)


def test_a_case_that_had_climbed_stays_where_it_was_with_the_ladders_time() -> None:
    by_15_15 = deadline(Stage.ACCEPT, 3, HANDLE_DUE + timedelta(minutes=15))
    climbed = (*IN_QUEUE, after(15, missed(ACCEPT)), after(15, escalated(COMMUNITY, Stage.ACCEPT, by_15_15)))
    spec = shelved_at(75, *climbed).when(resume(), at=DAY + 60, command_id="resume")
    assert (spec.case.owner.unit, spec.case.status) == (COMMUNITY, Status.DISPATCHED)
    assert dues(spec) == {Stage.ACCEPT: minute(DAY + 60) + timedelta(hours=5)}  # three working hours, and lunch
    spec.when(AcceptDispatch(actor=DISPATCHER, case_id=CASE), at=DAY + 90, command_id="accept")
    assert dues(spec) == {Stage.HANDLE: minute(2 * DAY + 60)}


def test_the_notices_at_the_top_stop_and_go_on() -> None:
    to_the_city = (escalated(unit, Stage.ACCEPT, ACCEPT) for unit in (COMMUNITY, STREET, CITY))
    notice = e.NoticeIssued(unit=CITY, number=2, deadlines=(deadline(Stage.NOTICE, 3, minute(DAY)),))
    top = (*IN_QUEUE, *to_the_city, notice)
    spec = given(*top).when(ask(actor("d", Role.DISPATCHER, CITY)), at=60, command_id="ask")
    spec.when(approve(DESK_OVER_ALL), at=60, command_id="approve")
    spec.when(resume(DESK_OVER_ALL), at=10 * DAY, command_id="resume")
    assert dues(spec) == {Stage.NOTICE: minute(11 * DAY - 60)}


def test_a_holder_who_has_reported_the_matter_meanwhile_gives_it_back_to_the_queue() -> None:
    own = attached(report("own", WORKER))
    released = e.DispatchReleased(
        holder=WORKER.person, deadlines=(*RESUMED.deadlines, deadline(Stage.ACCEPT, 5, minute(DAY + 15)))
    )
    spec = given(*ON_THE_SHELF, own).when(resume(), at=DAY).then(RESUMED, released)
    assert (spec.case.status, spec.case.holder) == (Status.DISPATCHED, None)


def test_after_a_year_the_timer_resumes_the_case() -> None:
    over, year = MissDeadline(case_id=CASE, stage=Stage.SHELVED, number=3), 365 * DAY
    given(*ON_THE_SHELF).when(over, at=60 + year - 0.01).nothing_happens()
    spec = given(*ON_THE_SHELF).when(over, at=60 + year, command_id="over").brings(e.CaseResumed)
    (resumed,) = spec.events
    assert isinstance(resumed, e.CaseResumed)
    assert (resumed.by, spec.case.status) == ("beeline", Status.ACCEPTED)
    spec.when(over, at=60 + year, command_id="over again").nothing_happens()


def test_resuming_what_is_not_shelved_is_nothing_after_a_shelving_and_refused_without_one() -> None:
    given(*ON_THE_SHELF, RESUMED).when(resume(DISPATCHER)).nothing_happens()
    given(*IN_HAND).when(resume()).refused("CaseNotShelved")
    given(*CLOSED).when(resume()).refused("CaseAlreadyClosed")


def test_a_case_is_shelved_once() -> None:
    given(*ON_THE_SHELF, RESUMED).when(ask()).refused("AlreadyShelvedOnce")


def test_a_case_that_was_shelved_closed_and_reopened_is_at_work_and_not_shelved_again() -> None:
    reopening = ReopenCase(actor=SUPERVISOR, case_id=CASE, reason="复发")
    spec = given(*ON_THE_SHELF, closed("referred")).when(reopening, at=120, command_id="reopen")
    assert (spec.case.status, set(dues(spec))) == (Status.DISPATCHED, {Stage.ACCEPT, Stage.HANDLE})
    spec.when(ask(DISPATCHER), at=130).refused("AlreadyShelvedOnce")


def test_a_request_that_nobody_decided_before_the_end_is_over_when_the_case_is_reopened() -> None:
    again = e.CaseReopened(reason="复发", by=SUPERVISOR.person, deadlines=(deadline(Stage.ACCEPT, 4, minute(9999)),))
    given(*IN_HAND, ASKED, closed("referred"), again).when(approve()).refused("NoShelvingRequested")


@for_all(shelved=st.integers(0, 359), pause=st.integers(0, 20 * DAY))
def test_a_pause_takes_no_time_and_gives_none(shelved: int, pause: int) -> None:
    calendar, kind = DIRECTORY.calendar, LimitKind.WORKING_HOURS
    left = calendar.remaining(minute(shelved), HANDLE_DUE, kind)
    spec = shelved_at(shelved, *IN_HAND).when(resume(), at=shelved + pause, command_id="resume")
    assert calendar.remaining(minute(shelved + pause), spec.case.handling_due, kind) == left
    assert dues(spec) == {Stage.HANDLE: spec.case.handling_due}


def test_a_shelved_case_keeps_its_desk() -> None:
    """A case that nobody could map and that waits for a dispatcher waits for one again."""
    unmapped = filed(deadlines=(HANDLE, deadline(Stage.DISPATCH, 2, minute(20))))
    spec = shelved_at(5, unmapped).when(resume(), at=DAY, command_id="resume")
    assert (spec.case.status, spec.case.owner) == (Status.AWAITING_DISPATCH, rung(ROUTE.unit.unit))
    assert dues(spec)[Stage.DISPATCH] == minute(DAY + 15)
    assert spec.case.handling_due == dues(spec)[Stage.HANDLE]
    assert spec.case.handling_due > HANDLE_DUE
