"""待办 — what stands in a unit's queue now, what the units above it see, and what a former owner keeps watching."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, String, Table, delete, func, select, tuple_

from domain.case import events as e
from domain.message import Envelope, Value
from domain.routing import Rung
from projections.schema import Instant, Json, Row, Rows, in_pieces, metadata, upsert

HANDLES = frozenset(
    {
        e.ReportHeld,
        e.ReportDeclined,
        e.ReportWithdrawn,
        e.ReportAttached,
        e.CaseFiled,
        e.CaseDispatched,
        e.DispatchAccepted,
        e.DispatchReleased,
        e.DispatchReturned,
        e.HandlingCompleted,
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
        e.CaseArchived,
    }
)

item_table = Table(
    "queue_item",
    metadata,
    Column("item", String, primary_key=True),
    Column("kind", String),
    Column("unit", String),
    Column("level", String),
    Column("status", String),
    Column("stage", String),
    Column("due", Instant),
    Column("severity", Integer),
    Column("category", String),
    Column("name_zh", String),
    Column("name_en", String),
    Column("holder", String),
    Column("request", String),
    Column("received_at", Instant),
    Column("ancestors", Json),
    Column("watchers", Json),
    Column("is_open", Integer),
)

seat_table = Table(
    "queue_seat",
    metadata,
    Column("item", String, primary_key=True),
    Column("unit", String, primary_key=True),
    Column("role", String),
    Column("due", Instant),
    Column("severity", Integer),
    Index("queue_seat_unit", "unit", "role", "due", "severity", "item"),
)

FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
"""Where nothing is due."""


class QueueItem(Value):
    """A line of a queue. ``role``: owner (here to be dealt with), above (in a subtree), watching (a former owner's).

    ``request`` is what waits for a supervisor's decision: ``shelving``, or nothing.
    """

    item: str
    kind: str
    unit: str
    level: str
    status: str
    stage: str | None = None
    due: datetime | None = None
    severity: int
    category: str
    name_zh: str
    name_en: str
    holder: str | None = None
    request: str | None = None
    received_at: datetime
    role: str


def apply(connection: Connection, events: Sequence[Envelope]) -> None:
    """Fold a batch; an ended case keeps a hidden line until it is archived, because it may be reopened."""
    mine = [event for event in events if type(event.data) in HANDLES]
    keys = [event.subject for event in mine]
    keys += [data.report.report for event in mine if isinstance(data := event.data, e.CaseFiled | e.ReportAttached)]
    rows = Rows(connection, item_table, keys)
    for event in mine:
        _apply(rows, event)
    rows.save()
    _seat(connection, rows, keys)


def _apply(rows: Rows, event: Envelope) -> None:
    data, item = event.data, event.subject
    match data:
        case e.ReportHeld():
            desk = data.route.desk
            row = _new(rows.change(item), "held_report", data.terms, data.report.received_at)
            row.update(unit=desk.unit, level=desk.level.value, status="held", stage="file", due=None)
            row["ancestors"] = _above(desk, [data.route.unit.unit, *data.route.ancestors])
            return
        case e.ReportDeclined() | e.CaseArchived():
            rows.remove(item)
            return
        case e.CaseFiled():
            rows.remove(data.report.report)
            row = _new(rows.change(item), "case", data.terms, data.report.received_at)
            unit = data.route.unit
            row.update(unit=unit.unit, level=unit.level.value, status="awaiting_dispatch")
            row["ancestors"] = list(data.route.ancestors)
        case e.ReportAttached():
            rows.remove(data.report.report)
        case e.ReportWithdrawn() if data.report == item:
            rows.remove(item)
    if (known := rows.get(item)) is not None and known["kind"] == "case":
        _case(rows.change(item), data)


def _case(row: Row, data: object) -> None:
    match data:
        case e.CaseDispatched():
            unit = data.route.unit
            row.update(unit=unit.unit, level=unit.level.value, status="dispatched", holder=None, watchers=[])
            row["ancestors"] = list(data.route.ancestors)
        case e.DispatchAccepted():
            row.update(status="accepted", holder=data.holder)
        case e.DispatchReleased():
            row.update(status="dispatched", holder=None)
        case e.DispatchReturned():
            _move(row, data.desk)
            row.update(status="awaiting_dispatch", holder=None, watchers=[])
        case e.CaseEscalated():
            watchers = [*row["watchers"], row["unit"]]
            _move(row, data.to_unit)
            row["watchers"] = watchers
            if row["status"] in ("accepted", "dispatched"):
                row.update(status="dispatched", holder=None)
        case e.HandlingCompleted():
            row.update(status="completed", holder=data.by, request=None)
        case e.InspectionFailed():
            row["status"] = "accepted"
        case e.CaseClosed() | e.CaseVoided():
            row.update(status="ended", is_open=0)
        case e.CaseReopened():
            row.update(status="dispatched", holder=None, is_open=1, request=None)
        case e.ShelvingRequested():
            row["request"] = "shelving"
        case e.ShelvingRejected():
            row["request"] = None
        case e.CaseShelved():
            row.update(status="shelved", request=None)
        case e.CaseResumed():
            row["status"] = data.status
    deadlines: tuple[e.Deadline, ...] | None = getattr(data, "deadlines", None)
    if deadlines is not None:
        first = min(deadlines, key=lambda deadline: deadline.due, default=None)
        row.update(stage=first.stage.value if first else None, due=first.due if first else None)


def _new(row: Row, kind: str, terms: Any, received_at: datetime) -> Row:
    row.update(kind=kind, severity=terms.severity, category=terms.code, name_zh=terms.name_zh, name_en=terms.name_en)
    row.update(received_at=received_at, holder=None, watchers=[], is_open=1)
    return row


def _above(unit: Rung, chain: list[str]) -> list[str]:
    return chain[chain.index(unit.unit) + 1 :] if unit.unit in chain else chain[1:]


def _move(row: Row, to: Rung) -> None:
    row["ancestors"] = _above(to, [row["unit"], *row["ancestors"]])
    row.update(unit=to.unit, level=to.level.value)


def _seat(connection: Connection, rows: Rows, keys: list[str]) -> None:
    """Who sees which line: written anew for every line of the batch."""
    for piece in in_pieces(keys):
        connection.execute(delete(seat_table).where(seat_table.c.item.in_(piece)))
    seats: list[Row] = []
    for key in sorted(set(keys)):
        row = rows.get(key)
        if row is None or not row["is_open"]:
            continue
        roles = (
            dict.fromkeys(row["ancestors"], "above")
            | dict.fromkeys(row["watchers"], "watching")
            | {row["unit"]: "owner"}
        )
        base = {"item": key, "due": row["due"] or FAR, "severity": -row["severity"]}
        seats += [{**base, "unit": unit, "role": role} for unit, role in roles.items()]
    upsert(connection, seat_table, seats)


Cursor = tuple[datetime, int, str]
"""Where a page ended: (due, −severity, item)."""


def queue(
    connection: Connection, unit: str, *, subtree: bool = False, limit: int = 100, after: Cursor | None = None
) -> list[QueueItem]:
    """A unit's queue, the most urgent first; with ``subtree`` everything under it too."""
    seat = seat_table.c
    roles = ("owner", "above", "watching") if subtree else ("owner", "watching")
    columns = [column for column in item_table.columns if column.name not in ("ancestors", "watchers", "is_open")]
    query = (
        select(*columns, seat.role)
        .join(item_table, item_table.c.item == seat.item)
        .where(seat.unit == unit, seat.role.in_(roles))
        .order_by(seat.due, seat.severity, seat.item)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(seat.due, seat.severity, seat.item) > after)
    return [
        QueueItem.model_validate({name: value for name, value in row.items() if value is not None})
        for row in connection.execute(query).mappings()
    ]


def cursor_of(item: QueueItem) -> Cursor:
    """The cursor after ``item``."""
    return item.due or FAR, -item.severity, item.item


def open_by_unit(connection: Connection) -> dict[str, int]:
    """How many open lines each unit's subtree holds."""
    query = select(seat_table.c.unit, func.count()).where(seat_table.c.role != "watching").group_by(seat_table.c.unit)
    return {unit: int(count) for unit, count in connection.execute(query)}
