"""上报 — every report and what became of it. Personal fields are ciphertext here too."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Index, String, Table, and_, or_, select

from domain.case import events as e
from domain.ids import uuid_of
from domain.message import Envelope, Value
from domain.place import Place
from domain.report import ReportSubmitted
from domain.sealing import Sealed
from projections.schema import Instant, Json, Row, Rows, metadata

HANDLES = frozenset(
    {
        ReportSubmitted,
        e.CaseFiled,
        e.ReportAttached,
        e.ReportHeld,
        e.ReportDeclined,
        e.ReportDetached,
        e.ReportWithdrawn,
    }
)

report_table = Table(
    "report",
    metadata,
    Column("report", String, primary_key=True),
    Column("uuid", String),
    Column("reporter", String),
    Column("anonymous", Boolean),
    Column("category", String),
    Column("edition", String),
    Column("place", Json),
    Column("occurred_at", Instant),
    Column("received_at", Instant),
    Column("description", Json),
    Column("contact", Json),
    Column("media", Json),
    Column("inspection_round", String),
    Column("content", String),
    Column("status", String),
    Column("case_id", String),
    Column("status_at", Instant),
    Column("reason", String),
    Column("route_unit", String),
    Column("route_ancestors", Json),
    Index("report_uuid", "uuid"),
    Index("report_reporter", "reporter", "received_at"),
    Index("report_case", "case_id"),
)


class ReportView(Value):
    """A report as it is stored. ``status``: received, held, filed, attached, declined, withdrawn."""

    report: str
    uuid: str
    reporter: str
    anonymous: bool
    category: str | None = None
    edition: str | None = None
    place: Place | None = None
    occurred_at: datetime | None = None
    received_at: datetime | None = None
    description: Sealed | None = None
    contact: Sealed | None = None
    media: tuple[str, ...] = ()
    inspection_round: str | None = None
    content: str | None = None
    status: str
    case_id: str | None = None
    status_at: datetime | None = None
    reason: str | None = None
    route_unit: str | None = None
    route_ancestors: tuple[str, ...] = ()


def content_of(report: ReportSubmitted) -> str:
    """A hash of what the reporter says: two reports with the same id and another hash contradict each other."""
    return hashlib.sha256(report.model_dump_json(exclude={"edition"}).encode()).hexdigest()


def apply(connection: Connection, events: Sequence[Envelope]) -> None:
    """Fold a batch. A report's submission and its fate come from different topics, in any order."""
    mine = [event for event in events if type(event.data) in HANDLES]
    rows = Rows(connection, report_table, (_report_of(event) for event in mine))
    for event in mine:
        _apply(rows.change(_report_of(event)), event)
    rows.save()


def _report_of(event: Envelope) -> str:
    report = event.data.report  # type: ignore[attr-defined]
    return report if isinstance(report, str) else str(report.report)


def _apply(row: Row, event: Envelope) -> None:
    data = event.data
    row["uuid"] = uuid_of(row["report"])
    row["media"] = row["media"] or []
    row["route_ancestors"] = row["route_ancestors"] or []
    match data:
        case ReportSubmitted() if row["content"] is not None:
            return  # the same report, sent again
        case ReportSubmitted():
            fields = data.model_dump(mode="json", exclude={"occurred_at"}, exclude_none=True)
            row.update({name: fields.get(name) for name in _SUBMITTED})
            row.update(occurred_at=data.occurred_at, content=content_of(data), status=row["status"] or "received")
            if row["received_at"] is None:  # else the case has said already whose report it took, and when it came
                row.update(reporter=data.reporter, anonymous=data.anonymous, received_at=event.time)
        case e.CaseFiled():
            _fate(row, "filed", event, data.report, case_id=event.subject)
            row.update(route_unit=data.route.unit.unit, route_ancestors=list(data.route.ancestors))
        case e.ReportAttached():
            _fate(row, "attached", event, data.report, case_id=event.subject)
        case e.ReportHeld():
            _fate(row, "held", event, data.report)
            row.update(route_unit=data.route.unit.unit, route_ancestors=list(data.route.ancestors))
        case e.ReportDeclined():
            row.update(status="declined", status_at=event.time, reason=data.reason)
        case e.ReportDetached():
            row.update(status="detached", status_at=event.time, reason=data.reason)
        case e.ReportWithdrawn():
            row.update(status="withdrawn", status_at=event.time)
            row["reporter"] = row["reporter"] or data.reporter
        case _:
            raise TypeError(f"{event.type} says nothing of a report")


_SUBMITTED = (
    "category",
    "edition",
    "place",
    "description",
    "contact",
    "media",
    "inspection_round",
)


def _fate(row: Row, status: str, event: Envelope, report: e.ReportOnCase, case_id: str | None = None) -> None:
    row.update(status=status, status_at=event.time, case_id=case_id, reason=None)
    row.update(reporter=report.reporter, anonymous=report.anonymous, received_at=report.received_at)


def _view(row: Any) -> ReportView:
    fields = {name: value for name, value in dict(row).items() if value is not None}
    return ReportView.model_validate({"anonymous": False, "reporter": "", **fields})


def report(connection: Connection, identifier: str) -> ReportView | None:
    """A report by its full id or by the client's UUID."""
    column = report_table.c.report if len(identifier) > 36 else report_table.c.uuid
    query = select(report_table).where(column == identifier).order_by(report_table.c.report)
    row = connection.execute(query).mappings().first()
    return _view(row) if row else None


def reports_of(connection: Connection, reporter: str, limit: int = 50, before: str | None = None) -> list[ReportView]:
    """A person's reports, newest first; ``before`` is the report (full id) at which the last page ended."""
    columns = report_table.c
    query = select(report_table).where(columns.reporter == reporter, columns.received_at.is_not(None))
    if before is not None:
        ended = select(columns.received_at).where(columns.report == before).scalar_subquery()
        query = query.where(
            or_(columns.received_at < ended, and_(columns.received_at == ended, columns.report < before))
        )
    query = query.order_by(columns.received_at.desc(), columns.report.desc()).limit(limit)
    return [_view(row) for row in connection.execute(query).mappings()]


def reporters_of(connection: Connection, case_id: str) -> frozenset[str]:
    """Who reported a case: for the edge's question whether somebody is involved."""
    query = select(report_table.c.reporter).where(report_table.c.case_id == case_id)
    return frozenset(connection.execute(query).scalars())
