"""案卷 — the case file, and its timeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Integer, String, Table, select

from domain.case import events as e
from domain.message import Envelope, Event, Value
from domain.place import Place
from domain.sealing import Sealed
from projections.schema import Instant, Json, Row, Rows, metadata, upsert
from projections.sentences import sentence

HANDLES = frozenset(
    {
        e.CaseFiled,
        e.ReportAttached,
        e.ReportDetached,
        e.ReportWithdrawn,
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
        e.ShelvingRequested,
        e.ShelvingRejected,
        e.CaseShelved,
        e.CaseResumed,
        e.DeadlineMissed,
        e.CaseEscalated,
        e.NoticeIssued,
        e.OutcomeRated,
        e.NoteAdded,
        e.CaseArchived,
    }
)

case_table = Table(
    "case_file",
    metadata,
    Column("case_id", String, primary_key=True),
    Column("category", String),
    Column("family", String),
    Column("name_zh", String),
    Column("name_en", String),
    Column("severity", Integer),
    Column("visibility", String),
    Column("edition", String),
    Column("place", Json),
    Column("grid", String),
    Column("how", String),
    Column("net", String),
    Column("route_unit", String),
    Column("ancestors", Json),
    Column("owner", String),
    Column("owner_level", String),
    Column("status", String),
    Column("holder", String),
    Column("received_at", Instant),
    Column("filed_at", Instant),
    Column("handling_due", Instant),
    Column("deadlines", Json),
    Column("outcome", String),
    Column("on_time", Boolean),
    Column("reports", Integer),
    Column("returns", Integer),
    Column("failed_inspections", Integer),
    Column("closed_at", Instant),
    Column("window_ends", Instant),
    Column("archived", Boolean),
    Column("version", Integer),
)

timeline_table = Table(
    "case_timeline",
    metadata,
    Column("case_id", String, primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("time", Instant),
    Column("event_id", String),
    Column("command_id", String),
    Column("type", String),
    Column("text_zh", String),
    Column("text_en", String),
    Column("public", Boolean),
    Column("by", String),
    Column("note", Json),
)


class CaseView(Value):
    """A case as a client sees it; ``deadlines`` are the open ones, ``version`` is the sequence of its last event."""

    case_id: str
    category: str
    family: str
    name_zh: str
    name_en: str
    severity: int
    visibility: str
    edition: str
    place: Place | None = None
    grid: str | None = None
    how: str
    net: str
    route_unit: str
    ancestors: tuple[str, ...]
    owner: str
    owner_level: str
    status: str
    holder: str | None = None
    received_at: datetime
    filed_at: datetime
    handling_due: datetime
    deadlines: tuple[e.Deadline, ...]
    outcome: str | None = None
    on_time: bool | None = None
    reports: int
    returns: int
    failed_inspections: int
    closed_at: datetime | None = None
    window_ends: datetime | None = None
    archived: bool
    version: int


class TimelineEntry(Value):
    """One thing that happened. ``note`` is the ciphertext of a note or of a handler's remark."""

    sequence: int
    time: datetime
    event_id: str
    command_id: str
    type: str
    text_zh: str
    text_en: str
    public: bool
    by: str | None = None
    note: Sealed | None = None


def apply(connection: Connection, events: Sequence[Envelope]) -> None:
    """Fold a batch."""
    mine = [event for event in events if type(event.data) in HANDLES]
    rows = Rows(connection, case_table, (event.subject for event in mine))
    entries = []
    for event in mine:
        if not isinstance(event.data, e.CaseFiled) and rows.get(event.subject) is None:
            continue  # a report withdrawn before it was filed: its stream is no case's
        _apply(rows.change(event.subject), event)
        entries.append(_entry(event))
    rows.save()
    upsert(connection, timeline_table, entries)


