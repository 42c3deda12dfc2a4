"""对账 — answers about ended periods, kept as they were first given: they never change, and the audit proves it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

from pydantic import ValidationError
from sqlalchemy import Column, Connection, MetaData, String, Table, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.schema import CreateTable

from infra.database import ReadModels, locked, open_engine
from infra.projecting import Cut, Progress
from projections.facts import fact_table
from projections.indicators.answer import Answer, answer
from projections.indicators.definitions import INDICATORS, Indicator, NoSuchIndicator, indicator
from projections.indicators.period import NoPeriod, Period, month_of, period_of
from projections.indicators.question import SETTLING, WORKER, CannotAsk, Question
from projections.schema import MICROSECOND

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""How often a server looks whether a month has ended."""

_metadata = MetaData()
statement_table = Table(
    "statement",
    _metadata,
    Column("question", String, primary_key=True),
    Column("answer", String, nullable=False),
)

MAX_LINES = 2_000
"""Longer answers are not kept but computed each time: who asks by grid and day does not fill the disk."""

MONTHLY: tuple[tuple[str, ...], ...] = ((), ("district",))
"""What is stated of every month that has ended, without anybody asking: the city, and its districts."""


class Statements:
    """One SQLite file beside the log: no rebuild touches it."""

    def __init__(self, data: Path) -> None:
        self._engine = open_engine(data / "statements.db")
        with locked(data / "statements.lock"), self._engine.begin() as connection:  # two cannot make a file at once
            connection.execute(CreateTable(statement_table, if_not_exists=True))

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def find(self, definition: Indicator, question: Question) -> Answer | None:
        """The answer that was given first, if it was given; one that cannot be read is the audit's to name."""
        query = select(statement_table.c.answer).where(statement_table.c.question == _text(definition, question))
        with self._engine.begin() as connection:
            found = connection.execute(query).scalar()
        try:
            kept = Answer.model_validate_json(found) if found is not None else None
        except ValidationError:
            logger.error("a statement of %s %s cannot be read", definition.name, question.period.label)
            return None
        return kept and kept.model_copy(update={"period": question.period.label})

    def keep(self, definition: Indicator, question: Question, given: Answer) -> Answer:
        """Keep an answer for good; where there is one, that one stays, and is the answer."""
        row = {"question": _text(definition, question), "answer": given.model_dump_json()}
        with self._engine.begin() as connection:
            connection.execute(insert(statement_table).values(row).on_conflict_do_nothing())
        return self.find(definition, question) or given

    def all(self) -> Iterator[tuple[str, str]]:
        """Every statement as it is stored, question and answer, in a fixed order."""
        with self._engine.begin() as connection:
            for row in connection.execute(select(statement_table).order_by(statement_table.c.question)):
                yield row.question, row.answer


def _text(definition: Indicator, question: Question) -> str:
    period = question.period
    return json.dumps(
        [
            definition.name,
            definition.version,
            period.start.isoformat(),
            period.end.isoformat(),
            question.zone,
            sorted(question.filters.items()),
            question.by,
        ]
    )


def ask(models: ReadModels, statements: Statements, definition: Indicator, question: Question, cut: Cut) -> Answer:
    """The answer to a question; one about an ended period, as of its end, is given once and kept. Raises `CannotAsk`."""
    is_kept = question.is_usual and WORKER not in question.filters  # of workers there are as many as somebody makes up
    if is_kept and (kept := statements.find(definition, question)) is not None:
        return kept
    with models.reading() as connection:
        given = answer(connection, definition, question, cut.until)
    if is_kept and not given.provisional and len(given.lines) <= MAX_LINES:
        return statements.keep(definition, question, given)
    return given


Wanted = list[tuple[Indicator, Question]]


def unstated(models: ReadModels, statements: Statements, zone: str, cut: Cut) -> Wanted:
    """What has to be said of months that have ended, and has not been."""
    with models.reading() as connection:
        months = list(_ended_months(connection, zone, cut.until))
    wanted = [
        (definition, Question.usual(month, zone, by=by))
        for month in months
        for definition in INDICATORS
        for by in MONTHLY
    ]
    return [each for each in wanted if statements.find(*each) is None]


def state_months(models: ReadModels, statements: Statements, zone: str, cut: Cut, progress: Progress) -> None:
    """State every month that has ended and has not been stated."""
    wanted = unstated(models, statements, zone, cut)
    for number, (definition, question) in enumerate(wanted, start=1):
        ask(models, statements, definition, question, cut)
        progress(number, len(wanted))


async def keep_stating(
    models: ReadModels, statements: Statements, cut: Callable[[], Cut], zone: Callable[[], str], ended: asyncio.Event
) -> None:
    """State months as they end, until ``ended``; what fails is tried again the next time."""
    stated = datetime.min.replace(tzinfo=UTC)
    while not ended.is_set():
        now = cut()
        month = month_of(now.until - SETTLING - MICROSECOND, zone()).start
        if month > stated:
            try:
                for each in await asyncio.to_thread(unstated, models, statements, zone(), now):
                    if not ended.is_set():
                        await asyncio.to_thread(ask, models, statements, *each, now)
                stated = month
            except Exception:
                logger.exception("months that have ended could not be stated; trying again")
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), LOOK_SECONDS)


def _ended_months(connection: Connection, zone: str, until: datetime) -> Iterator[Period]:
    first = connection.execute(select(func.min(fact_table.c.filed_at))).scalar()
    if first is None:
        return
    month = month_of(first, zone)
    while month.end + SETTLING < until:
        yield month
        month = month_of(month.end, zone)


def changed(models: ReadModels, statements: Statements) -> list[str]:
    """不变量 6 — the statements that would be answered otherwise today, or cannot be read, each by what was asked."""
    found = []
    for asked, said in statements.all():
        with models.reading() as connection:
            if (wrong := _wrong(connection, asked, said)) is not None:
                found.append(f"{asked}: {wrong}")
    return found


def _wrong(connection: Connection, asked: str, said: str) -> str | None:
    try:
        kept = Answer.model_validate_json(said)
        definition = indicator(kept.indicator, kept.version)
        question = Question.usual(period_of(kept.period, kept.zone), kept.zone, kept.filters, kept.by)
        again = answer(connection, definition, question, kept.complete_until)
    except (ValidationError, NoSuchIndicator, NoPeriod, CannotAsk, ZoneInfoNotFoundError) as error:
        return f"不能核对 · cannot be checked: {str(error).splitlines()[0]}"
    if _text(definition, question) != asked or again.as_of != kept.as_of:
        return "问答不符 · it is the answer to another question"
    return None if again.lines == kept.lines else "数值不符 · the numbers of today are others"
