"""What the slices share: one set of tables, instants in UTC, and rows that are read, changed and written back in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import JSON, BigInteger, Connection, Insert, MetaData, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData()

MAX_KEYS = 500
"""Keys of one SELECT: SQLite takes a bounded number of parameters."""

Row = dict[str, Any]


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(instant: datetime) -> int:
    """Microseconds since 1970 UTC of an aware instant."""
    return (instant - EPOCH) // MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware instant, stored as microseconds since 1970 UTC: the same on every database, and a number to reckon with."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """As it is stored."""
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Aware, in UTC."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


Json = JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert whole rows, or replace the ones with the same key; a column that a row does not name is null."""
    if rows:
        text, columns = _writer(table, connection.dialect)
        values = [tuple([_bound(row.get(name), bind) for name, bind in columns]) for row in rows]
        connection.exec_driver_sql(text, values)


Bind = Callable[[Any], Any]


def _bound(value: Any, bind: Bind | None) -> Any:
    return value if bind is None else bind(value)


@cache
def _writer(table: Table, dialect: Dialect) -> tuple[str, tuple[tuple[str, Bind | None], ...]]:
    """The statement and how each column's values are given to the driver, worked out once a table.

    SQLAlchemy's own handling of the parameters of many rows takes longer than the database does to store them.
    """
    compiled = upsert_into(table, dialect.name).compile(dialect=dialect)
    columns = [table.columns[name] for name in compiled.positiontup or ()]
    return str(compiled), tuple(
        (column.name, column.type.dialect_impl(dialect).bind_processor(dialect)) for column in columns
    )


@cache
def upsert_into(table: Table, dialect: str) -> Insert:
    """Insert or replace, by the key. Built once a table: building it costs more than running it."""
    insert: postgresql.Insert | sqlite.Insert
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    rest = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=rest)


def in_pieces(keys: Iterable[str]) -> Iterator[list[str]]:
    """Distinct keys in lists that one statement takes."""
    distinct = sorted(set(keys))
    for start in range(0, len(distinct), MAX_KEYS):
        yield distinct[start : start + MAX_KEYS]


class Rows:
    """The rows of one batch: loaded at once, changed in memory, written at once. The table has a key of one column."""

    def __init__(self, connection: Connection, table: Table, keys: Iterable[str]) -> None:
        self._connection, self._table = connection, table
        (self._key,) = table.primary_key.columns
        self._rows: dict[str, Row] = {}
        self._changed: set[str] = set()
        self._removed: set[str] = set()
        for piece in in_pieces(keys):
            for row in connection.execute(select(table).where(self._key.in_(piece))).mappings():
                self._rows[row[self._key.name]] = dict(row)

    def get(self, key: str) -> Row | None:
        """The row as it stands; say `change` before you alter it."""
        return self._rows.get(key)

    def change(self, key: str) -> Row:
        """The row, to be altered: an empty one where there is none."""
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = {column.name: None for column in self._table.columns} | {self._key.name: key}
        self._changed.add(key)
        self._removed.discard(key)
        return row

    def remove(self, key: str) -> None:
        """The row goes."""
        self._rows.pop(key, None)
        self._changed.discard(key)
        self._removed.add(key)

    def save(self) -> None:
        """Write what has changed."""
        for piece in in_pieces(self._removed):
            self._connection.execute(delete(self._table).where(self._key.in_(piece)))
        upsert(self._connection, self._table, [self._rows[key] for key in sorted(self._changed)])
