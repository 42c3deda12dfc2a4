"""积分 — every entry of every ledger, the balances, and the boards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, Connection, Date, Index, Integer, String, Table, func, select

from domain.message import Envelope, Value
from domain.rider import PointsAwarded, PointsClawedBack
from projections.schema import Instant, Row, Rows, metadata, upsert

HANDLES = frozenset({PointsAwarded, PointsClawedBack})

ledger_table = Table(
    "points_entry",
    metadata,
    Column("rider", String, primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("time", Instant),
    Column("day", Date),
    Column("month", String),
    Column("kind", String),
    Column("case_id", String),
    Column("report", String),
    Column("points", Integer),
    Column("reason", String),
    Column("command_id", String),
    Index("points_entry_month", "month", "rider"),
    Index("points_entry_time", "time", "points", "case_id"),
)

balance_table = Table(
    "points_balance",
    metadata,
    Column("rider", String, primary_key=True),
    Column("balance", Integer),
    Column("awarded", Integer),
    Column("clawed_back", Integer),
)


class Entry(Value):
    """A line of a ledger: ``points`` is negative where it takes; every line names its cause."""

    sequence: int
    time: datetime
    day: date
    kind: str
    case_id: str
    report: str | None = None
    points: int
    reason: str
    command_id: str


class Balance(Value):
    """A rider's account."""

    rider: str
    balance: int = 0
    awarded: int = 0
    clawed_back: int = 0


class Place(Value):
    """A line of a board."""

    rider: str
    points: int


def apply(connection: Connection, events: Sequence[Envelope]) -> None:
    """Fold a batch."""
    mine = [event for event in events if type(event.data) in HANDLES]
    balances = Rows(connection, balance_table, (event.subject for event in mine))
    entries = []
    for event in mine:
        entry = _entry(event)
        entries.append(entry)
        row = balances.change(event.subject)
        row["balance"] = (row["balance"] or 0) + entry["points"]
        row["awarded"] = (row["awarded"] or 0) + max(entry["points"], 0)
        row["clawed_back"] = (row["clawed_back"] or 0) + max(-entry["points"], 0)
    upsert(connection, ledger_table, entries)
    balances.save()


def _entry(event: Envelope) -> Row:
    common: Row = {
        "rider": event.subject,
        "sequence": event.sequence,
        "time": event.time,
        "command_id": event.causationid,
        "report": None,
    }
    match event.data:
        case PointsAwarded() as data:
            common.update(kind=data.kind, report=data.report, points=data.points)
        case PointsClawedBack() as data:
            common.update(kind="clawed_back", points=-data.points)
        case _:
            raise TypeError(f"{event.type} is no entry of a ledger")
    return {
        **common,
        "case_id": data.case_id,
        "reason": data.reason,
        "day": data.day,
        "month": data.day.isoformat()[:7],
    }


def balance(connection: Connection, rider: str) -> Balance:
    """A rider's account; of one who has none, an empty one."""
    row = connection.execute(select(balance_table).where(balance_table.c.rider == rider)).mappings().first()
    return Balance.model_validate(dict(row)) if row else Balance(rider=rider)


def ledger(connection: Connection, rider: str, limit: int = 100, before: int | None = None) -> list[Entry]:
    """A rider's entries, newest first; ``before`` is the sequence at which the last page ended."""
    columns = [column for column in ledger_table.columns if column.name not in ("rider", "month")]
    query = select(*columns).where(ledger_table.c.rider == rider)
    if before is not None:
        query = query.where(ledger_table.c.sequence < before)
    rows = connection.execute(query.order_by(ledger_table.c.sequence.desc()).limit(limit)).mappings()
    return [Entry.model_validate(dict(row)) for row in rows]


def board(connection: Connection, months: Sequence[str], limit: int = 50) -> list[Place]:
    """排行榜 — who earned most in ``months`` (``2026-11``; three of them make a quarter)."""
    points: Any = func.sum(ledger_table.c.points).label("points")
    query = (
        select(ledger_table.c.rider, points)
        .where(ledger_table.c.month.in_(months))
        .group_by(ledger_table.c.rider)
        .order_by(points.desc(), ledger_table.c.rider)
        .limit(limit)
    )
    return [Place.model_validate(dict(row)) for row in connection.execute(query).mappings()]
