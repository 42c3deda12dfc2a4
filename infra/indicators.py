"""指标查询 — what the edges share: texts become a question, and its answer gets names and says how fresh it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, select

from domain.message import Value
from domain.net import Level, UnitKind
from infra.database import ReadModels
from infra.projecting import Cut
from infra.statements import Statements, ask
from projections.directory import Name, category_table, family_table, level_of, names, unit_table
from projections.facts import PLACES
from projections.indicators.answer import Answer
from projections.indicators.definitions import INDICATORS, Indicator, NoSuchIndicator, indicator
from projections.indicators.kinds import Unit
from projections.indicators.period import NoPeriod, Period, month_of, period_of
from projections.indicators.question import BREAKDOWNS, SETTLING, WORKER, CannotAsk, Question
from projections.projector import position_table

NAMED: dict[str, Table] = {**dict.fromkeys(PLACES, unit_table), "family": family_table, "category": category_table}
"""Dimensions whose values have names, and where those are."""


class CannotAnswer(ValueError):
    """One part of what was asked is wrong: ``field`` says which, the message what there is instead."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in the words in which it came; an empty one is left to the usual."""

    name: str
    version: str = ""
    period: str = ""
    as_of: str = ""
    unit: str = ""
    family: str = ""
    category: str = ""
    worker: str = ""
    by: tuple[str, ...] = ()


class Told(Answer):
    """An answer as it is shown.

    ``names``: by dimension, what the keys and filters are called. ``position``: by topic and partition, the next record
    that the read models await; ``lag_records`` and ``lag_seconds``: how far they were behind the log then.
    """

    names: dict[str, dict[str, Name]]
    position: dict[str, int]
    lag_records: int
    lag_seconds: float


class Version(Value):
    """One version of a definition."""

    version: str
    name_zh: str
    name_en: str
    definition_zh: str
    definition_en: str
    unit: Unit
    dimensions: tuple[str, ...]


class Described(Value):
    """An indicator with its versions; the first is the one meant where none is said."""

    name: str
    versions: tuple[Version, ...]


def described() -> list[Described]:
    """Every indicator that there is."""
    by_name: dict[str, list[Version]] = {}
    for each in INDICATORS:
        version = Version(
            version=each.version,
            name_zh=each.name_zh,
            name_en=each.name_en,
            definition_zh=each.definition_zh,
            definition_en=each.definition_en,
            unit=each.kind.unit,
            dimensions=each.dimensions,
        )
        by_name.setdefault(each.name, []).append(version)
    return [Described(name=name, versions=tuple(versions)) for name, versions in by_name.items()]


@dataclass(frozen=True, slots=True)
class Indicators:
    """What answers: the read models, and the statements that were made of ended periods."""

    models: ReadModels
    statements: Statements

    def told(self, asked: Asked, zone: str, cut: Cut) -> Told:
        """The answer; takes as long as the queries do. Raises `CannotAnswer`, `NoReadModels`."""
        with self.models.reading() as connection:
            definition, question = question_of(connection, asked, zone, cut.now)
            position = _position(connection)
        try:
            given = ask(self.models, self.statements, definition, question, cut)
        except CannotAsk as error:
            raise CannotAnswer(
                WORKER if WORKER in question.filters and not question.by else "by", str(error)
            ) from error
        with self.models.reading() as connection:
            called = _names(connection, given)
        ends = {f"{topic}/{number}": end for (topic, number), end in cut.ends.items()}
        return Told(
            **dict(given),
            names=called,
            position=position,
            lag_records=sum(max(0, end - position.get(where, 0)) for where, end in ends.items()),
            lag_seconds=(cut.now - cut.until).total_seconds(),
        )


def question_of(connection: Connection, asked: Asked, zone: str, now: datetime) -> tuple[Indicator, Question]:
    """What was asked, by which definition; the zone is the one of local days. Raises `CannotAnswer`."""
    definition = _definition(asked)
    period = _period(asked, zone, now)
    filters = {**_place(connection, asked.unit), **_subject(connection, asked)}
    unknown = [name for name in asked.by if name not in BREAKDOWNS]
    if unknown:
        known = ", ".join(definition.dimensions)
        raise CannotAnswer("by", f"没有维度 · there is no dimension {unknown[0]!r}; {definition.name} knows {known}")
    by = tuple(dict.fromkeys(asked.by))
    return definition, Question(period, _as_of(asked, definition, period, now), zone, filters, by)


def _definition(asked: Asked) -> Indicator:
    try:
        indicator(asked.name)
    except NoSuchIndicator as error:
        raise CannotAnswer("name", str(error)) from error
    try:
        return indicator(asked.name, asked.version)
    except NoSuchIndicator as error:
        raise CannotAnswer("version", str(error)) from error


def _period(asked: Asked, zone: str, now: datetime) -> Period:
    try:
        return period_of(asked.period, zone) if asked.period else month_of(now, zone)
    except NoPeriod as error:
        raise CannotAnswer("period", str(error)) from error


def _as_of(asked: Asked, definition: Indicator, period: Period, now: datetime) -> datetime:
    """Of a state of affairs without a period: now."""
    if not asked.as_of:
        is_state = all(source.time is None for source in definition.kind.sources)
        return now if is_state and not asked.period else period.end + SETTLING
    try:
        instant = datetime.fromisoformat(asked.as_of)
        if instant.tzinfo is None:
            raise ValueError("no zone")
        return instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = (
            f"{asked.as_of!r} 不是带时区的时刻 · is no instant: give one with its zone, such as 2026-07-01T00:00:00Z"
        )
        raise CannotAnswer("as_of", message) from error


def _place(connection: Connection, unit: str) -> dict[str, str]:
    """Areas by the level at which they stand; what is no area by its own queue; the city is everything."""
    if not unit:
        return {}
    found = level_of(connection, unit)
    if found is None:
        raise CannotAnswer("unit", f"没有单位 · no net has a unit {unit!r}")
    kind, level = found
    if kind != UnitKind.AREA:
        return {"unit": unit}
    return {} if level == Level.CITY else {level: unit}


def _subject(connection: Connection, asked: Asked) -> dict[str, str]:
    filters = {"family": asked.family, "category": asked.category, WORKER: asked.worker}
    given = {name: value for name, value in filters.items() if value}
    for name, value in given.items():
        if name in NAMED and value not in names(connection, NAMED[name], [value]):
            known = ", ".join(connection.execute(select(NAMED[name].c.code).order_by(NAMED[name].c.code)).scalars())
            raise CannotAnswer(name, f"目录中没有 · no edition of the catalogue has {value!r}; there are {known}")
    return given


def _position(connection: Connection) -> dict[str, int]:
    columns = position_table.c
    rows = connection.execute(
        select(columns.source, columns.partition, columns.next_record).order_by(columns.source, columns.partition)
    )
    return {f"{source}/{partition}": next_record for source, partition, next_record in rows}


def _names(connection: Connection, given: Answer) -> dict[str, dict[str, Name]]:
    def codes(dimension: str) -> Iterable[str]:
        found = (line.key.get(dimension) for line in given.lines)
        return {code for code in (*found, given.filters.get(dimension)) if code is not None}

    asked = [dimension for dimension in NAMED if dimension in given.by or dimension in given.filters]
    return {dimension: names(connection, NAMED[dimension], codes(dimension)) for dimension in asked}
