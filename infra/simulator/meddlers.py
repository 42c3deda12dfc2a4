"""People who do what the players never do: they change their minds, void, detach, and try what nobody may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from domain.case import commands as c
from domain.case import events as e
from domain.case.state import Case, Cell, evolve
from domain.crs import Crs
from domain.ids import cell_of
from domain.message import Actor, Envelope, Message, Role
from domain.place import Place
from domain.sealing import Sealed
from infra.city.plan import RIDERS, Sighting, rider_id
from infra.simulator.edge import SimulatedEdge
from infra.uuid7 import uuid7_at
from streams.record import NewRecord

DELAY_MINUTES = (0.0, 90.0)
REASON: dict[str, Any] = {"reason": "试一试 · just trying"}

Temptation = tuple[float, Callable[[], c.CaseCommand]]
"""How likely it is, and what would be asked."""


class Meddlers:
    """They see what is true, and sometimes ask for something because of it."""

    def __init__(self, random: Random, edge: SimulatedEdge) -> None:
        self._random, self._edge = random, edge
        self._cells: dict[str, Cell] = {}

    def see(self, event: Envelope) -> Iterator[tuple[datetime, NewRecord]]:
        """What somebody makes of an event, and when it arrives."""
        cell = self._cells.setdefault(cell_of(event.subject), Cell(cell_of(event.subject)))
        evolve(cell, event)
        case = cell.cases.get(event.subject)
        data = event.data
        if isinstance(data, e.ReportHeld):
            yield from self._tempted(event, [(0.15, lambda: _withdrawal(data.report))])
        elif case is not None:
            yield from self._tempted(event, [*_about_reports(case, event), *self._about_work(case, event)])
            if isinstance(data, e.DispatchAccepted) and case.place and data.holder.startswith("r-"):
                yield from self._own_report(case, case.place, data.holder, event.time)

    def _tempted(self, event: Envelope, temptations: list[Temptation]) -> Iterator[tuple[datetime, NewRecord]]:
        for share, command in temptations:
            if self._random.random() < share:
                at = event.time + timedelta(minutes=self._random.uniform(*DELAY_MINUTES))
                yield at, self._edge.ask(uuid7_at(at, self._random), command(), event.subject, at)

    def _own_report(self, case: Case, place: Place, holder: str, now: datetime) -> Iterator[tuple[datetime, NewRecord]]:
        """兼职 — the courier who holds the case reports the same matter, for the points."""
        if self._random.random() < 0.25:
            at = now + timedelta(minutes=self._random.uniform(*DELAY_MINUTES))
            uuid, where = uuid7_at(at, self._random), (place.lon, place.lat)
            yield at, self._edge.report(Sighting(uuid, holder, at, at, case.terms.code, where, Crs.WGS84, "again"))

    def _about_work(self, case: Case, event: Envelope) -> Iterator[Temptation]:
        unit, above = case.owner.unit, case.route.ancestors[0] if case.route.ancestors else case.owner.unit
        on: dict[str, Any] = {"case_id": case.id}
        stranger, courier = "w-elsewhere", rider_id(self._random.randrange(RIDERS))
        desk = _by(f"d-{above}", Role.DISPATCHER, above)
        match event.data:
            case e.CaseDispatched() | e.CaseReopened() | e.CaseEscalated():
                false_report = self._random.random() < 0.5
                named = {"route": case.route, "worker": f"w-{unit}", **desk}
                yield 0.1, lambda: c.AcceptDispatch(**on, **_by(courier, Role.PART_TIME_WORKER, unit))
                yield 0.02, lambda: c.AcceptDispatch(**on, **_by(stranger, Role.GRID_WORKER, "elsewhere"))
                yield 0.02, lambda: c.DispatchCase(**on, **named)
                yield 0.03, lambda: c.VoidCase(**on, **REASON, false_report=false_report, **desk)
                yield 0.02, lambda: c.CloseCase(**on, **REASON, outcome="unfounded", **desk)
            case e.DispatchAccepted(holder=holder):
                evidence = {kind: f"{kind}:{case.id}" for kind in case.terms.evidence}
                role = Role.PART_TIME_WORKER if holder.startswith("r-") else Role.GRID_WORKER
                yield 0.06, lambda: c.ReleaseDispatch(**on, **_by(holder, role, unit))
                yield 0.05, lambda: c.CompleteHandling(**on, **_by(holder, role, unit))
                yield 0.08, lambda: c.RequestShelving(**on, **REASON, **_by(holder, role, unit))
                yield 0.03, lambda: c.CompleteHandling(**on, evidence=evidence, **_by(stranger, role, unit))
                if role is Role.PART_TIME_WORKER:
                    yield 0.8, lambda: c.CompleteHandling(**on, evidence=evidence, **_by(holder, role, unit))
            case e.ShelvingRequested() | e.CaseShelved() | e.CaseResumed():
                yield from _about_shelving(case, event.data, above)
            case e.HandlingCompleted(by=handler):
                yield 0.05, lambda: c.PassInspection(**on, **_by(handler, Role.INSPECTOR, above))
                yield 0.05, lambda: c.PassInspection(**on, **_by(case.reporters[0], Role.INSPECTOR, above))
            case e.CaseClosed() if case.reporters:
                yield 0.05, lambda: c.CloseCase(**on, **REASON, outcome="referred", **desk)
                yield 0.05, lambda: c.ReopenCase(**on, **REASON, **_by(f"s-{above}", Role.SUPERVISOR, above))
                yield 0.1, lambda: c.RateOutcome(**on, score=2, **_by(case.reporters[-1], Role.REPORTER))


def _about_shelving(case: Case, data: Message, above: str) -> Iterator[Temptation]:
    on: dict[str, Any] = {"case_id": case.id}
    desk, supervisor = _by(f"d-{above}", Role.DISPATCHER, above), _by(f"s-{above}", Role.SUPERVISOR, above)
    holder = _by(case.holder or "nobody", Role.GRID_WORKER, case.owner.unit)
    evidence = {kind: f"{kind}:{case.id}" for kind in case.terms.evidence}
    match data:
        case e.ShelvingRequested(by=asker):
            yield 0.2, lambda: c.ApproveShelving(**on, **_by(asker, Role.SUPERVISOR, above))
            yield 0.3, lambda: c.RejectShelving(**on, **REASON, **supervisor)
            yield 0.8, lambda: c.ApproveShelving(**on, **supervisor)
        case e.CaseShelved():
            yield 0.2, lambda: c.DispatchCase(**on, route=case.route, **desk)
            yield 0.2, lambda: c.CompleteHandling(**on, evidence=evidence, **holder)
            yield 0.1, lambda: c.VoidCase(**on, **REASON, **desk)
            yield 0.6, lambda: c.ResumeCase(**on, **desk)
        case e.CaseResumed():
            yield 0.2, lambda: c.RequestShelving(**on, **REASON, **desk)
            yield 0.6, lambda: c.CompleteHandling(**on, evidence=evidence, **holder)


def _about_reports(case: Case, event: Envelope) -> Iterator[Temptation]:
    data = event.data
    if not isinstance(data, e.CaseFiled | e.ReportAttached):
        return
    reporter, note = data.report.reporter, Sealed(person=data.report.reporter, cipher="…")
    yield 0.03, lambda: _withdrawal(data.report)
    yield 0.03, lambda: c.AddNote(case_id=case.id, text=note, audience="reporter", **_by(reporter, Role.REPORTER))
    yield 0.02, lambda: c.AcceptDispatch(case_id=case.id, **_by(reporter, Role.PART_TIME_WORKER, case.owner.unit))
    if isinstance(data, e.ReportAttached):
        desk = case.route.ancestors[0] if case.route.ancestors else case.owner.unit
        yield (
            0.3,
            lambda: c.DetachReport(
                case_id=case.id,
                report=data.report.report,
                occurred_at=data.occurred_at,
                place=data.place,
                route=case.route,
                **REASON,
                **_by(f"d-{desk}", Role.DISPATCHER, desk),
            ),
        )


def _withdrawal(report: e.ReportOnCase) -> c.WithdrawReport:
    return c.WithdrawReport(report=report.report, **_by(report.reporter, Role.REPORTER))


def _by(person: str, role: Role, *units: str) -> dict[str, Any]:
    return {"actor": Actor(person=person, roles=(role,), units=units)}
