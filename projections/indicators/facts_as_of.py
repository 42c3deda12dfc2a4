"""事实截至某时 — SELECTs over the facts as they were known at an instant."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    and_,
    case,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from projections.facts import DIMENSIONS, fact_table, past_table, report_table
from projections.indicators.period import bucket_of
from projections.indicators.question import BUCKETS, WORKER, Question
from projections.points import ledger_table
from projections.schema import EPOCH, micros

Columns = ReadOnlyColumnCollection[str, Any]
Where = Callable[[Columns, Question], ColumnElement[bool]]
"""A condition on a row, given what is asked."""
Duration = Callable[[Columns, Question], ColumnElement[Any]]
"""Microseconds, of a row."""
Key = tuple[str | None, ...]
"""The values of a question's ``by``, in its order."""

KNOWN_SINCE = {"holder": "holder_at", "handler": "completed_at"}
"""When it came to be known which worker it is; a row that is not overwritten then is the same row, one name richer."""

SLOT_MICROSECONDS = 15 * 60 * 1_000_000
"""Local days begin on a quarter of an hour of UTC, in every time zone of today."""


class Source(NamedTuple):
    """Rows of facts. ``time`` is the column that has to lie in the period, or None where the rows are a state of affairs;
    ``worker`` the column with the one whose work it is, or None where it is nobody's.
    """

    table: Table
    time: str | None
    where: Where | None = None
    worker: str | None = None

    def knows(self, dimension: str) -> bool:
        """Whether its rows can be asked by a dimension; entries of ledgers have their case's."""
        return dimension in self.table.c or self.table is ledger_table


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts, as one question sees them."""

    connection: Connection
    question: Question

    def counts(self, source: Source, wanted: Mapping[str, Where | None]) -> dict[Key, dict[str, int]]:
        """How many rows of the source meet each condition, by the question's breakdown."""
        question = self.question

        def columns(table: FromClause) -> list[ColumnElement[Any]]:
            return [
                func.count() if where is None else func.sum(case((where(table.c, question), 1), else_=0))
                for where in wanted.values()
            ]

        totals: dict[Key, dict[str, int]] = {}
        for key, values in self._grouped(source, columns):
            row = totals.setdefault(key, dict.fromkeys(wanted, 0))
            for name, value in zip(wanted, values, strict=True):
                row[name] += int(value or 0)
        return totals

    def sums(
        self, source: Source, wanted: Mapping[str, Callable[[Columns], ColumnElement[Any]]]
    ) -> dict[Key, dict[str, int]]:
        """The sum of each expression over the rows of the source."""
        totals: dict[Key, dict[str, int]] = {}
        for key, values in self._grouped(source, lambda table: [func.sum(of(table.c)) for of in wanted.values()]):
            row = totals.setdefault(key, dict.fromkeys(wanted, 0))
            for name, value in zip(wanted, values, strict=True):
                row[name] += int(value or 0)
        return totals

    def split(self, source: Source, column: str) -> dict[Key, dict[str, int]]:
        """How many rows there are for each value of a column."""
        totals: dict[Key, dict[str, int]] = {}
        for key, (value, count) in self._grouped(source, lambda table: [table.c[column], func.count()], column):
            row = totals.setdefault(key, {})
            row[str(value)] = row.get(str(value), 0) + int(count)
        return totals

    def values(self, source: Source, of: Duration) -> dict[Key, list[int]]:
        """The value of an expression for each row, in microseconds, sorted.

        The database gives the values of a group as one JSON array: a row for each would take far longer to hand over.
        """
        gather = func.json_group_array if self.connection.dialect.name == "sqlite" else func.json_agg
        found: dict[Key, list[int]] = {}
        for key, (values,) in self._grouped(source, lambda table: [gather(of(table.c, self.question))]):
            gathered = json.loads(values) if isinstance(values, str) else values or ()
            found.setdefault(key, []).extend(value for value in gathered if value is not None)
        return {key: sorted(values) for key, values in found.items() if values}

    def _grouped(
        self, source: Source, columns: Callable[[FromClause], list[ColumnElement[Any]]], also: str | None = None
    ) -> Iterator[tuple[Key, tuple[Any, ...]]]:
        labels = _Labels(self.question)
        for branch in self._branches(source):
            keys = self._keys(branch, source)
            grouping = [*keys, branch.c[also]] if also else keys
            query = self._where(select(*keys, *columns(branch)), branch, source).group_by(*grouping)
            for row in self.connection.execute(query):
                yield labels.of(tuple(row[: len(keys)])), tuple(row[len(keys) :])

    def _branches(self, source: Source) -> list[FromClause]:
        """Cases stand in two tables: as they are known now, and as they were; entries of ledgers get their case's dimensions."""
        if source.table is fact_table:
            return [fact_table, past_table]
        if source.table is ledger_table and self._asks_for_dimensions():
            return [self._ledger_with(fact_table), self._ledger_with(past_table)]
        return [source.table]

    def _asks_for_dimensions(self) -> bool:
        return not set(DIMENSIONS).isdisjoint((*self.question.by, *self.question.filters))

    def _ledger_with(self, cases: Table) -> FromClause:
        """The entries of cases that were known so."""
        return (
            select(ledger_table, *(cases.c[name] for name in DIMENSIONS))
            .join(cases, cases.c.case_id == ledger_table.c.case_id)
            .where(_known(cases, self.question.as_of))
            .subquery()
        )

    def _where(self, query: Select[Any], branch: FromClause, source: Source) -> Select[Any]:
        question, columns = self.question, branch.c
        if source.table is fact_table:
            query = query.where(_known(branch, question.as_of))
        if source.time is not None:
            time = columns[source.time]
            query = query.where(time >= question.period.start, time < question.period.end)
        if source.where is not None:
            query = query.where(source.where(columns, question))
        filters = question.filters.items()
        return query.where(*(_dimension(name, branch, source, question) == value for name, value in filters))

    def _keys(self, branch: FromClause, source: Source) -> list[ColumnElement[Any]]:
        """One column for each of the question's breakdowns; of a time its quarter of an hour."""
        keys: list[ColumnElement[Any]] = []
        for name in self.question.by:
            if name in BUCKETS and source.time is not None:
                keys.append(type_coerce(branch.c[source.time], BigInteger) // SLOT_MICROSECONDS)
            else:
                keys.append(_dimension(name, branch, source, self.question))
        return keys


def _dimension(name: str, branch: FromClause, source: Source, asked: Question) -> ColumnElement[Any]:
    """What a row says of a dimension; nothing where that came to be known only after the instant that is asked about."""
    column = source.worker if name == WORKER and source.worker is not None else name
    since = KNOWN_SINCE.get(column)
    if source.table is report_table and name != "category":
        since = "placed_at"
    known: ColumnElement[Any] = branch.c[column]
    return known if since is None else case((branch.c[since] <= asked.as_of, known))


def _known(table: FromClause, as_of: datetime) -> ColumnElement[bool]:
    """Whether a version of a case is the one that was known at the instant."""
    known = table.c.known_from <= as_of
    return and_(known, table.c.known_until > as_of) if table is past_table else known


class _Labels:
    """Turns quarters of an hour into the names of local days, weeks and months; remembers what it has named."""

    def __init__(self, question: Question) -> None:
        self._by, self._zone = question.by, ZoneInfo(question.zone)
        self._known: dict[tuple[str, int], str] = {}

    def of(self, raw: tuple[Any, ...]) -> Key:
        """The key as it is shown."""
        return tuple(
            self._name(name, value) if name in BUCKETS else value for name, value in zip(self._by, raw, strict=True)
        )

    def _name(self, bucket: str, slot: int) -> str:
        found = self._known.get((bucket, slot))
        if found is None:
            local = (EPOCH + timedelta(microseconds=slot * SLOT_MICROSECONDS)).astimezone(self._zone)
            found = self._known[bucket, slot] = bucket_of(bucket, local)
        return found


def by_then(name: str) -> Where:
    """That something had happened by the instant of knowledge."""
    return lambda columns, asked: columns[name] <= asked.as_of


def not_by_then(name: str) -> Where:
    """That it had not."""
    return lambda columns, asked: or_(columns[name].is_(None), columns[name] > asked.as_of)


def later(name: str) -> Where:
    """That it happened after that instant; of a time that is never missing."""
    return lambda columns, asked: columns[name] > asked.as_of


def both(*conditions: Where) -> Where:
    """That all of them hold."""
    return lambda columns, asked: and_(*(condition(columns, asked) for condition in conditions))


def elapsed(start: str, end: str) -> Duration:
    """From one time of a row to another."""
    return lambda columns, _: type_coerce(columns[end], BigInteger) - type_coerce(columns[start], BigInteger)


def lasted(start: str) -> Duration:
    """From a time of a row to the instant of knowledge."""
    return lambda columns, asked: micros(asked.as_of) - type_coerce(columns[start], BigInteger)
