"""结案事实 — cases with every time that matters, as they were known at any instant: what indicators are computed from.

A time that has not come yet, or was not known yet, is simply later than the instant that is asked about. Where something
is overwritten (a case reopened, dispatched to another unit, completed a second time) the row as it was goes to
`case_fact_past` with the instant until which it was true. So nothing that was once recorded is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Index, Integer, String, Table

from domain.case import events as e
from domain.case.events import Stage
from domain.message import Envelope
from domain.net import Level
from domain.report import ReportSubmitted
from domain.routing import UNMAPPED, Route
from projections.schema import Instant, Row, Rows, metadata, upsert

HANDLES = frozenset(
    {
        ReportSubmitted,
        e.ReportHeld,
        e.CaseFiled,
        e.ReportAttached,
        e.CaseDispatched,
        e.DispatchAccepted,
        e.DispatchReleased,
        e.DispatchReturned,
        e.HandlingCompleted,
        e.InspectionPassed,
        e.InspectionFailed,
        e.CaseClosed,
        e.CaseVoided,
        e.CaseReopened,
        e.CaseShelved,
        e.CaseResumed,
        e.DeadlineMissed,
        e.CaseEscalated,
        e.OutcomeRated,
    }
)

PLACES = ("district", "street", "community", "grid", "unit")
"""Columns that say where: the areas that hold the place, and the unit that the case was routed to."""
DIMENSIONS = ("family", "category", *PLACES)
TIMES = (
    "received_at",
    "filed_at",
    "accepted_at",
    "holder_at",
    "completed_at",
    "inspected_at",
    "failed_at",
    "closed_at",
    "voided_at",
    "ended_at",
    "shelved_at",
    "unshelved_at",
    "returned_at",
    "handling_due",
)
"""``unshelved_at``: when the one shelving was over, by going on or by an end; ``returned_at``: since when a returned case has
waited to be dispatched anew, with a clock that stands still."""
ASKED_BY = {
    "filed_at": (),
    "handling_due": ("voided_at", "closed_at", "on_time"),
    "accepted_at": ("received_at",),
    "inspected_at": ("failed_at",),
    "closed_at": ("on_time", "received_at"),
    "shelved_at": (),
    "ended_at": ("filed_at", "received_at"),
}
"""Times by which whole periods are asked for, each with what is asked then: an index that has both needs no look at the row."""
NOT_YET = datetime(9999, 12, 31, tzinfo=UTC)
"""When a case ends that has not: an interval is asked for with two bounds."""


def _dimensions() -> list[Column[str]]:
    return [Column(name, String) for name in DIMENSIONS]


def _case_columns() -> list[Column[Any]]:
    return [
        Column("known_from", Instant),
        *_dimensions(),
        Column("severity", Integer),
        Column("unmapped", Boolean),
        Column("attached", Integer),
        Column("holder", String),
        Column("handler", String),
        Column("outcome", String),
        Column("on_time", Boolean),
        *(Column(name, Instant) for name in TIMES),
    ]


fact_table = Table(
    "case_fact",
    metadata,
    Column("case_id", String, primary_key=True),
    Column("version", Integer),
    *_case_columns(),
    *(Index(f"case_fact_{name}", name, "known_from", *asked) for name, asked in ASKED_BY.items()),
)
"""Every case as it is known now; known since ``known_from``."""

past_table = Table(
    "case_fact_past",
    metadata,
    Column("case_id", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    *_case_columns(),
    Column("known_until", Instant, index=True),
    *(Index(f"case_fact_past_{name}", name) for name in ASKED_BY),
)
"""Cases as they were known before something was overwritten."""

report_table = Table(
    "report_fact",
    metadata,
    Column("report", String, primary_key=True),
    *_dimensions(),
    Column("received_at", Instant, index=True),
    Column("placed_at", Instant),
)
"""Every report; where it belongs is known since ``placed_at``."""


def _happening(name: str, *columns: Column[Any]) -> Table:
    return Table(
        name,
        metadata,
        Column("case_id", String, primary_key=True),
        Column("sequence", Integer, primary_key=True),
        Column("at", Instant, index=True),
        *_dimensions(),
        *columns,
    )


miss_table = _happening(
    "deadline_miss",
    Column("number", Integer),
    Column("stage", String),
    Column("missed_by", String),
    Column("level", String),
    Column("due", Instant),
)
escalation_table = _happening("escalation", Column("level", String))
rating_table = _happening("rating", Column("score", Integer))

NOBODY: Mapping[str, None] = MappingProxyType({"holder": None, "holder_at": None})
"""What a case's row says where nobody holds it."""
UNVERSIONED = frozenset({"attached"})
"""Columns that no indicator asks about as of an instant."""


