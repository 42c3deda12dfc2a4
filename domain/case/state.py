"""A cell: the open cases of one neighbourhood and the reports it remembers, as a fold of its events.

Folding is total and never decides: `evolve` copies what the events say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from domain.case import events as e
from domain.catalogue import CategoryTerms
from domain.ids import case_id, number_of, uuid_of
from domain.message import Envelope, Message
from domain.net import Level
from domain.place import Place
from domain.routing import Route, Rung

REPORT_MEMORY = timedelta(days=90)
"""How long a report's id is remembered; the edge refuses older ones."""


class Status(StrEnum):
    """Where a case stands in its life."""

    AWAITING_DISPATCH = "awaiting_dispatch"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    SHELVED = "shelved"
    CLOSED = "closed"
    VOIDED = "voided"


AT_WORK = frozenset({Status.AWAITING_DISPATCH, Status.DISPATCHED, Status.ACCEPTED})
"""Somebody still has to deal with the matter."""
OPEN = AT_WORK | {Status.COMPLETED, Status.SHELVED}


@dataclass(frozen=True, slots=True)
class Case:
    """One case, from filing until it is archived."""

    id: str
    terms: CategoryTerms
    place: Place | None
    route: Route
    owner: Rung
    """The unit whose queue holds the case."""
    status: Status
    received_at: datetime
    handling_due: datetime
    reports: tuple[e.ReportOnCase, ...]
    deadlines: tuple[e.Deadline, ...]
    deadline_count: int
    holder: str | None = None
    former_holders: frozenset[str] = frozenset()
    """Who held it when it was escalated: may still complete until somebody dispatches it anew."""
    assignee: str | None = None
    """The one worker who may accept, where the dispatcher named one."""
    handlers: frozenset[str] = frozenset()
    escalated_at: datetime | None = None
    handling_left: timedelta | None = None
    """What was left of the handling limit when the case was returned."""
    shelving_request: e.ShelvingRequested | None = None
    """A request to shelve the case that nobody has decided."""
    shelving: e.CaseShelved | None = None
    """The one shelving that a case may have, also after it is over."""
    shelved_from: Status | None = None
    """Where a shelved case stood, and will stand again."""
    returns: int = 0
    completed_at: datetime | None = None
    window_ends: datetime | None = None
    former_reporters: frozenset[str] = frozenset()
    """Whose reports were withdrawn or detached: their accounts remember the case until it is archived."""
    raters: frozenset[str] = frozenset()
    answered: frozenset[str] = frozenset()
    """Ids of the commands that produced events here."""

    @property
    def reporters(self) -> tuple[str, ...]:
        """Every reporter once, the first first."""
        return tuple(dict.fromkeys(report.reporter for report in self.reports))

    def ancestors_of_owner(self) -> tuple[str, ...]:
        """The units above the owner, nearest first."""
        above = self.route.ancestors
        return above[above.index(self.owner.unit) + 1 :] if self.owner.unit in above else above

    def in_subtree_of(self, units: tuple[str, ...]) -> bool:
        """Whether one of ``units`` owns the case or stands above its owner."""
        return self.owner.unit in units or not set(units).isdisjoint(self.ancestors_of_owner())

    def may_be_inspected_from(self, units: tuple[str, ...]) -> bool:
        """核查 — whether one of ``units`` is the community of the case or stands above it."""
        answering = self.route.unit
        own = () if answering.level is Level.GRID else (answering.unit,)
        return not set(units).isdisjoint((*own, *self.route.ancestors))


Fate = Literal["held", "on_case", "declined", "withdrawn"]


@dataclass(frozen=True, slots=True)
class KnownReport:
    """What became of a report."""

    fate: Fate
    reporter: str
    seen_at: datetime
    case: str | None = None


