"""时限与升级 — the deadlines of a case, and the ladder it climbs when one runs out.

The handling limit counts from when the city received the report. A missed deadline is recorded once and, in the same commit,
lifts the case to the next unit, whose own limits count from that moment: never overnight for want of a click, never in a
burst after a downtime.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from datetime import datetime, timedelta

from domain.calendar import Due, WorkingCalendar
from domain.case import events as e
from domain.case.events import Deadline, Stage
from domain.case.state import Case, Status
from domain.decision import NOTHING, Decision, Fact
from domain.message import Event

NOTICE_EVERY = timedelta(days=1)
"""How often the top of the ladder is reminded (default)."""

WINDOW = timedelta(days=7)
"""How long after its end a case can be reopened and rated (default)."""


def numbered(count: int, *wanted: tuple[Stage, Due]) -> tuple[Deadline, ...]:
    """New deadlines, numbered on from ``count``."""
    return tuple(
        Deadline(stage=stage, number=count + i, due=due.at, certain=due.certain)
        for i, (stage, due) in enumerate(wanted, start=1)
    )


def kept(case: Case, *stages: Stage) -> tuple[Deadline, ...]:
    """The open deadlines of these stages, as they are."""
    return tuple(deadline for deadline in case.deadlines if deadline.stage in stages)


def accept_deadline(case: Case, at: datetime, calendar: WorkingCalendar) -> tuple[Deadline, ...]:
    """A fresh limit to accept: the category's own, or the ladder's once the case has climbed."""
    limit = case.terms.ladder.accept if case.escalated_at else case.terms.limits.accept
    return numbered(case.deadline_count, (Stage.ACCEPT, calendar.due(at, limit)))


def after_acceptance(case: Case, at: datetime, calendar: WorkingCalendar) -> tuple[Deadline, ...]:
    """What runs once somebody holds the case: the handling limit of its level, from the escalation.

    At the top of the ladder that limit may be over, and recorded, before anybody accepts: then it runs from now.
    """
    if running := kept(case, Stage.HANDLE):
        return running
    due = calendar.due(case.escalated_at or case.received_at, case.terms.ladder.handle)
    if due.at <= at:
        due = calendar.due(at, case.terms.ladder.handle)
    return numbered(case.deadline_count, (Stage.HANDLE, due))


def rework_deadline(case: Case, at: datetime, calendar: WorkingCalendar) -> tuple[Deadline, ...]:
    """返工 — a fresh handling limit; the first handling deadline stays what *on time* is judged by."""
    limit = case.terms.ladder.handle if case.escalated_at else case.terms.limits.handle
    return numbered(case.deadline_count, (Stage.HANDLE, calendar.due(at, limit)))


def inspection_deadline(case: Case, at: datetime, calendar: WorkingCalendar) -> tuple[Deadline, ...]:
    """The limit to inspect, from completion."""
    return numbered(case.deadline_count, (Stage.INSPECT, calendar.due(at, case.terms.limits.inspect)))


def dispatch_deadline(case: Case, at: datetime, calendar: WorkingCalendar) -> tuple[Deadline, ...]:
    """The limit to find another unit for a returned case; its other clocks stand still."""
    return numbered(case.deadline_count, (Stage.DISPATCH, calendar.due(at, case.terms.limits.dispatch)))


def redispatched(case: Case, at: datetime, calendar: WorkingCalendar) -> tuple[datetime, tuple[Deadline, ...]]:
    """The first handling deadline and the open deadlines of a case that a dispatcher sends on.

    A handling clock that runs goes on as it is; after a return it goes on with what was left. One that is over already
    is followed by the ladder's handling limit from now, because it has been missed and recorded before.
    """
    first, limits = Due(case.handling_due, True), case.terms.limits
    if case.handling_left:
        first = calendar.resume(at, case.handling_left, limits.handle.kind)
    accept = calendar.due(at, limits.accept)
    if running := tuple(deadline for deadline in kept(case, Stage.HANDLE) if deadline.due > at):
        return first.at, (*running, *numbered(case.deadline_count, (Stage.ACCEPT, accept)))
    handle = first if first.at > at else calendar.due(at, case.terms.ladder.handle)
    return first.at, numbered(case.deadline_count, (Stage.HANDLE, handle), (Stage.ACCEPT, accept))


def miss(case: Case, number: int, at: datetime, calendar: WorkingCalendar) -> Decision:
    """超时 — record a deadline that has passed, and climb. Too early, or over already: nothing, and the timer asks again."""
    deadline = next((d for d in case.deadlines if d.number == number), None)
    if deadline is None or at < deadline.due:
        return NOTHING
    if deadline.stage is Stage.NOTICE:
        return (Fact(case.id, _notice(case, deadline, at)),)
    missed = e.DeadlineMissed(
        stage=deadline.stage,
        number=number,
        due=deadline.due,
        unit=case.owner.unit,
        level=case.owner.level,
        holder=case.holder,
    )
    return Fact(case.id, missed), Fact(case.id, _climb(case, deadline, at, calendar))


def _climb(case: Case, missed: Deadline, at: datetime, calendar: WorkingCalendar) -> Event:
    above = case.route.above(case.owner.unit)
    if above is None:
        return _notice(case, missed, at)
    stage = {Status.AWAITING_DISPATCH: Stage.DISPATCH, Status.COMPLETED: Stage.INSPECT}.get(case.status, Stage.ACCEPT)
    due = calendar.due(at, case.terms.ladder.accept)
    return e.CaseEscalated(
        from_unit=case.owner,
        to_unit=above,
        stage=missed.stage,
        deadlines=numbered(case.deadline_count, (stage, due)),
    )


def _notice(case: Case, over: Deadline, at: datetime) -> e.NoticeIssued:
    rest = tuple(d for d in case.deadlines if d.number != over.number and d.stage is not Stage.NOTICE)
    following = numbered(case.deadline_count, (Stage.NOTICE, Due(at + NOTICE_EVERY, True)))
    return e.NoticeIssued(unit=case.owner.unit, number=over.number, deadlines=(*rest, *following))


def next_instant(cases: Collection[Case], *, but: Set[Stage] = frozenset()) -> datetime | None:
    """The earliest instant at which the timer has something to propose for one of ``cases``, ``but`` some stages."""
    instants = [deadline.due for case in cases for deadline in case.deadlines if deadline.stage not in but]
    instants += [case.window_ends for case in cases if case.window_ends is not None]
    return min(instants, default=None)
