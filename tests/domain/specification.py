"""How the rules are specified: ``given(events).when(command).then(events)``, on a small net, catalogue and calendar.

Everything happens in one cell. The first case is `CASE`; instants are minutes after `START`, a Monday, 09:00 in Shenzhen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from domain.case import events as e
from domain.case.commands import AdmitReport, CaseCommand, DeclineReport, FileReport, OnCase, WithdrawReport
from domain.case.decide import decide
from domain.case.events import Deadline, ReportOnCase, Stage
from domain.case.state import Case, Cell, evolve
from domain.catalogue import (
    CategoryTerms,
)
from domain.decision import NOTHING, Decision, Fact, Refusal
from domain.directory import Directory
from domain.ids import report_id
from domain.message import Actor, Envelope, Event, derived_id
from domain.place import Place
from domain.refusals import REFUSALS
from domain.routing import Route, route
from tests.domain.smallville import (
    CASE,
    CELL,
    DIRECTORY,
    GRID_A,
    HAZARD,
    HERE,
    INSPECTOR,
    OTHER_RIDER,
    QUARREL,
    RIDER,
    ROUTE,
    SUPERVISOR,
    WORKER,
    rung,
)

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
"""Monday, 2 March 2026, 09:00 in Shenzhen."""

# -- events and commands ---------------------------------------------------------------------------------------------


def minute(minutes: float) -> datetime:
    """So many minutes after `START`."""
    return START + timedelta(minutes=minutes)


def report(name: str = "first", reporter: Actor = RIDER, *, received: float = 0) -> ReportOnCase:
    """A report of `CELL`; its UUID follows from ``name``."""
    uuid = derived_id("test report", name)
    return ReportOnCase(report=report_id(CELL, uuid), reporter=reporter.person, received_at=minute(received))


FIRST, SECOND = report("first"), report("second", OTHER_RIDER, received=5)


def deadline(stage: Stage, number: int, due: datetime) -> Deadline:
    """An open deadline."""
    return Deadline(stage=stage, number=number, due=due)


HANDLE_DUE = datetime(2026, 3, 2, 7, tzinfo=UTC)
"""Four working hours after `START`: 09:00–12:00, 14:00–15:00."""
HANDLE, ACCEPT = deadline(Stage.HANDLE, 1, HANDLE_DUE), deadline(Stage.ACCEPT, 2, minute(15))
INSPECT = deadline(Stage.INSPECT, 3, minute(90))


def filed(
    first: ReportOnCase = FIRST,
    *,
    terms: CategoryTerms = HAZARD,
    place: Place | None = HERE,
    route: Route = ROUTE,
    deadlines: tuple[Deadline, ...] = (HANDLE,),
) -> e.CaseFiled:
    """立案."""
    return e.CaseFiled(
        report=first,
        occurred_at=first.received_at,
        place=place,
        terms=terms,
        route=route,
        handling_due=HANDLE_DUE,
        deadlines=deadlines,
    )


def dispatched(
    *deadlines: Deadline, route: Route = ROUTE, by: str = "router", worker: str | None = None
) -> e.CaseDispatched:
    """派遣."""
    return e.CaseDispatched(
        route=route, worker=worker, by=by, handling_due=HANDLE_DUE, deadlines=deadlines or (HANDLE, ACCEPT)
    )


def attached(second: ReportOnCase = SECOND, *, rewarded: bool = True) -> e.ReportAttached:
    """并入."""
    return e.ReportAttached(report=second, occurred_at=second.received_at, place=HERE, rewarded=rewarded)


def held(first: ReportOnCase = FIRST) -> e.ReportHeld:
    """待立案 — a quarrel in grid A."""
    return e.ReportHeld(report=first, occurred_at=first.received_at, place=HERE, terms=QUARREL, route=ROUTE)


def accepted(holder: Actor = WORKER, *deadlines: Deadline) -> e.DispatchAccepted:
    """签收."""
    return e.DispatchAccepted(holder=holder.person, deadlines=deadlines or (HANDLE,))


def completed(by: Actor = WORKER, *deadlines: Deadline) -> e.HandlingCompleted:
    """反馈."""
    return e.HandlingCompleted(by=by.person, evidence={"photo": "p"}, deadlines=deadlines or (INSPECT,))


def missed(over: Deadline, unit: str = GRID_A, holder: Actor | None = None) -> e.DeadlineMissed:
    """超时."""
    return e.DeadlineMissed(
        stage=over.stage,
        number=over.number,
        due=over.due,
        unit=unit,
        level=rung(unit).level,
        holder=holder.person if holder else None,
    )


def escalated(to: str, stage: Stage, *deadlines: Deadline, source: str = GRID_A) -> e.CaseEscalated:
    """升级督办."""
    return e.CaseEscalated(from_unit=rung(source), to_unit=rung(to), stage=stage, deadlines=deadlines)


def closed(
    outcome: e.Outcome = "resolved",
    by: Actor = INSPECTOR,
    *,
    at: float = 70,
    points: int = 8,
    on_time: bool = True,
    reason: str = "",
    first: ReportOnCase = FIRST,
    reporters: tuple[str, ...] = (RIDER.person,),
) -> e.CaseClosed:
    """结案."""
    return e.CaseClosed(
        outcome=outcome,
        by=by.person,
        reason=reason,
        on_time=on_time,
        first=first,
        reward_points=points,
        reporters=reporters,
        window_ends=minute(at) + timedelta(days=7),
    )


IN_QUEUE = (filed(), dispatched())
"""A case in the queue of grid A."""
IN_HAND = (*IN_QUEUE, accepted())
"""A case that `WORKER` holds."""
DONE = (*IN_HAND, completed())
"""A case that waits for its inspection."""
REASON = "等待产权单位 · waiting for the owner of the pipe"
ASKED = e.ShelvingRequested(by=WORKER.person, reason=REASON)
SHELVED_WITH, A_YEAR_LATER = timedelta(hours=3), minute(60) + timedelta(days=365)
"""Left of the handling limit at minute 60, 10:00: until noon, and an hour after the lunch break."""
SHELVED = e.CaseShelved(
    reason=REASON,
    by=SUPERVISOR.person,
    resume_by=A_YEAR_LATER,
    stopped=(e.StoppedClock(stage=Stage.HANDLE, left_seconds=SHELVED_WITH.total_seconds()),),
    handling_left_seconds=SHELVED_WITH.total_seconds(),
    deadlines=(deadline(Stage.SHELVED, 3, A_YEAR_LATER),),
)
ON_THE_SHELF = (*IN_HAND, ASKED, SHELVED)
"""A case of `WORKER` that was shelved when an hour had passed."""
TUESDAY_NOON = minute(24 * 60) + SHELVED_WITH
RESUMED = e.CaseResumed(
    by=SUPERVISOR.person,
    status="accepted",
    handling_due=TUESDAY_NOON,
    deadlines=(deadline(Stage.HANDLE, 4, TUESDAY_NOON),),
)
"""On Tuesday at 09:00."""
CLOSED = (*DONE, e.InspectionPassed(by=INSPECTOR.person), closed())
"""A case that has ended, with seven days to reopen and rate it."""


def file_report(
    first: ReportOnCase = FIRST,
    terms: CategoryTerms = HAZARD,
    place: Place | None = HERE,
    to: Route | None = None,
) -> FileReport:
    """What the router asks for a report at ``place``."""
    return FileReport(
        report=first.report,
        reporter=first.reporter,
        received_at=first.received_at,
        occurred_at=first.received_at,
        place=place,
        terms=terms,
        route=to or route(DIRECTORY, place, terms),
    )


# -- given, when, then -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Past:
    """An event with where and when it happened."""

    fact: Fact
    at: datetime


def after(minutes: float, event: Event, subject: str | None = None) -> Past:
    """An event that happened so many minutes after `START`."""
    return Past(Fact(subject or _subject(event), event), minute(minutes))


def on(subject: str, event: Event) -> Past:
    """An event of another stream than `CASE`."""
    return after(0, event, subject)


def _subject(event: Event) -> str:
    match event:
        case e.ReportHeld(report=held_report):
            return held_report.report
        case e.ReportDeclined(report=declined):
            return declined
        case _:
            return CASE


def _past(happened: Event | Past) -> Past:
    return happened if isinstance(happened, Past) else after(0, happened)


def envelopes(facts: Iterable[Past], command_id: str) -> list[Envelope]:
    """The facts as the events of one command."""
    return [
        Envelope(
            id=derived_id(command_id, index),
            source="/beeline/case",
            subject=past.fact.subject,
            time=past.at,
            data=past.fact.data,
            correlationid=command_id,
            causationid=command_id,
        )
        for index, past in enumerate(facts)
    ]


def asked(data: CaseCommand, command_id: str = "command") -> Envelope:
    """A command as the cell receives it."""
    match data:
        case OnCase(case_id=subject):
            pass
        case FileReport(report=subject) | AdmitReport(report=subject):
            pass
        case DeclineReport(report=subject) | WithdrawReport(report=subject):
            pass
        case _:
            raise TypeError(f"{data.wire_type} has no subject")
    return Envelope(id=command_id, source="/test", subject=subject, time=START, data=data, correlationid=command_id)


class Specification:
    """What has happened in the cell, and what a command then brings."""

    def __init__(self, past: Iterable[Past], directory: Directory = DIRECTORY) -> None:
        self.cell, self.directory = Cell(CELL), directory
        for number, happened in enumerate(past):
            for event in envelopes([happened], f"past {number}"):
                evolve(self.cell, event)
        self.decision: Decision = NOTHING
        self.at = START

    @property
    def case(self) -> Case:
        """`CASE` as it stands now."""
        return self.cell.cases[CASE]

    @property
    def events(self) -> tuple[Event, ...]:
        """The events of the decision; none where it is a refusal."""
        return () if isinstance(self.decision, Refusal) else tuple(fact.data for fact in self.decision)

    def when(self, command: CaseCommand, *, at: float = 60, command_id: str = "command") -> Self:
        """Ask for ``command`` at so many minutes after `START`, and fold what comes of it."""
        self.at = minute(at)
        self.decision = decide(self.cell, asked(command, command_id), self.at, self.directory)
        if not isinstance(self.decision, Refusal):
            for event in envelopes([Past(fact, self.at) for fact in self.decision], command_id):
                evolve(self.cell, event)
        return self

    def then(self, *expected: Event | Past) -> Self:
        """These events came of it, and no others."""
        assert self.decision == tuple(_past(happened).fact for happened in expected)
        return self

    def brings(self, *kinds: type[Event]) -> Self:
        """Events of these types came of it, in this order."""
        assert tuple(type(event) for event in self.events) == kinds, self.decision
        return self

    def refused(self, reason: str) -> Self:
        """It was refused by this name, which people can read."""
        assert isinstance(self.decision, Refusal), self.decision
        assert self.decision.reason == reason
        assert reason in REFUSALS
        return self

    def nothing_happens(self) -> Self:
        """There was nothing left to do."""
        assert self.decision == NOTHING
        return self


def given(*past: Event | Past, directory: Directory = DIRECTORY) -> Specification:
    """The cell after what has happened."""
    return Specification(map(_past, past), directory)
