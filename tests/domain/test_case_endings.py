"""结案、注销、重开、评价、归档 — how a case ends, and what can still happen to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import pytest

from domain.case import events as e
from domain.case.commands import (
    AcceptDispatch,
    AddNote,
    ArchiveCase,
    CloseCase,
    PassInspection,
    RateOutcome,
    ReopenCase,
    VoidCase,
)
from domain.case.events import Stage
from domain.case.state import Status
from domain.message import Actor
from domain.sealing import Sealed
from tests.domain.smallville import (
    CASE,
    COMMUNITY,
    DISPATCHER,
    GRID_A,
    INSPECTOR,
    OTHER_RIDER,
    RIDER,
    SUPERVISOR,
    WORKER,
    rung,
)
from tests.domain.specification import (
    CLOSED,
    DONE,
    FIRST,
    HANDLE_DUE,
    IN_HAND,
    IN_QUEUE,
    SECOND,
    attached,
    closed,
    deadline,
    filed,
    given,
    minute,
)

WINDOW_MINUTES = 70 + 7 * 24 * 60
"""When the windows of a case end that was closed at minute 70."""
VOIDED = e.CaseVoided(
    reason="误报",
    false_report=True,
    by=DISPATCHER.person,
    reporters=(RIDER.person,),
    window_ends=minute(60) + timedelta(days=7),
)
REOPENED = e.CaseReopened(reason="复发", by=SUPERVISOR.person, deadlines=(deadline(Stage.ACCEPT, 4, minute(9999)),))


def close(outcome: Literal["unfounded", "referred"] = "unfounded") -> CloseCase:
    return CloseCase(actor=DISPATCHER, case_id=CASE, outcome=outcome, reason="查无此事")


def void(*, false_report: bool = True) -> VoidCase:
    return VoidCase(actor=DISPATCHER, case_id=CASE, reason="误报", false_report=false_report)


def reopen() -> ReopenCase:
    return ReopenCase(actor=SUPERVISOR, case_id=CASE, reason="复发")


def rate(by: Actor = RIDER, score: int = 5) -> RateOutcome:
    return RateOutcome(actor=by, case_id=CASE, score=score)


# -- closing and voiding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["unfounded", "referred"])
@pytest.mark.parametrize("past", [(filed(),), IN_QUEUE, IN_HAND, DONE])
def test_a_dispatcher_closes_an_open_case_without_an_inspection_and_nothing_is_earned(
    past: tuple[e.CaseEvent, ...], outcome: Literal["unfounded", "referred"]
) -> None:
    spec = given(*past).when(close(outcome)).brings(e.CaseClosed)
    (ended,) = spec.events
    assert isinstance(ended, e.CaseClosed)
    assert (ended.outcome, ended.reward_points, ended.reporters) == (outcome, 0, (RIDER.person,))
    assert (spec.case.status, spec.case.deadlines) == (Status.CLOSED, ())


def test_the_first_reporter_of_the_matter_earns_the_main_reward() -> None:
    spec = given(*DONE, attached()).when(PassInspection(actor=INSPECTOR, case_id=CASE), at=70)
    spec.then(e.InspectionPassed(by=INSPECTOR.person), closed(reporters=(RIDER.person, OTHER_RIDER.person)))
    left = e.ReportWithdrawn(report=FIRST.report, reporter=RIDER.person)
    spec = given(*DONE, attached(), left).when(PassInspection(actor=INSPECTOR, case_id=CASE), at=70)
    spec.then(e.InspectionPassed(by=INSPECTOR.person), closed(first=SECOND, reporters=(OTHER_RIDER.person,)))


def test_a_void_case_says_why_and_whether_somebody_made_it_up() -> None:
    spec = given(*IN_HAND).when(void()).then(VOIDED)
    assert (spec.case.status, spec.case.deadlines) == (Status.VOIDED, ())
    given(*IN_HAND).when(void(false_report=False)).then(VOIDED.model_copy(update={"false_report": False}))


def test_ending_a_case_again_is_refused_or_nothing() -> None:
    given(*IN_HAND, VOIDED).when(void()).nothing_happens()
    given(*CLOSED).when(void()).refused("CaseAlreadyClosed")
    given(*CLOSED).when(close()).refused("CaseAlreadyClosed")
    given(*IN_HAND, VOIDED).when(close()).refused("CaseAlreadyClosed")


def test_nothing_is_done_to_a_case_that_has_ended() -> None:
    given(*CLOSED).when(AcceptDispatch(actor=WORKER, case_id=CASE)).refused("CaseAlreadyClosed")


# -- reopening -------------------------------------------------------------------------------------------------------


def test_a_reopened_case_is_back_in_its_owners_queue_with_fresh_limits() -> None:
    spec = given(*CLOSED).when(reopen(), at=120)
    limits = (deadline(Stage.ACCEPT, 4, minute(135)), deadline(Stage.HANDLE, 5, HANDLE_DUE + timedelta(hours=2)))
    spec.then(e.CaseReopened(reason="复发", by=SUPERVISOR.person, deadlines=limits))
    assert (spec.case.status, spec.case.owner.unit, spec.case.holder) == (Status.DISPATCHED, GRID_A, None)
    assert (spec.case.window_ends, spec.case.completed_at) == (None, None)


@pytest.mark.parametrize(("minutes", "open_still"), [(WINDOW_MINUTES, True), (WINDOW_MINUTES + 1, False)])
def test_a_case_can_be_reopened_and_rated_for_seven_days(minutes: float, open_still: bool) -> None:
    reopening, rating = given(*CLOSED).when(reopen(), at=minutes), given(*CLOSED).when(rate(), at=minutes)
    if open_still:
        reopening.brings(e.CaseReopened)
        rating.brings(e.OutcomeRated)
    else:
        reopening.refused("ReopenWindowOver")
        rating.refused("RatingWindowOver")


def test_only_a_closed_case_is_reopened_or_rated() -> None:
    for past in ((*IN_HAND, VOIDED), IN_HAND):
        given(*past).when(reopen()).refused("CaseNotClosed")
        given(*past).when(rate()).refused("CaseNotClosed")


def test_what_a_dispatcher_had_arranged_before_the_end_is_over_when_the_case_is_reopened() -> None:
    back = e.DispatchReturned(reason="", by=WORKER.person, desk=rung(COMMUNITY), handling_left_seconds=60, deadlines=())
    spec = given(*IN_HAND, back, closed("referred"), REOPENED)
    assert (spec.case.handling_left, spec.case.assignee, spec.case.owner.unit) == (None, None, COMMUNITY)


# -- rating ----------------------------------------------------------------------------------------------------------


def test_each_reporter_rates_once() -> None:
    spec = given(*CLOSED, attached()).when(rate(score=2), at=80).then(e.OutcomeRated(by=RIDER.person, score=2))
    spec.when(rate(score=5), at=81, command_id="again").refused("AlreadyRated")
    spec.when(rate(OTHER_RIDER, 4), at=82, command_id="other").brings(e.OutcomeRated)
    spec.when(rate(score=5), at=83, command_id="once more").refused("AlreadyRated")


def test_a_rating_stays_when_the_case_is_reopened_and_closed_again() -> None:
    rated = e.OutcomeRated(by=RIDER.person, score=1)
    given(*CLOSED, rated, REOPENED, closed()).when(rate(), at=80).refused("AlreadyRated")


def test_only_reporters_rate() -> None:
    given(*CLOSED).when(rate(OTHER_RIDER), at=80).refused("NotYourReport")


# -- notes and the archive -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("past", [IN_QUEUE, DONE, CLOSED, (*IN_HAND, VOIDED)])
def test_a_note_can_be_added_at_any_time(past: tuple[e.CaseEvent, ...]) -> None:
    text = Sealed(person=RIDER.person, cipher="AAAA")
    given(*past).when(AddNote(actor=RIDER, case_id=CASE, text=text, audience="reporter")).then(
        e.NoteAdded(by=RIDER.person, text=text, audience="reporter")
    )


def test_a_case_leaves_after_its_last_window_and_later_commands_are_refused_by_that_name() -> None:
    spec = given(*CLOSED).when(ArchiveCase(case_id=CASE), at=WINDOW_MINUTES)
    spec.then(e.CaseArchived(reporters=(RIDER.person,)))
    assert spec.cell.cases == {}
    spec.when(reopen(), at=WINDOW_MINUTES, command_id="reopen").refused("CaseAlreadyArchived")


def test_a_case_is_not_archived_before_its_last_window_is_over_or_while_it_is_open() -> None:
    given(*CLOSED).when(ArchiveCase(case_id=CASE), at=WINDOW_MINUTES - 0.01).nothing_happens()
    given(*IN_HAND).when(ArchiveCase(case_id=CASE), at=WINDOW_MINUTES).nothing_happens()
    given(*CLOSED, REOPENED).when(ArchiveCase(case_id=CASE), at=WINDOW_MINUTES).nothing_happens()


@pytest.mark.parametrize("name", [CASE.replace("-1", "-2"), CASE.replace("-1", "-01"), "elsewhere-1", "no case"])
def test_a_case_that_never_was_is_not_an_archived_one(name: str) -> None:
    gone = e.CaseArchived(reporters=())
    given(*CLOSED, gone).when(reopen().model_copy(update={"case_id": name})).refused("NoSuchCase")


def test_an_archived_case_names_everyone_who_ever_reported_it() -> None:
    """So that every account that was paid for it can forget it."""
    withdrawn = e.ReportWithdrawn(report=SECOND.report, reporter=SECOND.reporter)
    over = given(filed(), attached(), withdrawn, VOIDED).when(ArchiveCase(case_id=CASE), at=WINDOW_MINUTES)
    over.then(e.CaseArchived(reporters=(FIRST.reporter, SECOND.reporter)))
