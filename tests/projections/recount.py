"""Every indicator counted by hand: plain loops over what happened, by the words of the definitions' pages, without a database.

What a case is comes from the domain's own fold of its events, so a query that is wrong has nothing in common with this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.case import events as e
from domain.case.state import Case, Cell, Status, evolve
from domain.message import Envelope
from domain.net import Level, Org, UnitKind
from domain.report import ReportSubmitted
from domain.rider import PointsAwarded, PointsClawedBack
from domain.routing import Route
from projections.indicators.question import Question
from projections.schema import MICROSECOND
from tests.domain.smallville import CELL, NET
from tests.projections.lives import Happening

Where = dict[str, str | None]
Measures = dict[str, float | int | None]
ORG = Org(NET.units)
PLACES = ("district", "street", "community", "grid", "unit")
NOWHERE: Where = dict.fromkeys(("family", "category", *PLACES))


@dataclass
class Known:
    """A case, to somebody who has heard of everything up to an instant."""

    case: Case
    where: Where
    filed: datetime
    accepted: datetime | None = None
    inspected: datetime | None = None
    failed: datetime | None = None
    closed: datetime | None = None
    voided: datetime | None = None
    shelved: datetime | None = None
    unshelved: datetime | None = None
    returned: datetime | None = None
    """Since when the handling clock has stood still for want of a unit."""
    on_time: bool = False
    handler: str | None = None

    @property
    def ended(self) -> datetime | None:
        return self.closed or self.voided

    def overdue_at(self, end: datetime) -> bool:
        """超期 — its deadline is over, on a clock that ran, and it had not ended."""
        due = self.case.handling_due
        is_over = self.filed < end and due < end and (self.ended is None or self.ended >= end)
        waited = self.returned is not None and self.returned < due
        on_the_shelf = self.unshelved is None or self.unshelved >= end
        return is_over and not waited and not (self.shelved is not None and self.shelved < due and on_the_shelf)


class Counted(NamedTuple):
    """One of something, or so many points or seconds: what it is, where it belongs, when, and whose work."""

    measure: str
    where: Where
    at: datetime | None = None
    worker: str | None = None
    amount: int = 1


@dataclass
class World:
    """Everything that somebody knows at ``now``."""

    now: datetime
    cases: dict[str, Known] = field(default_factory=dict)
    reports: dict[str, tuple[datetime, Where]] = field(default_factory=dict)
    happened: list[Counted] = field(default_factory=list)
    """Ratings, misses, escalations: each where the case belonged then."""
    entries: list[tuple[datetime, str, int]] = field(default_factory=list)
    _cell: Cell = field(default_factory=lambda: Cell(CELL))
    _placed: set[str] = field(default_factory=set)

    def hear(self, at: datetime, subject: str, event: object) -> None:
        """Take in the next thing that happened."""
        match event:
            case ReportSubmitted():
                self.reports[event.report] = (at, {**NOWHERE, "category": event.category})
            case PointsAwarded():
                self.entries.append((at, event.case_id, event.points))
            case PointsClawedBack():
                self.entries.append((at, event.case_id, -event.points))
            case e.ReportHeld():
                self._place(event.report.report, {**_terms(event), **places(event.route, None)})
            case e.CaseArchived():
                pass
            case e.CaseEvent():
                evolve(self._cell, Envelope("", "", subject, at, event, ""))
                if subject in self._cell.cases:
                    self._case(at, subject, event, self._cell.cases[subject])

    def _place(self, report: str, where: Where) -> None:
        if report not in self._placed:
            self._placed.add(report)
            self.reports[report] = (self.reports[report][0], dict(where))

    def _case(self, at: datetime, subject: str, event: e.CaseEvent, after: Case) -> None:
        if isinstance(event, e.CaseFiled):
            self.cases[subject] = Known(after, {**_terms(event), **places(event.route, None)}, at)
        known = self.cases[subject]
        known.case = after
        if isinstance(event, e.CaseFiled | e.ReportAttached):
            self._place(event.report.report, known.where)
        _note(known, event, at)
        match event:
            case e.OutcomeRated(score=score):
                self.happened += [Counted("ratings", known.where, at)]
                self.happened += [Counted("satisfied", known.where, at)] if score >= 4 else []
            case e.DeadlineMissed(stage=stage):
                self.happened.append(Counted(f"missed {stage.value}", known.where, at))
            case e.CaseEscalated(to_unit=unit):
                self.happened.append(Counted(f"to {unit.level.value}", known.where, at))


def _note(known: Known, event: e.CaseEvent, at: datetime) -> None:
    match event:
        case e.CaseDispatched():
            known.where = {**known.where, **places(event.route, known.where["grid"])}
        case e.DispatchAccepted():
            known.accepted = known.accepted or at
        case e.HandlingCompleted(by=by):
            known.handler = by
        case e.InspectionPassed():
            known.inspected = known.inspected or at
        case e.InspectionFailed():
            known.inspected, known.failed = known.inspected or at, known.failed or at
        case e.CaseClosed(on_time=on_time):
            known.closed, known.on_time = at, on_time
        case e.CaseReopened():
            known.closed, known.on_time = None, False
        case e.CaseVoided():
            known.voided = at
        case e.CaseShelved():
            known.shelved = at
    if known.shelved and known.case.status is not Status.SHELVED:
        known.unshelved = known.unshelved or at
    known.returned = (known.returned or at) if known.case.handling_left is not None else None


def _terms(event: e.CaseFiled | e.ReportHeld) -> Where:
    return {"family": event.terms.family, "category": event.terms.code}


def places(route: Route, before: str | None) -> Where:
    """The areas that hold the unit, and the grid where the matter lies."""
    unit = route.unit.unit
    above = [area for code in (unit, *ORG.ancestors(unit)) if (area := ORG.unit(code)) and area.kind is UnitKind.AREA]
    areas = {area.level: area.code for area in above}
    levels = (Level.DISTRICT, Level.STREET, Level.COMMUNITY)
    grid = route.grid or areas.get(Level.GRID) or before
    return {**{level.value: areas.get(level) for level in levels}, "grid": grid, "unit": unit}


# -- the definitions ---------------------------------------------------------------------------------------------------


def _filing(world: World, _: Question) -> Iterator[Counted]:
    yield from (Counted("submitted", where, at) for at, where in world.reports.values())
    yield from (Counted("filed", known.where, known.filed) for known in world.cases.values())


def _due(world: World, measure: str, counts: Callable[[Known], bool], *, shelved: bool = True) -> Iterator[Counted]:
    for known in world.cases.values():
        due = known.case.handling_due
        if known.voided or due > world.now or (not shelved and known.case.status is Status.SHELVED):
            continue
        yield Counted("should_have_closed", known.where, due, known.handler)
        if known.closed and counts(known):
            yield Counted(measure, known.where, due, known.handler)


def _closed(world: World, _: Question) -> Iterator[Counted]:
    for known in world.cases.values():
        if known.closed:
            yield Counted("closed", known.where, known.closed, known.handler)
            if known.on_time:
                yield Counted("on_time", known.where, known.closed, known.handler)


def _b(world: World, question: Question) -> Iterator[Counted]:
    yield from _closed(world, question)
    end = min(question.period.end, world.now + MICROSECOND)
    for known in world.cases.values():
        if known.overdue_at(end):
            yield Counted("overdue", known.where, None, known.handler)


def _rework(world: World, _: Question) -> Iterator[Counted]:
    for known in world.cases.values():
        if known.inspected:
            yield Counted("inspected", known.where, known.inspected, known.handler)
            if known.failed:
                yield Counted("reworked", known.where, known.inspected, known.handler)


def _shelving(world: World, _: Question) -> Iterator[Counted]:
    for known in world.cases.values():
        yield Counted("filed", known.where, known.filed)
        if known.shelved:
            yield Counted("shelved", known.where, known.shelved)


def _happened(*measures: str) -> Callable[[World, Question], Iterator[Counted]]:
    def count(world: World, _: Question) -> Iterator[Counted]:
        yield from (each for each in world.happened if each.measure in measures)

    return count


def _response(world: World, _: Question) -> Iterator[Counted]:
    for known in world.cases.values():
        if known.accepted:
            yield Counted("time", known.where, known.accepted, None, _micros(known.case.received_at, known.accepted))


def _resolution(world: World, _: Question) -> Iterator[Counted]:
    for known in world.cases.values():
        if known.closed:
            took = _micros(known.case.received_at, known.closed)
            yield Counted("time", known.where, known.closed, known.handler, took)


def _backlog(world: World, _: Question) -> Iterator[Counted]:
    for known in world.cases.values():
        if not known.ended:
            yield Counted("time", known.where, None, known.case.holder, _micros(known.case.received_at, world.now))


def _points(world: World, _: Question) -> Iterator[Counted]:
    for at, case, points in world.entries:
        yield Counted("issued", world.cases[case].where, at, None, max(points, 0))
        yield Counted("clawed_back", world.cases[case].where, at, None, max(-points, 0))


def _micros(start: datetime, end: datetime) -> int:
    return (end - start) // MICROSECOND


SPREADS = {"response_time", "resolution_time", "backlog"}
COUNTS: dict[tuple[str, str], Callable[[World, Question], Iterator[Counted]]] = {
    ("filing_rate", "v1"): _filing,
    ("closing_rate", "v1"): lambda world, _: _due(world, "closed", lambda _: True),
    ("on_time_rate", "v1"): lambda world, _: _due(world, "on_time", lambda known: known.on_time),
    ("on_time_rate", "v2"): lambda world, _: _due(world, "on_time", lambda known: known.on_time, shelved=False),
    ("on_time_rate", "a"): _closed,
    ("on_time_rate", "b"): _b,
    ("rework_rate", "v1"): _rework,
    ("shelving_rate", "v1"): _shelving,
    ("escalations", "v1"): _happened("to community", "to street", "to district", "to city"),
    ("missed_deadlines", "v1"): _happened("missed dispatch", "missed accept", "missed handle", "missed inspect"),
    ("response_time", "v1"): _response,
    ("resolution_time", "v1"): _resolution,
    ("satisfaction", "v1"): _happened("ratings", "satisfied"),
    ("backlog", "v1"): _backlog,
    ("points", "v1"): _points,
}

# -- the answer --------------------------------------------------------------------------------------------------------

Key = tuple[str | None, ...]


def heard(happenings: Sequence[Happening], now: datetime) -> World:
    """What there is to know at ``now``."""
    world = World(now)
    for at, subject, event in happenings:
        if at <= now:
            world.hear(at, subject, event)
    return world


def recount(world: World, name: str, version: str, question: Question) -> dict[Key, Measures]:
    """The measures of each part that is not nothing."""
    amounts: defaultdict[Key, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for each in COUNTS[name, version](world, question):
        if _is_asked_for(each, question):
            amounts[_key(each, question)][each.measure].append(each.amount)
    if name in SPREADS:
        return {key: _spread(parts["time"], oldest=name == "backlog") for key, parts in amounts.items()}
    found: dict[Key, Measures] = {key: {m: sum(n) for m, n in parts.items()} for key, parts in amounts.items()}
    if name == "points" and not question.by and not question.filters:
        found.setdefault((), {})["outstanding"] = sum(points for _, _, points in world.entries)
    return found


def _is_asked_for(each: Counted, question: Question) -> bool:
    period = question.period
    said = {**each.where, "worker": each.worker}
    inside = each.at is None or period.start <= each.at < period.end
    return inside and all(said[name] == value for name, value in question.filters.items())


def _key(each: Counted, question: Question) -> Key:
    said: Where = {**each.where, "worker": each.worker}
    if each.at is not None:
        local = each.at.astimezone(ZoneInfo(question.zone))
        said |= {"day": f"{local:%Y-%m-%d}", "month": f"{local:%Y-%m}", "week": f"{local:%G-W%V}"}
    return tuple(said[name] for name in question.by)


def _spread(micros: Iterable[int], *, oldest: bool) -> Measures:
    values = sorted(micros)
    measures: Measures = {"count": len(values)}
    for p in (50, 90, 95):
        reached = next(v for v in values if 100 * sum(w <= v for w in values) >= p * len(values))
        measures[f"p{p}_seconds"] = round(reached / 1e6, 3)
    return measures | ({"oldest_seconds": round(max(values) / 1e6, 3)} if oldest else {})