def apply(connection: Connection, events: Sequence[Envelope]) -> None:
    """Fold a batch."""
    mine = [event for event in events if type(event.data) in HANDLES]
    batch = _Batch(connection, mine)
    for event in mine:
        batch.see(event)
    batch.save()


class _Batch:
    """The rows that a batch changes."""

    def __init__(self, connection: Connection, events: Sequence[Envelope]) -> None:
        self._connection = connection
        reports = [data.report for event in events if isinstance(data := event.data, ReportSubmitted)]
        reports += [
            data.report.report
            for event in events
            if isinstance(data := event.data, e.ReportHeld | e.CaseFiled | e.ReportAttached)
        ]
        subjects = (event.subject for event in events if not isinstance(event.data, ReportSubmitted))
        self._cases = Rows(connection, fact_table, subjects)
        self._reports = Rows(connection, report_table, reports)
        self._past: list[Row] = []
        self._happened: dict[Table, list[Row]] = {miss_table: [], escalation_table: [], rating_table: []}

    def save(self) -> None:
        """Write them."""
        self._cases.save()
        self._reports.save()
        upsert(self._connection, past_table, self._past)
        for table, rows in self._happened.items():
            upsert(self._connection, table, rows)

    def see(self, event: Envelope) -> None:
        """Take in the next event."""
        data = event.data
        match data:
            case ReportSubmitted():
                row = self._reports.change(data.report)
                row.update(received_at=row["received_at"] or event.time, category=row["category"] or data.category)
            case e.ReportHeld():
                self._place(data.report.report, _dimensions_of(data.terms, data.route), event.time)
            case e.CaseFiled():
                self._cases.change(event.subject).update(_filed(data, event.time))
                self._place(data.report.report, _dimensions_of(data.terms, data.route), event.time)
            case _ if (known := self._cases.get(event.subject)) is not None:
                self._go_on(known, event)

    def _place(self, report: str, dimensions: Mapping[str, str | None], at: datetime) -> None:
        """Where a report belongs is said once: what a dispatcher decides later moves the case, not the report."""
        row = self._reports.change(report)
        if row["placed_at"] is None:
            row.update(dimensions, placed_at=at)

    def _go_on(self, known: Row, event: Envelope) -> None:
        data, at = event.data, event.time
        if isinstance(data, e.ReportAttached):
            self._place(data.report.report, {name: known[name] for name in DIMENSIONS}, at)
        if (table_and_rest := _happening_of(data)) is not None:
            table, rest = table_and_rest
            here = {name: known[name] for name in DIMENSIONS}
            self._happened[table].append(
                {"case_id": event.subject, "sequence": event.sequence, "at": at, **here, **rest}
            )
        changes = _changes(known, data, at)
        if changes:
            self._change(event.subject, known, changes, at)

    def _change(self, case_id: str, known: Row, changes: Mapping[str, Any], at: datetime) -> None:
        overwrites = any(
            known[name] not in (None, NOT_YET, value) for name, value in changes.items() if name not in UNVERSIONED
        )
        if overwrites and known["known_from"] != at:
            self._past.append({**known, "known_until": at})
            changes = {**changes, "known_from": at, "version": known["version"] + 1}
        self._cases.change(case_id).update(changes)


