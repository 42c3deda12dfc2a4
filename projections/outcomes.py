"""结果 — how each command was answered: so that a retry finds the first answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Integer, String, Table, select

from domain.message import Value
from projections.schema import Instant, Json, Rows, metadata

outcome_table = Table(
    "outcome",
    metadata,
    Column("command_id", String, primary_key=True),
    Column("correlation_id", String),
    Column("topic", String),
    Column("partition", Integer),
    Column("offset", Integer),
    Column("outcome", String),
    Column("reason", String),
    Column("detail", String),
    Column("events", Json),
    Column("at", Instant),
)


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """A commit's headers and the types and subjects of its events. ``offset`` is the command's."""

    command_id: str
    correlation_id: str
    topic: str
    partition: int
    offset: int
    outcome: str
    reason: str
    detail: str
    events: tuple[tuple[str, str], ...]
    at: datetime


class OutcomeView(Value):
    """How a command was answered; ``events`` are (type, subject)."""

    command_id: str
    correlation_id: str
    topic: str
    partition: int
    offset: int
    outcome: str
    reason: str = ""
    detail: str = ""
    events: tuple[tuple[str, str], ...] = ()
    at: datetime


def apply(connection: Connection, outcomes: Sequence[OutcomeRow]) -> None:
    """Keep each command's outcome; one that produced events stays, whatever its repetitions say."""
    rows = Rows(connection, outcome_table, (outcome.command_id for outcome in outcomes))
    for outcome in outcomes:
        known = rows.get(outcome.command_id)
        if known is None or known["outcome"] != "applied":
            fields = asdict(outcome)
            rows.change(outcome.command_id).update(fields, events=[list(event) for event in outcome.events])
    rows.save()


def outcome_of(connection: Connection, command_id: str) -> OutcomeView | None:
    """How a command was answered, if it was."""
    row = connection.execute(select(outcome_table).where(outcome_table.c.command_id == command_id)).mappings().first()
    return OutcomeView.model_validate(dict(row)) if row else None
