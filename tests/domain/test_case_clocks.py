"""时限与升级 — what happens when a clock runs out, rung by rung, up to the notice a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from domain.case import events as e
from domain.case.clocks import next_instant
from domain.case.commands import (
    AcceptDispatch,
    CompleteHandling,
    DispatchCase,
    FailInspection,
    MissDeadline,
    ReleaseDispatch,
    ReturnDispatch,
)
from domain.case.events import Deadline, Stage
from domain.case.state import Status
from domain.catalogue import CategoryTerms
from domain.message import Actor, Event, Role
from tests.domain.smallville import (
    CASE,
    CITY,
    CITY_DESK,
    CITY_DISPATCHER,
    COMMUNITY,
    DANGER,
    DISPATCHER,
    DISTRICT,
    ENFORCED,
    GRID_A,
    HAZARD,
    HERE,
    INSPECTOR,
    ROUTE,
    STREET,
    STREET_DISPATCHER,
    TEAM,
    WORKER,
    actor,
    to_unit,
)
from tests.domain.specification import (
    ACCEPT,
    CLOSED,
    DONE,
    HANDLE,
    HANDLE_DUE,
    IN_HAND,
    IN_QUEUE,
    INSPECT,
    Past,
    Specification,
    accepted,
    after,
    completed,
    deadline,
    dispatched,
    escalated,
    filed,
    given,
    minute,
    missed,
)

FOUR_WORKING_HOURS_FROM_09_15 = HANDLE_DUE + timedelta(minutes=15)


def miss(over: Deadline) -> MissDeadline:
    return MissDeadline(case_id=CASE, stage=over.stage, number=over.number)


def accept(by: Actor) -> AcceptDispatch:
    return AcceptDispatch(actor=by, case_id=CASE)


def run_out(spec: Specification) -> Specification:
    """The timer's proposal for the earliest open deadline, at its instant."""
    over = min(spec.case.deadlines, key=lambda open_deadline: open_deadline.due)
    minutes = (over.due - minute(0)).total_seconds() / 60
    return spec.when(miss(over), at=minutes, command_id=f"miss {over.number}")


# -- the facts of a miss ---------------------------------------------------------------------------------------------


def test_a_missed_deadline_is_recorded_and_lifts_the_case_in_the_same_commit() -> None:
    given(*IN_QUEUE).when(miss(ACCEPT), at=15).then(
        missed(ACCEPT),
        escalated(COMMUNITY, Stage.ACCEPT, deadline(Stage.ACCEPT, 3, FOUR_WORKING_HOURS_FROM_09_15)),
    )


def test_a_proposal_that_comes_too_early_changes_nothing() -> None:
    given(*IN_QUEUE).when(miss(ACCEPT), at=14.99).nothing_happens()


def test_a_deadline_that_is_not_open_any_more_cannot_be_missed() -> None:
    given(*IN_HAND).when(miss(ACCEPT), at=9999).nothing_happens()
    given(*CLOSED).when(miss(INSPECT), at=9999).nothing_happens()
    spec = given(*IN_QUEUE).when(miss(ACCEPT), at=15)
    spec.when(miss(ACCEPT), at=16, command_id="another proposal").nothing_happens()


def test_a_miss_names_who_held_the_case() -> None:
    given(*IN_HAND).when(miss(HANDLE), at=360).brings(e.DeadlineMissed, e.CaseEscalated)
    spec = given(*IN_HAND).when(miss(HANDLE), at=360)
    assert spec.events[0] == missed(HANDLE, holder=WORKER)


# -- the ladder ------------------------------------------------------------------------------------------------------


def test_after_the_miss_the_parent_unit_is_the_owner_and_its_dispatcher_accepts() -> None:
    spec = given(*IN_QUEUE).when(miss(ACCEPT), at=15)
    assert (spec.case.owner.unit, spec.case.status, spec.case.holder) == (COMMUNITY, Status.DISPATCHED, None)
    spec.when(accept(WORKER), at=20, command_id="worker").refused("OutsideYourUnit")
    spec.when(accept(DISPATCHER), at=20, command_id="dispatcher").brings(e.DispatchAccepted)


@pytest.mark.parametrize(
    ("terms", "accept_due", "handle_due"),
    [
        (HAZARD, minute(15 + 360), minute(15 + 24 * 60)),  # 4 working hours: 15:15; 1 working day: Tuesday 09:15
        (DANGER, minute(15 + 60), minute(15 + 120)),  # 1 and 2 continuous hours
    ],
)
def test_an_escalated_case_has_limits_of_its_own_from_the_escalation(
    terms: CategoryTerms, accept_due: datetime, handle_due: datetime
) -> None:
    spec = given(filed(terms=terms), dispatched()).when(miss(ACCEPT), at=15)
    assert spec.case.deadlines == (deadline(Stage.ACCEPT, 3, accept_due),)
    spec.when(accept(DISPATCHER), at=30, command_id="accept")
    assert spec.case.deadlines == (deadline(Stage.HANDLE, 4, handle_due),)


