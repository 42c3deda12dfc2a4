"""处置 — dispatch, accept, release, return, complete, inspect."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.case import events as e
from domain.case.commands import (
    AcceptDispatch,
    CompleteHandling,
    DispatchCase,
    FailInspection,
    PassInspection,
    ReleaseDispatch,
    ReturnDispatch,
)
from domain.case.events import Stage
from domain.case.state import Status
from domain.message import Actor
from tests.domain.smallville import (
    CASE,
    CITY_DISPATCHER,
    COMMUNITY,
    DISPATCHER,
    FOREIGN_WORKER,
    GRID_A,
    GRID_B,
    INSPECTOR,
    OTHER_WORKER,
    PART_TIMER,
    RIDER,
    ROUTE,
    STREET,
    STREET_DISPATCHER,
    TEAM,
    WORKER,
    actor,
    rung,
    to_unit,
)
from tests.domain.specification import (
    ACCEPT,
    DONE,
    HANDLE,
    HANDLE_DUE,
    IN_HAND,
    IN_QUEUE,
    INSPECT,
    accepted,
    after,
    attached,
    closed,
    completed,
    deadline,
    dispatched,
    escalated,
    filed,
    given,
    minute,
    missed,
    report,
)

FINISHED = DONE[-1]
ESCALATED = (
    *IN_HAND,
    after(360, missed(HANDLE, holder=WORKER)),
    after(360, escalated(COMMUNITY, Stage.HANDLE, ACCEPT)),
)
"""The handling limit was missed: the community answers for it, the worker may still complete."""


def accept(by: Actor = WORKER) -> AcceptDispatch:
    return AcceptDispatch(actor=by, case_id=CASE)


def release(by: Actor = WORKER) -> ReleaseDispatch:
    return ReleaseDispatch(actor=by, case_id=CASE)


def give_back(by: Actor = WORKER) -> ReturnDispatch:
    return ReturnDispatch(actor=by, case_id=CASE, reason="不属本网格")


def complete(by: Actor = WORKER, **evidence: str) -> CompleteHandling:
    return CompleteHandling(actor=by, case_id=CASE, evidence=evidence or {"photo": "p"})


def dispatch(to: str = GRID_B, worker: str | None = None, by: Actor = DISPATCHER) -> DispatchCase:
    return DispatchCase(actor=by, case_id=CASE, route=to_unit(to), worker=worker)


def passed(by: Actor = INSPECTOR) -> PassInspection:
    return PassInspection(actor=by, case_id=CASE)


def failed(by: Actor = INSPECTOR) -> FailInspection:
    return FailInspection(actor=by, case_id=CASE, reason="未清理")


def returned(deadline_number: int, left: float, desk: str = COMMUNITY) -> e.DispatchReturned:
    return e.DispatchReturned(
        reason="不属本网格",
        by=WORKER.person,
        desk=rung(desk),
        handling_left_seconds=left * 60,
        deadlines=(deadline(Stage.DISPATCH, deadline_number, minute(80)),),
    )


# -- accepting -------------------------------------------------------------------------------------------------------


def test_a_worker_of_the_unit_claims_the_case_and_the_handling_clock_runs_on() -> None:
    spec = given(*IN_QUEUE).when(accept(), at=10).then(accepted())
    assert (spec.case.holder, spec.case.deadlines) == (WORKER.person, (HANDLE,))


def test_one_holder_at_a_time() -> None:
    given(*IN_HAND).when(accept(OTHER_WORKER)).refused("HeldByAnother")
    given(*IN_HAND).when(accept()).nothing_happens()


def test_nobody_accepts_what_they_reported() -> None:
    given(filed(report(reporter=PART_TIMER)), dispatched()).when(accept(PART_TIMER)).refused("OwnReport")
    given(*IN_QUEUE, attached(report("own", PART_TIMER))).when(accept(PART_TIMER)).refused("OwnReport")


def test_only_the_worker_whom_the_dispatcher_named_may_accept() -> None:
    named = (filed(), dispatched(worker=OTHER_WORKER.person))
    given(*named).when(accept()).refused("AssignedToAnother")
    given(*named).when(accept(OTHER_WORKER)).brings(e.DispatchAccepted)


def test_a_case_that_waits_for_a_dispatcher_cannot_be_accepted() -> None:
    given(filed()).when(accept()).refused("WrongStage")


# -- releasing -------------------------------------------------------------------------------------------------------


def test_a_released_case_returns_to_the_queue_with_a_fresh_limit_to_accept() -> None:
    spec = given(*IN_HAND).when(release(), at=30)
    spec.then(e.DispatchReleased(holder=WORKER.person, deadlines=(HANDLE, deadline(Stage.ACCEPT, 3, minute(45)))))
    assert (spec.case.status, spec.case.holder) == (Status.DISPATCHED, None)


def test_only_the_holder_releases() -> None:
    given(*IN_HAND).when(release(OTHER_WORKER)).refused("NotTheHolder")


def test_who_held_a_case_before_it_was_escalated_cannot_take_it_from_its_new_holder() -> None:
    given(*ESCALATED, accepted(DISPATCHER)).when(release(), at=400).refused("NotTheHolder")


# -- returning -------------------------------------------------------------------------------------------------------


def test_a_returned_case_stands_at_the_communitys_desk_and_its_handling_clock_stands_still() -> None:
    left = HANDLE_DUE - minute(60)
    working = left - timedelta(hours=2)  # the lunch break is nobody's time
    spec = given(*IN_HAND).when(give_back(), at=60).then(returned(3, working.total_seconds() / 60))
    assert (spec.case.owner.unit, spec.case.status, spec.case.holder) == (COMMUNITY, Status.AWAITING_DISPATCH, None)


def test_a_case_can_be_returned_from_the_queue_but_not_by_somebody_else_than_its_holder() -> None:
    given(*IN_QUEUE).when(give_back()).brings(e.DispatchReturned)
    given(*IN_HAND).when(give_back(OTHER_WORKER)).refused("NotTheHolder")


def test_a_redispatch_goes_on_with_what_was_left_and_moves_what_on_time_means() -> None:
    spec = given(*IN_HAND, after(60, returned(3, 180))).when(dispatch(), at=120)
    due = HANDLE_DUE + timedelta(minutes=60)
    spec.then(
        e.CaseDispatched(
            route=to_unit(GRID_B),
            by=DISPATCHER.person,
            handling_due=due,
            deadlines=(deadline(Stage.HANDLE, 4, due), deadline(Stage.ACCEPT, 5, minute(135))),
        )
    )
    assert (spec.case.owner.unit, spec.case.handling_due) == (GRID_B, due)
    spec.when(dispatch(GRID_A), at=180, command_id="again")
    assert spec.case.handling_due == due


def test_after_two_returns_the_dispatchers_decision_binds() -> None:
    again = dispatched(HANDLE, ACCEPT)
    given(*IN_HAND, returned(3, 1), again).when(give_back()).brings(e.DispatchReturned)
    given(*IN_HAND, returned(3, 1), again, returned(4, 1), again).when(give_back()).refused("ReturnsExhausted")


def test_an_escalated_case_is_returned_to_the_unit_that_answers_for_it_now() -> None:
    climbed = escalated(STREET, Stage.ACCEPT, ACCEPT, source=COMMUNITY)
    spec = given(*ESCALATED, climbed).when(give_back(STREET_DISPATCHER), at=400)
    assert spec.case.owner == rung(STREET)


# -- dispatching -----------------------------------------------------------------------------------------------------


def test_a_redispatch_takes_the_case_from_its_holder_and_the_running_handling_clock_goes_on() -> None:
    accept_by = deadline(Stage.ACCEPT, 3, minute(75))
    spec = given(*IN_HAND).when(dispatch(), at=60)
    spec.then(dispatched(HANDLE, accept_by, route=to_unit(GRID_B), by=DISPATCHER.person))
    assert (spec.case.holder, spec.case.owner.unit, spec.case.status) == (None, GRID_B, Status.DISPATCHED)


def test_sending_a_case_around_wins_no_time() -> None:
    spec = given(*IN_HAND)
    for number in range(5):
        spec.when(dispatch(GRID_B if number % 2 else GRID_A), at=60 + number, command_id=f"dispatch {number}")
    assert HANDLE in spec.case.deadlines


def test_after_a_missed_handling_limit_the_redispatched_case_has_the_ladders_limit_from_now() -> None:
    spec = given(*ESCALATED).when(dispatch(), at=360)
    monday_15_00, tuesday_15_00 = minute(360), minute(360 + 24 * 60)
    spec.then(
        dispatched(
            deadline(Stage.HANDLE, 3, tuesday_15_00),
            deadline(Stage.ACCEPT, 4, monday_15_00 + timedelta(minutes=15)),
            route=to_unit(GRID_B),
            by=DISPATCHER.person,
        )
    )


def test_a_handling_limit_that_ends_at_this_instant_is_over() -> None:
    spec = given(*IN_HAND).when(dispatch(), at=360)
    assert HANDLE not in spec.case.deadlines
    assert all(open_deadline.due > minute(360) for open_deadline in spec.case.deadlines)


def test_nobody_is_named_for_what_they_reported() -> None:
    given(*IN_QUEUE).when(dispatch(GRID_A, RIDER.person)).refused("OwnReport")


def test_a_case_can_go_to_the_enforcement_team() -> None:
    spec = given(*IN_QUEUE).when(dispatch(TEAM))
    assert [step.unit for step in spec.case.route.ladder] == ["440305000000", "440300000000"]


# -- completing ------------------------------------------------------------------------------------------------------


def test_the_holder_completes_with_evidence_and_the_inspection_clock_starts() -> None:
    spec = given(*IN_HAND).when(complete(), at=60).then(completed())
    assert (spec.case.status, spec.case.deadlines) == (Status.COMPLETED, (INSPECT,))


def test_the_category_says_which_evidence_is_required() -> None:
    given(*IN_HAND).when(complete(note="n")).refused("EvidenceMissing")


def test_only_the_holder_completes() -> None:
    given(*IN_QUEUE).when(complete()).refused("NotTheHolder")
    given(*IN_HAND).when(complete(OTHER_WORKER)).refused("NotTheHolder")


def test_completing_twice_is_not_an_error() -> None:
    given(*DONE).when(complete()).nothing_happens()


def test_who_held_it_when_it_was_escalated_may_still_complete_until_it_is_dispatched_anew() -> None:
    spec = given(*ESCALATED).when(complete(), at=400).brings(e.HandlingCompleted)
    assert (spec.case.holder, spec.case.status) == (WORKER.person, Status.COMPLETED)
    given(*ESCALATED, accepted(DISPATCHER)).when(complete(), at=400).brings(e.HandlingCompleted)
    given(*ESCALATED, dispatched(HANDLE, ACCEPT, route=to_unit(GRID_B))).when(complete()).refused("NotTheHolder")


# -- inspecting ------------------------------------------------------------------------------------------------------


def test_a_passed_inspection_closes_the_case_and_names_what_its_first_reporter_earns() -> None:
    given(*DONE[:-1], after(60, FINISHED)).when(passed(), at=70).then(
        e.InspectionPassed(by=INSPECTOR.person), closed(at=70)
    )


def test_a_failed_inspection_is_rework_for_the_same_holder_with_a_fresh_limit() -> None:
    spec = given(*DONE).when(failed(), at=60)
    again = deadline(Stage.HANDLE, 4, HANDLE_DUE + timedelta(hours=1))
    spec.then(e.InspectionFailed(by=INSPECTOR.person, reason="未清理", deadlines=(again,)))
    assert (spec.case.status, spec.case.holder, spec.case.completed_at) == (Status.ACCEPTED, WORKER.person, None)


@pytest.mark.parametrize(("completed_at", "on_time"), [(360, True), (360.01, False)])
def test_rework_does_not_move_what_on_time_means(completed_at: float, on_time: bool) -> None:
    rework = e.InspectionFailed(by=INSPECTOR.person, reason="", deadlines=(deadline(Stage.HANDLE, 4, minute(900)),))
    spec = given(*DONE, rework, after(completed_at, completed())).when(passed(), at=500)
    assert [event.on_time for event in spec.events if isinstance(event, e.CaseClosed)] == [on_time]


def test_nobody_inspects_what_they_reported_or_handled() -> None:
    inspectors = [actor(person, INSPECTOR.roles[0], COMMUNITY) for person in (RIDER.person, WORKER.person)]
    given(*DONE).when(passed(inspectors[0])).refused("OwnReport")
    given(*DONE).when(failed(inspectors[1])).refused("HandledByYou")


def test_who_handled_it_before_the_rework_may_not_inspect_it_either() -> None:
    rework = e.InspectionFailed(by=INSPECTOR.person, reason="", deadlines=(HANDLE,))
    again = (*DONE, rework, dispatched(), accepted(OTHER_WORKER), completed(OTHER_WORKER))
    given(*again).when(passed(actor(WORKER.person, INSPECTOR.roles[0], COMMUNITY))).refused("HandledByYou")


def test_inspection_is_for_what_has_been_completed() -> None:
    given(*IN_HAND).when(passed()).refused("WrongStage")
    given(*IN_QUEUE).when(failed()).refused("WrongStage")


@pytest.mark.parametrize("unit", [COMMUNITY, STREET])
def test_the_community_of_the_case_inspects_or_a_unit_above_it_wherever_the_case_has_climbed(unit: str) -> None:
    climbed = escalated(STREET, Stage.INSPECT, INSPECT, source=COMMUNITY)
    inspector = actor("inspector-2", INSPECTOR.roles[0], unit)
    given(*DONE, climbed).when(passed(inspector)).brings(e.InspectionPassed, e.CaseClosed)


def test_the_community_inspects_what_was_dispatched_to_its_own_queue() -> None:
    own = (filed(), dispatched(route=to_unit(COMMUNITY)), accepted(DISPATCHER), completed(DISPATCHER))
    given(*own).when(passed()).brings(e.InspectionPassed, e.CaseClosed)


def test_a_grid_does_not_inspect_itself() -> None:
    given(*DONE).when(passed(actor("inspector-3", INSPECTOR.roles[0], GRID_A))).refused("OutsideYourUnit")


def test_workers_of_other_grids_have_no_part_in_a_case() -> None:
    given(*IN_QUEUE).when(accept(FOREIGN_WORKER)).refused("OutsideYourUnit")
    given(*IN_QUEUE).when(accept(CITY_DISPATCHER)).refused("OutsideYourUnit")
    assert ROUTE.unit.unit == GRID_A