@dataclass(slots=True)
class Cell:
    """The state of one key: changed only by `evolve`, thrown away whole when a write fails."""

    cell: str
    last_number: int = 0
    cases: dict[str, Case] = field(default_factory=dict)
    held: dict[str, e.ReportHeld] = field(default_factory=dict)
    """Held reports by full id."""
    reports: dict[str, KnownReport] = field(default_factory=dict)
    """Reports of the last 90 days by the client's UUID."""

    def is_archived(self, case: str) -> bool:
        """Whether ``case`` was here once and has left."""
        number = number_of(case)
        here = number is not None and case == case_id(self.cell, number) and 1 <= number <= self.last_number
        return here and case not in self.cases

    def open_cases(self) -> Iterator[Case]:
        """Cases that are not ended."""
        return (case for case in self.cases.values() if case.status in OPEN)


def evolve(cell: Cell, event: Envelope) -> None:
    """Fold one event of this cell into ``cell``."""
    data = event.data
    _remember(cell, event)
    if isinstance(data, e.ReportHeld):
        cell.held[event.subject] = data
    elif isinstance(data, e.CaseFiled):
        cell.held.pop(data.report.report, None)
        cell.last_number = max(cell.last_number, number_of(event.subject) or 0)
        cell.cases[event.subject] = _filed(event.subject, data, event.causationid)
    elif isinstance(data, e.CaseArchived):
        cell.cases.pop(event.subject, None)
    elif isinstance(data, e.ReportDeclined):
        cell.held.pop(event.subject, None)
    elif (case := cell.cases.get(event.subject)) is not None:
        cell.cases[event.subject] = evolve_case(case, data, event.time, event.causationid)
        if isinstance(data, e.ReportAttached):
            cell.held.pop(data.report.report, None)
    elif isinstance(data, e.ReportWithdrawn):
        cell.held.pop(event.subject, None)


def _remember(cell: Cell, event: Envelope) -> None:
    data, at = event.data, event.time
    known: tuple[str, KnownReport]
    match data:
        case e.CaseFiled() | e.ReportAttached():
            known = data.report.report, KnownReport("on_case", data.report.reporter, at, event.subject)
        case e.ReportHeld():
            known = data.report.report, KnownReport("held", data.report.reporter, at)
        case e.ReportDeclined():
            known = data.report, KnownReport("declined", data.reporter, at)
        case e.ReportWithdrawn():
            known = data.report, KnownReport("withdrawn", data.reporter, at)
        case _:
            return
    cell.reports.pop(uuid_of(known[0]), None)  # the dictionary stays in order of time
    cell.reports[uuid_of(known[0])] = known[1]
    while (oldest := next(iter(cell.reports))) and at - cell.reports[oldest].seen_at > REPORT_MEMORY:
        del cell.reports[oldest]


def _filed(subject: str, data: e.CaseFiled, command: str) -> Case:
    return Case(
        id=subject,
        terms=data.terms,
        place=data.place,
        route=data.route,
        owner=data.route.unit,
        status=Status.AWAITING_DISPATCH,
        received_at=data.report.received_at,
        handling_due=data.handling_due,
        reports=(data.report,),
        deadlines=data.deadlines,
        deadline_count=len(data.deadlines),
        answered=frozenset({command}),
    )


