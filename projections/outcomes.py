"""结果 — how each command was answered: so that a retry finds the first answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Column, Connection, Integer, MetaData, RowMapping, String, Table, select

from domain.message import Value
from projections.schema import Instant, Json, Row, Rows, metadata

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
    """Keep one outcome of each command."""
    rows = Rows(connection, outcome_table, (outcome.command_id for outcome in outcomes))
    for outcome in outcomes:
        known = rows.get(outcome.command_id)
        if known is None or _prevails(outcome, known):
            row = {field.name: getattr(outcome, field.name) for field in fields(OutcomeRow)}
            rows.change(outcome.command_id).update(row, events=[list(event) for event in outcome.events])
    rows.save()


def _prevails(outcome: OutcomeRow, known: Row) -> bool:
    """The first that produced events stays, whatever its repetitions say; without one, the latest counts.

    First and latest by the log's time: a client may use an id in two partitions, and those are read in any order.
    """
    applied, was_applied = outcome.outcome == "applied", known["outcome"] == "applied"
    if applied != was_applied:
        return applied
    here = outcome.at, outcome.topic, outcome.partition, outcome.offset
    there = known["at"], known["topic"], known["partition"], known["offset"]
    return here < there if applied else here > there


def outcome_of(connection: Connection, command_id: str) -> OutcomeView | None:
    """How a command was answered, if it was."""
    row = connection.execute(select(outcome_table).where(outcome_table.c.command_id == command_id)).mappings().first()
    return OutcomeView.model_validate(dict(row)) if row else None


def join(connection: Connection, other: str) -> None:
    """Bring in the outcomes of another schema of the same database; of one that is in both, the one that prevails stays."""
    there = outcome_table.to_metadata(MetaData(), schema=other)
    both = select(there).join(outcome_table, outcome_table.c.command_id == there.c.command_id)
    twice = [_row(row) for row in connection.execute(both).mappings()]
    ours = select(outcome_table.c.command_id)
    new = select(there).where(there.c.command_id.not_in(ours))
    connection.execute(outcome_table.insert().from_select(list(outcome_table.columns), new))
    apply(connection, twice)


def _row(row: RowMapping) -> OutcomeRow:
    return OutcomeRow(**{**row, "events": tuple((kind, subject) for kind, subject in row["events"])})