def test_a_release_and_a_rework_above_the_grid_have_the_ladders_limits() -> None:
    at_nine, one_working_day = minute(24 * 60), timedelta(days=1)
    climbed = (*IN_HAND, escalated(COMMUNITY, Stage.HANDLE, ACCEPT), accepted(DISPATCHER))
    spec = given(*climbed).when(ReleaseDispatch(actor=DISPATCHER, case_id=CASE), at=24 * 60)
    assert [d.due for d in spec.case.deadlines if d.stage is Stage.ACCEPT] == [at_nine + timedelta(hours=6)]
    fail = FailInspection(actor=INSPECTOR, case_id=CASE, reason="未清理")
    spec = given(*climbed, completed(DISPATCHER)).when(fail, at=24 * 60)
    assert [d.due for d in spec.case.deadlines] == [at_nine + one_working_day]


def test_whom_a_dispatcher_had_named_matters_no_more_once_the_case_has_climbed() -> None:
    named = (filed(), dispatched(worker=WORKER.person), escalated(COMMUNITY, Stage.ACCEPT, ACCEPT))
    given(*named).when(accept(DISPATCHER)).brings(e.DispatchAccepted)


def test_limits_after_an_escalation_wait_for_the_morning_unless_there_is_danger() -> None:
    friday_evening = minute(4 * 1440 + 9 * 60)
    late = deadline(Stage.ACCEPT, 2, friday_evening)
    spec = given(filed(), dispatched(HANDLE, late)).when(miss(late), at=4 * 1440 + 9 * 60)
    tuesday_noon = datetime(2026, 3, 10, 12, tzinfo=HANDLE_DUE.tzinfo) - timedelta(hours=8)
    assert [d.due for d in spec.case.deadlines] == [tuesday_noon]  # Monday the 9th is a holiday


def test_an_unaccepted_case_climbs_to_the_city_and_ends_in_a_notice_a_day() -> None:
    spec = given(*IN_QUEUE)
    owners = [spec.case.owner.unit]
    while isinstance(run_out(spec).events[-1], e.CaseEscalated):
        owners.append(spec.case.owner.unit)
    assert owners == [GRID_A, COMMUNITY, STREET, DISTRICT, CITY]
    spec.brings(e.DeadlineMissed, e.NoticeIssued)
    notices = [spec.case.deadlines[0].due]
    for _ in range(3):
        run_out(spec).brings(e.NoticeIssued)
        assert spec.case.owner.unit == CITY
        notices.append(spec.case.deadlines[0].due)
    assert {later - earlier for earlier, later in pairwise(notices)} == {timedelta(days=1)}


def test_a_case_of_the_enforcement_team_climbs_to_the_district() -> None:
    team = to_unit(TEAM)
    spec = given(filed(terms=ENFORCED, route=team), dispatched(route=team)).when(miss(ACCEPT), at=15)
    assert spec.case.owner.unit == DISTRICT


def test_an_unassigned_case_climbs_the_same_way_and_still_waits_for_a_dispatcher() -> None:
    desk = deadline(Stage.DISPATCH, 2, minute(20))
    spec = given(filed(route=to_unit(CITY_DESK), deadlines=(HANDLE, desk))).when(miss(desk), at=20)
    assert (spec.case.owner.unit, spec.case.status) == (CITY, Status.AWAITING_DISPATCH)
    assert [d.stage for d in spec.case.deadlines] == [Stage.DISPATCH]
    dispatch = DispatchCase(actor=CITY_DISPATCHER, case_id=CASE, route=ROUTE)
    spec.when(dispatch, at=30, command_id="dispatch").brings(e.CaseDispatched)


def test_a_missed_inspection_lifts_the_case_and_keeps_who_did_the_work() -> None:
    spec = given(*DONE).when(miss(INSPECT), at=90)
    assert (spec.case.owner.unit, spec.case.status, spec.case.holder) == (COMMUNITY, Status.COMPLETED, WORKER.person)
    assert [d.stage for d in spec.case.deadlines] == [Stage.INSPECT]
    fail = FailInspection(actor=INSPECTOR, case_id=CASE, reason="未清理")
    spec.when(fail, at=95, command_id="fail").brings(e.InspectionFailed)
    assert (spec.case.status, spec.case.holder) == (Status.ACCEPTED, WORKER.person)


def test_after_a_downtime_each_rung_has_its_time_again() -> None:
    week = 7 * 24 * 60
    spec = given(*IN_QUEUE).when(miss(ACCEPT), at=week)
    assert spec.case.owner.unit == COMMUNITY
    assert all(d.due > minute(week) for d in spec.case.deadlines)