def evolve_case(case: Case, data: Message, at: datetime, command: str = "") -> Case:
    """The case after one event of its stream, which came of ``command``; of none where somebody looks ahead."""
    deadlines: tuple[e.Deadline, ...] | None = getattr(data, "deadlines", None)
    answered = case.answered | {command} if command else case.answered
    count = case.deadline_count
    if deadlines is None:
        deadlines = case.deadlines
    else:
        count = max([count, *(deadline.number for deadline in deadlines)])
    case = replace(case, answered=answered, deadlines=deadlines, deadline_count=count)
    match data:
        case e.ReportAttached():
            return replace(case, reports=(*case.reports, data.report))
        case e.ReportDetached():
            return _left(case, data.report.report)
        case e.ReportWithdrawn():
            return _left(case, data.report)
        case e.CaseDispatched():
            return _dispatched(case, data)
        case e.DispatchAccepted():
            return replace(case, status=Status.ACCEPTED, holder=data.holder, assignee=None)
        case e.DispatchReleased():
            return replace(case, status=Status.DISPATCHED, holder=None)
        case e.DispatchReturned():
            return _returned(case, data)
        case e.HandlingCompleted():
            return _completed(case, data, at)
        case e.InspectionFailed():
            return replace(case, status=Status.ACCEPTED, completed_at=None)
        case e.CaseClosed():
            return replace(case, status=Status.CLOSED, window_ends=data.window_ends, deadlines=())
        case e.CaseVoided():
            return replace(case, status=Status.VOIDED, window_ends=data.window_ends, deadlines=())
        case e.CaseReopened():
            return _reopened(case)
        case e.DeadlineMissed():
            return replace(case, deadlines=tuple(d for d in case.deadlines if d.number != data.number))
        case e.CaseEscalated():
            return _escalated(case, data, at)
        case e.OutcomeRated():
            return replace(case, raters=case.raters | {data.by})
        case _:
            return _put_off(case, data, at)


def _left(case: Case, report: str) -> Case:
    gone = frozenset(known.reporter for known in case.reports if known.report == report)
    stay = tuple(known for known in case.reports if known.report != report)
    return replace(case, reports=stay, former_reporters=case.former_reporters | gone)


def _dispatched(case: Case, data: e.CaseDispatched) -> Case:
    return replace(
        case,
        route=data.route,
        owner=data.route.unit,
        status=Status.DISPATCHED,
        assignee=data.worker,
        holder=None,
        former_holders=frozenset(),
        handling_due=data.handling_due,
        handling_left=None,
        escalated_at=None,
    )


def _returned(case: Case, data: e.DispatchReturned) -> Case:
    return replace(
        case,
        status=Status.AWAITING_DISPATCH,
        owner=data.desk,
        holder=None,
        former_holders=frozenset(),
        returns=case.returns + 1,
        handling_left=timedelta(seconds=data.handling_left_seconds),
    )


def _completed(case: Case, data: e.HandlingCompleted, at: datetime) -> Case:
    """Whoever completed is the holder: rework goes back to the one who did the work."""
    handlers = case.handlers | {data.by}
    return replace(
        case, status=Status.COMPLETED, completed_at=at, holder=data.by, handlers=handlers, shelving_request=None
    )


def _reopened(case: Case) -> Case:
    return replace(
        case,
        status=Status.DISPATCHED,
        assignee=None,
        holder=None,
        former_holders=frozenset(),
        handling_left=None,
        shelving_request=None,
        shelved_from=None,
        completed_at=None,
        window_ends=None,
        escalated_at=None,
    )


def _escalated(case: Case, data: e.CaseEscalated, at: datetime) -> Case:
    waits = case.status in (Status.ACCEPTED, Status.DISPATCHED)
    return replace(
        case,
        owner=data.to_unit,
        status=Status.DISPATCHED if waits else case.status,
        former_holders=case.former_holders | {case.holder} if case.holder else case.former_holders,
        holder=None if waits else case.holder,
        assignee=None,
        escalated_at=at,
    )


def _put_off(case: Case, data: Message, at: datetime) -> Case:
    """挂账 — where the ladder's limits have not begun to run when the case resumes, they count from then."""
    match data:
        case e.ShelvingRequested():
            return replace(case, shelving_request=data)
        case e.ShelvingRejected():
            return replace(case, shelving_request=None)
        case e.CaseShelved():
            return replace(case, status=Status.SHELVED, shelved_from=case.status, shelving=data, shelving_request=None)
        case e.CaseResumed():
            return replace(
                case,
                status=Status(data.status),
                shelved_from=None,
                handling_due=data.handling_due,
                escalated_at=at if case.escalated_at else None,
            )
        case _:  # notices, notes and a passed inspection change nothing but the clocks
            return case