def _apply(row: Row, event: Envelope) -> None:
    data = event.data
    row["version"] = event.sequence
    deadlines = getattr(data, "deadlines", None)
    if deadlines is not None:
        row["deadlines"] = [deadline.model_dump(mode="json") for deadline in deadlines]
    match data:
        case e.CaseFiled():
            _filed(row, data, event.time)
        case e.ReportAttached():
            row["reports"] += 1
        case e.ReportDetached() | e.ReportWithdrawn():
            row["reports"] -= 1
        case e.CaseDispatched():
            route = data.route
            row.update(route_unit=route.unit.unit, ancestors=list(route.ancestors), how=route.how, net=route.net)
            row.update(owner=route.unit.unit, owner_level=route.unit.level.value, status="dispatched", holder=None)
            row["handling_due"] = data.handling_due
        case e.DispatchAccepted():
            row.update(status="accepted", holder=data.holder)
        case e.DispatchReleased():
            row.update(status="dispatched", holder=None)
        case e.DispatchReturned():
            row.update(owner=data.desk.unit, owner_level=data.desk.level.value, status="awaiting_dispatch", holder=None)
            row["returns"] += 1
        case e.CaseEscalated():
            row.update(owner=data.to_unit.unit, owner_level=data.to_unit.level.value)
            if row["status"] in ("accepted", "dispatched"):
                row.update(status="dispatched", holder=None)
        case _:
            _work(row, event)


def _work(row: Row, event: Envelope) -> None:
    match event.data:
        case e.DeadlineMissed(number=number):
            row["deadlines"] = [deadline for deadline in row["deadlines"] if deadline["number"] != number]
        case e.HandlingCompleted(by=by):
            row.update(status="completed", holder=by)
        case e.InspectionFailed():
            row["status"] = "accepted"
            row["failed_inspections"] += 1
        case e.CaseClosed() as closed:
            row.update(status="closed", outcome=closed.outcome, on_time=closed.on_time, closed_at=event.time)
            row.update(deadlines=[], window_ends=closed.window_ends)
        case e.CaseVoided() as voided:
            row.update(status="voided", closed_at=event.time, deadlines=[], window_ends=voided.window_ends)
        case e.CaseReopened():
            row.update(status="dispatched", holder=None, outcome=None, on_time=None, closed_at=None, window_ends=None)
        case e.CaseShelved():
            row["status"] = "shelved"
        case e.CaseResumed() as resumed:
            row.update(status=resumed.status, handling_due=resumed.handling_due)
        case e.CaseArchived():
            row["archived"] = True


def _filed(row: Row, data: e.CaseFiled, at: datetime) -> None:
    terms, route = data.terms, data.route
    row.update(category=terms.code, family=terms.family, name_zh=terms.name_zh, name_en=terms.name_en)
    row.update(severity=terms.severity, visibility=terms.visibility.value, edition=terms.edition)
    row["place"] = data.place.model_dump(mode="json", exclude_none=True) if data.place else None
    row.update(grid=route.grid, how=route.how, net=route.net, route_unit=route.unit.unit)
    row.update(ancestors=list(route.ancestors), owner=route.unit.unit, owner_level=route.unit.level.value)
    row.update(status="awaiting_dispatch", received_at=data.report.received_at, filed_at=at)
    row.update(handling_due=data.handling_due, reports=1, returns=0, failed_inspections=0, archived=False)


def _entry(event: Envelope) -> Row:
    data = event.data
    if not isinstance(data, Event):
        raise TypeError(f"{event.type} is no event")
    zh, en, public = sentence(data)
    note = getattr(data, "text", None) or getattr(data, "note", None)
    return {
        "case_id": event.subject,
        "sequence": event.sequence,
        "time": event.time,
        "event_id": event.id,
        "command_id": event.causationid,
        "type": event.type,
        "text_zh": zh,
        "text_en": en,
        "public": public,
        "by": getattr(data, "by", None) or getattr(data, "holder", None),
        "note": note.model_dump(mode="json") if note is not None else None,
    }


def _present(row: Any) -> dict[str, Any]:
    return {name: value for name, value in dict(row).items() if value is not None}


def case_file(connection: Connection, case_id: str) -> CaseView | None:
    """A case by its id."""
    row = connection.execute(select(case_table).where(case_table.c.case_id == case_id)).mappings().first()
    return CaseView.model_validate(_present(row)) if row else None


def timeline(connection: Connection, case_id: str) -> list[TimelineEntry]:
    """What happened to a case, in order."""
    columns = [column for column in timeline_table.columns if column.name != "case_id"]
    query = select(*columns).where(timeline_table.c.case_id == case_id).order_by(timeline_table.c.sequence)
    return [TimelineEntry.model_validate(_present(row)) for row in connection.execute(query).mappings()]