def test_the_business_clock_does_not_restart_when_the_case_climbs() -> None:
    spec = given(*IN_QUEUE).when(miss(ACCEPT), at=15)
    assert spec.case.handling_due == HANDLE_DUE


# -- at the top ------------------------------------------------------------------------------------------------------


def at_the_top(*last: Event | Past, minutes: float = 20) -> Specification:
    """A case that the city has been reminded of."""
    top = (filed(), dispatched(), *(escalated(unit, Stage.ACCEPT, ACCEPT) for unit in (COMMUNITY, STREET, DISTRICT)))
    return given(*top, after(minutes, escalated(CITY, Stage.ACCEPT, ACCEPT, source=DISTRICT)), *last)


def test_the_notice_stops_when_the_city_accepts_and_the_limit_to_handle_runs() -> None:
    notice = e.NoticeIssued(unit=CITY, number=2, deadlines=(deadline(Stage.NOTICE, 3, minute(1500)),))
    spec = at_the_top(notice).when(accept(CITY_DISPATCHER), at=100)
    assert [(d.stage, d.number) for d in spec.case.deadlines] == [(Stage.HANDLE, 4)]


def test_a_handling_limit_that_was_missed_at_the_top_is_not_missed_again_by_accepting_again() -> None:
    spec = at_the_top().when(accept(CITY_DISPATCHER), at=30, command_id="accept")
    run_out(spec).brings(e.DeadlineMissed, e.NoticeIssued)
    at = (spec.at - minute(0)).total_seconds() / 60
    spec.when(ReleaseDispatch(actor=CITY_DISPATCHER, case_id=CASE), at=at + 1, command_id="release")
    spec.when(accept(CITY_DISPATCHER), at=at + 2, command_id="accept again")
    assert all(d.due > spec.at for d in spec.case.deadlines)


def test_two_misses_at_the_top_leave_one_notice() -> None:
    both = dispatched(HANDLE, ACCEPT, route=to_unit(CITY))
    spec = given(filed(), both).when(miss(ACCEPT), at=15, command_id="accept")
    spec.when(miss(HANDLE), at=360, command_id="handle").brings(e.DeadlineMissed, e.NoticeIssued)
    assert [d.stage for d in spec.case.deadlines] == [Stage.NOTICE]


# -- clocks that stand still, or go on -------------------------------------------------------------------------------


def test_a_returned_case_has_no_clock_but_the_dispatchers() -> None:
    back = ReturnDispatch(actor=WORKER, case_id=CASE, reason="不属本网格")
    spec = given(*IN_HAND).when(back, at=60)
    assert spec.case.deadlines == (deadline(Stage.DISPATCH, 3, minute(80)),)
    run_out(spec).brings(e.DeadlineMissed, e.CaseEscalated)
    assert (spec.case.owner.unit, spec.case.status) == (STREET, Status.AWAITING_DISPATCH)
    send = DispatchCase(actor=STREET_DISPATCHER, case_id=CASE, route=ROUTE)
    spec.when(send, at=120, command_id="send")
    assert spec.case.handling_due == HANDLE_DUE + timedelta(minutes=60)


def test_a_case_whose_handling_limit_was_missed_completes_late() -> None:
    spec = given(*IN_HAND).when(miss(HANDLE), at=360)
    late = CompleteHandling(actor=WORKER, case_id=CASE, evidence={"photo": "p"})
    spec.when(late, at=361, command_id="late").brings(e.HandlingCompleted)
    assert spec.case.completed_at is not None
    assert spec.case.completed_at > spec.case.handling_due


def test_the_timers_next_instant_is_the_earliest_deadline_or_end_of_a_window() -> None:
    assert next_instant(given(*IN_QUEUE).cell.cases.values()) == ACCEPT.due
    assert next_instant(given(*CLOSED).cell.cases.values()) == minute(70) + timedelta(days=7)
    assert next_instant(()) is None


def test_only_the_timer_proposes_that_a_deadline_was_missed() -> None:
    anybody = actor("anybody", Role.DISPATCHER, CITY)
    proposal = miss(ACCEPT).model_copy(update={"actor": anybody})
    given(*IN_QUEUE).when(proposal, at=20).refused("RoleNotAllowed")


def test_a_deadline_beyond_the_holiday_table_is_marked_so() -> None:
    years_later = minute(60 * 24 * 366)
    late = deadline(Stage.ACCEPT, 2, years_later)
    spec = given(filed(place=HERE), dispatched(HANDLE, late), accepted(WORKER, late))
    spec.when(miss(late), at=60 * 24 * 366)
    assert [d.certain for d in spec.case.deadlines] == [False]
