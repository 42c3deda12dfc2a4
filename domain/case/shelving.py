"""挂账与恢复 — how a case is put off: somebody asks, a supervisor decides; once a case, and for a year at most."""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.calendar import Due, WorkingCalendar
from domain.case import clocks, handling
from domain.case import commands as c
from domain.case import events as e
from domain.case.events import Stage
from domain.case.state import Case, Status, evolve_case
from domain.decision import NOTHING, Decision, Fact, Refusal
from domain.limits import Limit, LimitKind

AT_MOST = Limit(kind=LimitKind.NATURAL_DAYS, amount=365)
"""After so long the timer resumes the case."""


def request(case: Case, command: c.RequestShelving) -> Decision:
    """申请挂账 — pending, it stops no clock."""
    if case.shelving is not None:
        return Refusal("AlreadyShelvedOnce", case.id)
    if case.shelving_request is not None:
        asked_before = case.shelving_request.by == command.actor.person
        return NOTHING if asked_before else Refusal("ShelvingPending", case.id)
    return (Fact(case.id, e.ShelvingRequested(by=command.actor.person, reason=command.reason)),)


def decide_request(
    case: Case, command: c.ApproveShelving | c.RejectShelving, at: datetime, calendar: WorkingCalendar
) -> Decision:
    """批准或驳回挂账 — by a supervisor who did not ask for it."""
    asked, person = case.shelving_request, command.actor.person
    if asked is None:
        return Refusal("NoShelvingRequested", case.id)
    if asked.by == person:
        return Refusal("OwnRequest", case.id)
    if isinstance(command, c.RejectShelving):
        return (Fact(case.id, e.ShelvingRejected(by=person, reason=command.reason)),)
    return (Fact(case.id, _shelved(case, asked.reason, person, at, calendar)),)


def _shelved(case: Case, reason: str, by: str, at: datetime, calendar: WorkingCalendar) -> e.CaseShelved:
    def left(due: datetime, kind: LimitKind) -> float:
        return calendar.remaining(at, due, kind).total_seconds()

    stands_still = case.handling_left is not None
    resume_by = calendar.due(at, AT_MOST)
    return e.CaseShelved(
        reason=reason,
        by=by,
        resume_by=resume_by.at,
        stopped=tuple(
            e.StoppedClock(stage=deadline.stage, left_seconds=left(deadline.due, _kind(case, deadline.stage)))
            for deadline in case.deadlines
        ),
        handling_left_seconds=0 if stands_still else left(case.handling_due, case.terms.limits.handle.kind),
        deadlines=clocks.numbered(case.deadline_count, (Stage.SHELVED, resume_by)),
    )


def year_over(case: Case, number: int, by: str, at: datetime, calendar: WorkingCalendar) -> Decision:
    """挂账到期 — the timer proposes that a shelved case has waited long enough; too early is nothing."""
    over = any(deadline.number == number and deadline.due <= at for deadline in case.deadlines)
    return resume(case, by, at, calendar) if over else NOTHING


def resume(case: Case, by: str, at: datetime, calendar: WorkingCalendar) -> Decision:
    """恢复 — to its holder; where the holder has since reported the matter, to the unit's queue."""
    if case.shelving is None or case.shelved_from is None:
        return NOTHING

    def goes_on(left_seconds: float, kind: LimitKind) -> Due:
        return calendar.resume(at, timedelta(seconds=left_seconds), kind)

    first = case.shelving.handling_left_seconds
    running = [(clock.stage, goes_on(clock.left_seconds, _kind(case, clock.stage))) for clock in case.shelving.stopped]
    resumed = e.CaseResumed(
        by=by,
        status=case.shelved_from.value,
        handling_due=goes_on(first, case.terms.limits.handle.kind).at if first else case.handling_due,
        deadlines=clocks.numbered(case.deadline_count, *running),
    )
    again = evolve_case(case, resumed, at)
    if again.status is not Status.ACCEPTED or again.holder not in again.reporters:
        return (Fact(case.id, resumed),)
    return Fact(case.id, resumed), Fact(case.id, handling.back_to_queue(again, at, calendar))


def _kind(case: Case, stage: Stage) -> LimitKind:
    """In which kind of time a stage is limited: the category's, or the ladder's once the case has climbed."""
    limits, ladder = case.terms.limits, case.terms.ladder
    if stage is Stage.NOTICE:
        return LimitKind.HOURS
    if case.escalated_at:
        return (ladder.handle if stage is Stage.HANDLE else ladder.accept).kind
    return {Stage.DISPATCH: limits.dispatch, Stage.ACCEPT: limits.accept, Stage.HANDLE: limits.handle}[stage].kind
