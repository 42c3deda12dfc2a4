"""指标 — every indicator over a million cases, beside one bare count of a month's cases."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random

from sqlalchemy import Connection, Table, func, select

from domain.net import Net
from infra.bench.city import SEED, city, described
from infra.bench.generate import START, generate
from infra.bench.result import Bench, Line, Section, percentile
from infra.database import ReadModels, open_engine
from infra.rebuilding import rebuild
from projections.facts import escalation_table, fact_table, miss_table, past_table, rating_table, report_table
from projections.indicators.answer import answer
from projections.indicators.definitions import INDICATORS, Indicator
from projections.indicators.period import period_of
from projections.indicators.question import SETTLING, CannotAsk, Question
from projections.points import ledger_table
from projections.projector import create_indexes, create_tables
from projections.schema import Instant

TABLES = (fact_table, past_table, report_table, miss_table, escalation_table, rating_table, ledger_table)
"""All that indicators are computed from."""
KEYS = ("case_id", "report", "rider")
"""Columns whose values are another copy's own."""
APART_MICROSECONDS = 7 * 60 * 1_000_000
"""How much later each copy happens than the one before."""

ZONE = "Asia/Shanghai"
FILTERS = ("", "", "district", "street", "community", "grid", "category")
BREAKDOWNS = ((), (), ("district",), ("street",), ("category",), ("day",))
KNOWLEDGE = (SETTLING, SETTLING, timedelta(days=90), timedelta(days=-10))
"""As of how long after the period's end: usually, and by somebody who looks back, or asks before it is over."""
AIM_MS = 200


def measure(bench: Bench) -> Section:
    """Facts of real cases, copied; then questions."""
    scale, file = bench.scale, bench.folder / "facts.db"
    bench.notes(f"{scale.real_cases:,} cases are generated and projected")
    _project(bench.folder / "real", scale.real_cases, whole=scale.whole_city)
    bench.notes(f"their facts are copied, {scale.copies} of each")
    _copy(ReadModels(bench.folder / "real"), file, scale.copies)
    bench.notes(f"{scale.questions} questions to each of {len(INDICATORS)} indicators")
    engine = open_engine(file)
    try:
        with engine.begin() as connection:
            asked = {f"{each.name} {each.version}": _ask(connection, each, scale.questions) for each in INDICATORS}
            bare = [_bare(connection, month) for month in range(1, 13)]
    finally:
        engine.dispose()
    return _section(city(whole=scale.whole_city), scale.real_cases * scale.copies, asked, bare)


def _project(data: Path, cases: int, *, whole: bool) -> None:
    generate(data, city(whole=whole), cases)
    models = ReadModels(data)
    rebuild(data, models)
    models.close()


def _copy(models: ReadModels, file: Path, copies: int) -> None:
    """A database with every row of the facts so many times, each with its own ids and some minutes after the last."""
    engine = open_engine(file, durable=False)
    create_tables(engine, indexes=False)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-500000")
        connection.execute("ATTACH ? AS real", (str(models.folder / str(models.live())),))
        for table in TABLES:
            connection.execute(_copying(table), (copies,))
    create_indexes(engine)
    engine.dispose()


def _copying(table: Table) -> str:
    """The statement that copies a table. The copies of a row stand together, as they would in order of time."""

    def of_a_copy(name: str, is_instant: bool) -> str:
        if name in KEYS:
            return f"\"{name}\" || printf('%03d', n)"
        return f'"{name}" + n * {APART_MICROSECONDS}' if is_instant else f'"{name}"'

    columns = ", ".join(of_a_copy(column.name, isinstance(column.type, Instant)) for column in table.columns)
    numbers = "WITH RECURSIVE copy (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM copy WHERE n + 1 < ?)"
    return f'INSERT INTO main."{table.name}" {numbers} SELECT {columns} FROM real."{table.name}" CROSS JOIN copy'


def _ask(connection: Connection, indicator: Indicator, number: int) -> list[float]:
    """Milliseconds of so many answers."""
    took: list[float] = []
    questions = _questions(connection, Random(f"questions|{SEED}"))
    while len(took) < number:
        question, began = next(questions), time.monotonic()
        try:
            answer(connection, indicator, question, question.as_of)
        except CannotAsk:  # its facts have no such breakdown
            continue
        took.append(1000 * (time.monotonic() - began))
    return took


def _questions(connection: Connection, random: Random) -> Iterator[Question]:
    """Of all sorts: any month, units of every level, broken down or not, as of the usual and of other instants."""
    known = {
        name: list(connection.execute(select(fact_table.c[name]).distinct().limit(500)).scalars())
        for name in sorted({*FILTERS} - {""})
    }
    while True:
        period = period_of(f"{START.year}-{random.randint(1, 12):02d}", ZONE)
        name = random.choice(FILTERS)
        filters = {name: str(random.choice(known[name]))} if name else {}
        yield Question(period, period.end + random.choice(KNOWLEDGE), ZONE, filters, random.choice(BREAKDOWNS))


def _bare(connection: Connection, month: int) -> float:
    period = period_of(f"{START.year}-{month:02d}", ZONE)
    due, closed = fact_table.c.handling_due, fact_table.c.closed_at
    query = select(func.count(), func.count(closed)).where(due >= period.start, due < period.end)
    began = time.monotonic()
    connection.execute(query).one()
    return 1000 * (time.monotonic() - began)


def _section(net: Net, cases: int, asked: dict[str, list[float]], bare: Sequence[float]) -> Section:
    worst = max(asked, key=lambda name: percentile(asked[name], 95))
    limit_is = "one bare count of a month's cases"
    every = [took for times in asked.values() for took in times]
    slowest = percentile(asked[worst], 95)
    return Section(
        title=f"指标 · Indicators over {cases:,} cases",
        method=f"The real projector made facts of generated cases on {described(net)}; their rows were copied inside SQLite, "
        "each copy with its own ids and seven minutes after the one before. Questions are drawn by a seed: a month; the "
        "city, a district, street, community, grid or category; whole, or by district, street, category or day; as of the "
        "month's end, three months later, or ten days before. None was answered from a stored statement.",
        held_back=HELD_BACK,
        lines=(
            Line("indicators, all answers, p50", "ms", percentile(every, 50), percentile(bare, 50), limit_is),
            Line(
                f"indicators, the slowest ({worst}), p95",
                "ms",
                slowest,
                percentile(bare, 95),
                limit_is,
                f"≤ {AIM_MS} ms",
                slowest <= AIM_MS,
            ),
        ),
        details=(
            ("indicator", "p50 ms", "p95 ms"),
            *((name, f"{percentile(each, 50):.0f}", f"{percentile(each, 95):.0f}") for name, each in asked.items()),
        ),
    )


HELD_BACK = (
    "What was open at an instant (backlog, on-time B) hangs on two times of each case and an index is in order of one, so "
    "that many cases are looked at for the few that were open. A month has some 83,000 cases: counts come out of an index "
    "that holds the answer, unless a unit or a category is asked for, which reads the rows; percentiles take every duration "
    "into Python; entries of ledgers look up the case that they belong to."
)
