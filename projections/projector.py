"""How a batch of the log becomes rows: every slice and the position, in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Boolean, Column, Connection, Engine, Integer, String, Table, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex, CreateTable

from domain.message import Envelope
from projections import cases, coverage, directory, facts, outcomes, points, queues, reports
from projections.outcomes import OutcomeRow, outcome_table
from projections.schema import metadata

position_table = Table(
    "position",
    metadata,
    Column("source", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_record", Integer),
    Column("owner", String),
    Column("expected", Integer),
    Column("suspended", Boolean),
)

SLICES = {
    "directory": directory,
    "coverage": coverage,
    "reports": reports,
    "cases": cases,
    "queues": queues,
    "points": points,
    "facts": facts,
}
REVISION = 1
"""Raised when a slice makes something else of the same events: read models of an earlier one are made anew."""

NOT_DIGESTED = frozenset({"topic", "partition", "offset"})
"""Columns that say where, not what: another log may hold the same history elsewhere."""


class PositionMoved(RuntimeError):
    """Another projector has gone on from here."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the read models stand in one partition: the next record, and the filter's memory."""

    next_record: int = 0
    owner: str = ""
    expected: int = 0
    suspended: bool = False


def create_tables(engine: Engine, *, indexes: bool = True) -> None:
    """Make the tables in an empty database; without ``indexes`` they are filled faster, and `create_indexes` follows."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table))
    if indexes:
        create_indexes(engine)


def create_indexes(engine: Engine) -> None:
    """Make the tables' indexes."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            for index in table.indexes:
                connection.execute(CreateIndex(index))


def position(connection: Connection, source: str, partition: int) -> Position:
    """Where the read models stand."""
    where = (position_table.c.source == source) & (position_table.c.partition == partition)
    row = connection.execute(select(position_table).where(where)).mappings().first()
    return Position(row["next_record"], row["owner"], row["expected"], row["suspended"]) if row else Position()


@dataclass(frozen=True, slots=True)
class Move:
    """A partition's position, before and after a batch."""

    source: str
    partition: int
    before: Position
    after: Position


def apply_batch(
    connection: Connection, moves: Sequence[Move], events: Sequence[Envelope], answers: Sequence[OutcomeRow] = ()
) -> None:
    """Move the positions, then apply a batch, in order within each partition.

    Raises `PositionMoved` before a row of a read model is written: roll back and look anew.
    """
    for move in moves:
        _advance(connection, move)
    for read_model in SLICES.values():
        read_model.apply(connection, events)
    outcomes.apply(connection, answers)


def _advance(connection: Connection, move: Move) -> None:
    """Compare and set in one statement, which also keeps others off the partition until this transaction ends."""
    where, after = {"source": move.source, "partition": move.partition}, asdict(move.after)
    try:
        if move.before == Position():
            moved = connection.execute(insert(position_table).values(**where, **after)).rowcount
        else:
            known = where | asdict(move.before)
            same = [position_table.c[name] == value for name, value in known.items()]
            moved = connection.execute(update(position_table).where(*same).values(**after)).rowcount
    except IntegrityError:
        moved = 0
    if moved != 1:
        raise PositionMoved(f"{move.source}[{move.partition}] is not at {move.before.next_record} any more")


def digest(connection: Connection) -> dict[str, str]:
    """One SHA-256 for each table of the read models, over its rows in an order that every database agrees on."""
    return {table.name: _digest(connection, table) for table in metadata.sorted_tables if table is not position_table}


def _digest(connection: Connection, table: Table) -> str:
    columns = [column for column in table.columns if column.name not in NOT_DIGESTED or table is not outcome_table]
    rows = (
        json.dumps(list(row), ensure_ascii=False, sort_keys=True, default=str)
        for row in connection.execute(select(*columns))
    )
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(row.encode()).digest() for row in rows))).hexdigest()