def _filed(data: e.CaseFiled, at: datetime) -> Row:
    return {
        **_dimensions_of(data.terms, data.route),
        "version": 1,
        "known_from": at,
        "severity": data.terms.severity,
        "unmapped": data.route.how in UNMAPPED,
        "attached": 0,
        "received_at": data.report.received_at,
        "filed_at": at,
        "ended_at": NOT_YET,
        "handling_due": data.handling_due,
    }


def _dimensions_of(terms: Any, route: Route) -> dict[str, str | None]:
    return {"family": terms.family, "category": terms.code, **_places_of(route)}


def _places_of(route: Route) -> dict[str, str | None]:
    """The areas that hold the unit. A street's team stands under a street that is no rung of its ladder."""
    levels = {rung.unit: rung.level for rung in route.ladder}
    areas = {levels.get(code, route.unit.level): code for code in route.ancestors}
    areas.setdefault(route.unit.level, route.unit.unit)  # no area of its level stands above it: it is one itself
    wanted = (Level.DISTRICT, Level.STREET, Level.COMMUNITY)
    grid = route.grid or areas.get(Level.GRID)
    return {**{level.value: areas.get(level) for level in wanted}, "grid": grid, "unit": route.unit.unit}


def _changes(row: Row, data: object, at: datetime) -> Mapping[str, Any]:
    """What an event makes of a case's row; times that are kept as the first are left alone."""
    match data:
        case e.ReportAttached():
            return {"attached": row["attached"] + 1}
        case e.CaseDispatched():
            places = _places_of(data.route)
            places["grid"] = places["grid"] or row["grid"]  # sent to another unit, it still lies where it lies
            return {**places, "handling_due": data.handling_due, "returned_at": None, **NOBODY}
        case e.DispatchAccepted():
            return {"accepted_at": row["accepted_at"] or at, "holder": data.holder, "holder_at": at}
        case e.DispatchReturned():
            return {"returned_at": at, **NOBODY}
        case e.CaseEscalated() if data.stage is Stage.INSPECT:
            return {}  # it is done, and in the hands of the one who did it
        case e.DispatchReleased() | e.CaseEscalated():
            return NOBODY
        case e.CaseShelved():
            return {"shelved_at": at}
        case e.CaseResumed():
            return {"unshelved_at": at, "handling_due": data.handling_due}
        case _:
            return _ending(row, data, at)


def _ending(row: Row, data: object, at: datetime) -> dict[str, Any]:
    match data:
        case e.HandlingCompleted():
            taken = {} if row["holder"] == data.by else {"holder": data.by, "holder_at": at}
            return {"completed_at": at, "handler": data.by, **taken}
        case e.InspectionPassed():
            return {"inspected_at": row["inspected_at"] or at}
        case e.InspectionFailed():
            return {"inspected_at": row["inspected_at"] or at, "failed_at": row["failed_at"] or at}
        case e.CaseClosed():
            closed = {"closed_at": at, "outcome": data.outcome, "on_time": data.on_time}
            return {**closed, "ended_at": at, **_unshelved(row, at)}
        case e.CaseVoided():
            return {"voided_at": at, "ended_at": at, **_unshelved(row, at)}
        case e.CaseReopened():
            open_again = dict.fromkeys(("closed_at", "outcome", "on_time", "returned_at"))
            return {**open_again, "ended_at": NOT_YET, **NOBODY}
        case _:
            return {}


def _unshelved(row: Row, at: datetime) -> dict[str, Any]:
    """A case that ends is not shelved any more, nor is it when it is reopened."""
    return {"unshelved_at": at} if row["shelved_at"] is not None and row["unshelved_at"] is None else {}


def _happening_of(data: object) -> tuple[Table, Row] | None:
    match data:
        case e.DeadlineMissed():
            what = {"number": data.number, "stage": data.stage.value, "missed_by": data.unit}
            return miss_table, {**what, "level": data.level.value, "due": data.due}
        case e.CaseEscalated():
            return escalation_table, {"level": data.to_unit.level.value}
        case e.OutcomeRated():
            return rating_table, {"score": data.score}
        case _:
            return None
