"""补录 — what an import of a city's history says of a case: when it was closed, and nothing of how it was dealt with."""

from __future__ import annotations

from datetime import datetime

from domain.case import commands as c
from domain.case import events as e
from domain.case.handling import closed
from domain.case.state import OPEN, Case, evolve_case
from domain.decision import Decision, Fact


def record_closing(case: Case, command: c.RecordClosing, at: datetime) -> Decision:
    """补录结案 — of the case's first report: completed and closed now, without inspection and evidence. Of another: a note."""
    person = command.actor.person
    if case.status not in OPEN or not case.reports or case.reports[0].report != command.report:
        return (Fact(case.id, e.NoteAdded(by=person, text=command.note, audience="staff")),)
    completed = e.HandlingCompleted(by=person, evidence={}, deadlines=())
    done = evolve_case(case, completed, at)
    return Fact(case.id, completed), Fact(case.id, closed(done, "resolved", person, at))
