"""处置 — accept, release, return, complete, inspect."""

from __future__ import annotations

from datetime import datetime

from domain.calendar import WorkingCalendar
from domain.case import clocks
from domain.case import commands as c
from domain.case import events as e
from domain.case.events import Stage
from domain.case.state import Case, Status
from domain.decision import NOTHING, Decision, Fact, Refusal

MAX_RETURNS = 2
"""After so many returns the dispatcher's decision binds (docs/reference/rules.md)."""

EARNING = frozenset({"resolved", "mediated"})
"""Outcomes that pay the main reward."""


def accept(case: Case, command: c.AcceptDispatch, at: datetime, calendar: WorkingCalendar) -> Decision:
    """签收 — one holder at a time, never the reporter."""
    person = command.actor.person
    if case.status is Status.ACCEPTED:
        return NOTHING if case.holder == person else Refusal("HeldByAnother", case.id)
    if person in case.reporters:
        return Refusal("OwnReport", case.id)
    if case.assignee not in (None, person):
        return Refusal("AssignedToAnother", case.id)
    accepted = e.DispatchAccepted(holder=person, deadlines=clocks.after_acceptance(case, at, calendar))
    return (Fact(case.id, accepted),)


def release(case: Case, command: c.ReleaseDispatch, at: datetime, calendar: WorkingCalendar) -> Decision:
    """释放 — by the holder alone."""
    if case.holder != command.actor.person:
        return Refusal("NotTheHolder", case.id)
    return (Fact(case.id, back_to_queue(case, at, calendar)),)


def back_to_queue(case: Case, at: datetime, calendar: WorkingCalendar) -> e.DispatchReleased:
    """释放 — the accept limit runs afresh, the handling limit runs on."""
    deadlines = (*clocks.kept(case, Stage.HANDLE), *clocks.accept_deadline(case, at, calendar))
    return e.DispatchReleased(holder=case.holder or "", deadlines=deadlines)


def give_back(case: Case, command: c.ReturnDispatch, at: datetime, calendar: WorkingCalendar) -> Decision:
    """回退 — to the community's desk; the handling clock stands still until somebody is found."""
    if case.holder not in (None, command.actor.person):
        return Refusal("NotTheHolder", case.id)
    if case.returns >= MAX_RETURNS:
        return Refusal("ReturnsExhausted", case.id)
    left = calendar.remaining(at, case.handling_due, case.terms.limits.handle.kind)
    climbed = case.owner != case.route.unit
    returned = e.DispatchReturned(
        reason=command.reason,
        by=command.actor.person,
        desk=case.owner if climbed else case.route.desk,
        handling_left_seconds=left.total_seconds(),
        deadlines=clocks.dispatch_deadline(case, at, calendar),
    )
    return (Fact(case.id, returned),)


def complete(case: Case, command: c.CompleteHandling, at: datetime, calendar: WorkingCalendar) -> Decision:
    """反馈 — by the holder, or by who held it before it was escalated; with the evidence the category asks for."""
    person = command.actor.person
    if person in case.reporters:
        return Refusal("OwnReport", case.id)
    missing = [kind for kind in case.terms.evidence if not command.evidence.get(kind, "").strip()]
    if missing:
        return Refusal("EvidenceMissing", ", ".join(missing))
    completed = e.HandlingCompleted(
        by=person,
        evidence=command.evidence,
        note=command.note,
        deadlines=clocks.inspection_deadline(case, at, calendar),
    )
    return (Fact(case.id, completed),)


def _may_not_inspect(case: Case, person: str) -> Refusal | None:
    if person in case.reporters:
        return Refusal("OwnReport", case.id)
    return Refusal("HandledByYou", case.id) if person in case.handlers else None


def pass_inspection(case: Case, command: c.PassInspection, at: datetime) -> Decision:
    """核查通过 — closes the case."""
    person = command.actor.person
    if refusal := _may_not_inspect(case, person):
        return refusal
    return Fact(case.id, e.InspectionPassed(by=person)), Fact(case.id, closed(case, command.outcome, person, at))


def fail_inspection(case: Case, command: c.FailInspection, at: datetime, calendar: WorkingCalendar) -> Decision:
    """核查不通过 — rework for the holder; where the holder has since reported the matter, for the unit's queue."""
    person = command.actor.person
    if refusal := _may_not_inspect(case, person):
        return refusal
    deadlines = clocks.rework_deadline(case, at, calendar)
    facts = (Fact(case.id, e.InspectionFailed(by=person, reason=command.reason, deadlines=deadlines)),)
    if case.holder not in case.reporters:
        return facts
    accept_by = clocks.accept_deadline(case, at, calendar)
    both = (*deadlines, *(d.model_copy(update={"number": d.number + 1}) for d in accept_by))
    return (*facts, Fact(case.id, e.DispatchReleased(holder=case.holder, deadlines=both)))


def closed(case: Case, outcome: e.Outcome, by: str, at: datetime, reason: str = "") -> e.CaseClosed:
    """结案 — *on time*: completed by the first handling deadline, as paused; rework does not move it."""
    return e.CaseClosed(
        outcome=outcome,
        by=by,
        reason=reason,
        on_time=case.completed_at is not None and case.completed_at <= case.handling_due,
        first=case.reports[0] if case.reports else None,
        reward_points=case.terms.reward.resolution if outcome in EARNING else 0,
        reporters=case.reporters,
        window_ends=at + clocks.WINDOW,
    )
