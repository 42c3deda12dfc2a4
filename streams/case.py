"""The case processor: `domain.case` as a step."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import datetime

from domain.case import clocks
from domain.case import events as e
from domain.case.commands import ArchiveCase, MissDeadline, OnCase
from domain.case.decide import decide
from domain.case.events import Stage
from domain.case.state import Case, Cell, evolve
from domain.decision import Decision
from domain.directory import Directory
from domain.message import Envelope, derived_id
from streams.record import Topic

TIMER = "/beeline/timer"


class CaseProcessor:
    """The only writer of case events; its keys are cells."""

    name = "case"
    commands = Topic.CASE_COMMANDS
    events = Topic.CASE_EVENTS
    state_type = Cell

    def new(self, key: str) -> Cell:
        """An empty cell."""
        return Cell(key)

    def decide(self, state: Cell, command: Envelope, at: datetime, directory: Directory) -> Decision:
        """See `domain.case.decide`."""
        return decide(state, command, at, directory)

    def evolve(self, state: Cell, event: Envelope) -> None:
        """See `domain.case.state`."""
        evolve(state, event)

    def ended(self, event: Envelope) -> tuple[str, ...]:
        """An archived case, a declined or withdrawn report, and a held report that became part of a case."""
        match event.data:
            case e.CaseArchived() | e.ReportDeclined():
                return (event.subject,)
            case e.ReportWithdrawn(report=report) if report == event.subject:
                return (report,)
            case e.CaseFiled(report=filed) | e.ReportAttached(report=filed):
                return (filed.report,)
            case _:
                return ()

    def next_instant(self, state: Cell) -> datetime | None:
        """The earliest open deadline or end of a window in the cell."""
        return clocks.next_instant(state.cases.values())

    def due(self, state: Cell, now: datetime) -> list[Envelope]:
        """What is due in the cell."""
        return [command for case in state.cases.values() for command in proposals(case, now)]


def proposals(case: Case, now: datetime, *, but: Set[Stage] = frozenset()) -> Iterator[Envelope]:
    """`MissDeadline` for every deadline that has passed, ``but`` some stages, and `ArchiveCase` after the last window."""
    for deadline in case.deadlines:
        if deadline.due <= now and deadline.stage not in but:
            yield _ask(case, MissDeadline(case_id=case.id, stage=deadline.stage, number=deadline.number), deadline.due)
    if case.window_ends is not None and case.window_ends <= now:
        yield _ask(case, ArchiveCase(case_id=case.id), case.window_ends)


def _ask(case: Case, data: OnCase, due: datetime) -> Envelope:
    number = data.number if isinstance(data, MissDeadline) else due.isoformat()
    identity = derived_id("timer", case.id, type(data).__name__, number)
    return Envelope(id=identity, source=TIMER, subject=case.id, time=due, data=data, correlationid=identity)
