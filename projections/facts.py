"""结案事实 — one row a case with every time that matters, and one a missed deadline: what indicators are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Integer, String, Table, case, func, select

from domain.case import events as e
from domain.message import Envelope, Value
from domain.routing import UNMAPPED
from projections.points import ledger_table
from projections.reports import report_table
from projections.schema import Instant, Json, Row, Rows, metadata, upsert

HANDLES = frozenset(
    {
        e.CaseFiled,
        e.ReportAttached,
        e.ReportDetached,
        e.ReportWithdrawn,
        e.CaseDispatched,
        e.DispatchAccepted,
        e.DispatchReturned,
        e.HandlingCompleted,
        e.InspectionPassed,
        e.InspectionFailed,
        e.CaseClosed,
        e.CaseVoided,
        e.CaseReopened,
        e.DeadlineMissed,
        e.CaseEscalated,
        e.OutcomeRated,
        e.CaseArchived,
    }
)

_TIMES = (
    "received_at",
    "filed_at",
    "dispatched_at",
    "accepted_at",
    "first_completed_at",
    "completed_at",
    "inspected_at",
    "closed_at",
    "voided_at",
    "reopened_at",
    "archived_at",
    "community_at",
    "street_at",
    "district_at",
    "city_at",
    "handling_due",
)
_COUNTS = ("reports", "attached", "returns", "failed_inspections", "reopened", "ratings", "satisfied", "rating_sum")

fact_table = Table(
    "case_fact",
    metadata,
    Column("case_id", String, primary_key=True),
    Column("category", String),
    Column("family", String),
    Column("severity", Integer),
    Column("edition", String),
    Column("net", String),
    Column("grid", String),
    Column("unit", String),
    Column("ancestors", Json),
    Column("how", String),
    Column("unmapped", Boolean),
    Column("handler", String),
    Column("owner", String),
    Column("outcome", String),
    Column("false_report", Boolean),
    Column("on_time", Boolean),
    *(Column(name, Instant) for name in _TIMES),
    *(Column(name, Integer) for name in _COUNTS),
)

miss_table = Table(
    "deadline_miss",
    metadata,
    Column("case_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("stage", String),
    Column("unit", String),
    Column("level", String),
    Column("due", Instant),
    Column("missed_at", Instant),
)


def apply(connection: Connection, events: Sequence[Envelope]) -> None:
    """Fold a batch."""
    mine = [event for event in events if type(event.data) in HANDLES]
    rows = Rows(connection, fact_table, (event.subject for event in mine))
    for event in mine:
        if isinstance(event.data, e.CaseFiled):
            _filed(rows.change(event.subject), event.data, event.time)
        elif rows.get(event.subject) is not None:
            _apply(rows.change(event.subject), event)
    rows.save()
    upsert(connection, miss_table, [_miss(event) for event in mine if isinstance(event.data, e.DeadlineMissed)])


def _filed(row: Row, data: e.CaseFiled, at: datetime) -> None:
    terms, route = data.terms, data.route
    row.update(dict.fromkeys(_COUNTS, 0), reports=1)
    row.update(category=terms.code, family=terms.family, severity=terms.severity, edition=terms.edition)
    row.update(net=route.net, grid=route.grid, unit=route.unit.unit, owner=route.unit.unit, how=route.how)
    row.update(ancestors=list(route.ancestors), unmapped=route.how in UNMAPPED)
    row.update(received_at=data.report.received_at, filed_at=at, handling_due=data.handling_due)


def _apply(row: Row, event: Envelope) -> None:
    data, at = event.data, event.time
    match data:
        case e.ReportAttached():
            row["reports"] += 1
            row["attached"] += 1
        case e.ReportDetached() | e.ReportWithdrawn():
            row["reports"] -= 1
        case e.CaseDispatched():
            row.update(dispatched_at=row["dispatched_at"] or at, handling_due=data.handling_due)
            row.update(unit=data.route.unit.unit, ancestors=list(data.route.ancestors), owner=data.route.unit.unit)
        case e.DispatchAccepted():
            row["accepted_at"] = row["accepted_at"] or at
        case e.DispatchReturned():
            row["returns"] += 1
            row["owner"] = data.desk.unit
        case e.CaseEscalated():
            name = f"{data.to_unit.level.value}_at"
            row[name] = row[name] or at
            row["owner"] = data.to_unit.unit
        case e.OutcomeRated():
            row["ratings"] += 1
            row["satisfied"] += data.score >= 4
            row["rating_sum"] += data.score
        case _:
            _end(row, data, at)


def _end(row: Row, data: object, at: datetime) -> None:
    match data:
        case e.HandlingCompleted(by=by):
            row.update(first_completed_at=row["first_completed_at"] or at, completed_at=at, handler=by)
        case e.InspectionPassed():
            row["inspected_at"] = row["inspected_at"] or at
        case e.InspectionFailed():
            row["inspected_at"] = row["inspected_at"] or at
            row["failed_inspections"] += 1
        case e.CaseClosed():
            row.update(closed_at=at, outcome=data.outcome, on_time=data.on_time)
        case e.CaseVoided():
            row.update(voided_at=at, false_report=data.false_report)
        case e.CaseReopened():
            row.update(reopened_at=at, closed_at=None, outcome=None, on_time=None)
            row["reopened"] += 1
        case e.CaseArchived():
            row["archived_at"] = at


def _miss(event: Envelope) -> Row:
    data = event.data
    if not isinstance(data, e.DeadlineMissed):
        raise TypeError(f"{event.type} is no missed deadline")
    return {
        "case_id": event.subject,
        "number": data.number,
        "stage": data.stage.value,
        "unit": data.unit,
        "level": data.level.value,
        "due": data.due,
        "missed_at": event.time,
    }


class Summary(Value):
    """What happened, in counts. ``escalated``: cases that reached a level; ``missed``: deadlines by stage."""

    reports: int
    filed: int
    attached: int
    held: int
    declined: int
    withdrawn: int
    unmapped: int
    closed: int
    closed_on_time: int
    missed: dict[str, int]
    escalated: dict[str, int]
    points_issued: int


def summary(connection: Connection) -> Summary:
    """The whole log in counts: what the demo prints at its end."""

    def count(query: Any) -> int:
        return int(connection.execute(query).scalar_one() or 0)

    fates = {
        str(status): int(number)
        for status, number in connection.execute(
            select(report_table.c.status, func.count()).group_by(report_table.c.status)
        )
    }
    facts = fact_table.c
    stages = select(miss_table.c.stage, func.count()).group_by(miss_table.c.stage).order_by(miss_table.c.stage)
    awarded = select(func.sum(case((ledger_table.c.points > 0, ledger_table.c.points), else_=0)))
    return Summary(
        reports=count(select(func.count(report_table.c.content))),
        filed=count(select(func.count()).select_from(fact_table)),
        attached=count(select(func.sum(facts.attached))),
        held=fates.get("held", 0),
        declined=fates.get("declined", 0),
        withdrawn=fates.get("withdrawn", 0),
        unmapped=count(select(func.count()).where(facts.unmapped.is_(True))),
        closed=count(select(func.count()).where(facts.closed_at.is_not(None))),
        closed_on_time=count(select(func.count()).where(facts.closed_at.is_not(None), facts.on_time.is_(True))),
        missed={str(stage): int(number) for stage, number in connection.execute(stages)},
        escalated={
            level: count(select(func.count()).where(facts[f"{level}_at"].is_not(None)))
            for level in ("community", "street", "district", "city")
        },
        points_issued=count(awarded),
    )
