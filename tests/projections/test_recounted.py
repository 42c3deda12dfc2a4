"""Whatever is asked of whatever happened: the queries answer what counting by hand gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from infra.database import open_engine
from projections.indicators.answer import Line
from projections.indicators.definitions import INDICATORS, Indicator
from projections.indicators.period import period_of
from projections.indicators.question import BUCKETS, SETTLING, Question
from projections.projector import create_tables
from projections.schema import MICROSECOND
from tests.domain.smallville import CITY_DESK, COMMUNITY, DISTRICT, GRID_A, PANEL, STREET, TEAM
from tests.projections.histories import History
from tests.projections.lives import SHANGHAI, Lives
from tests.projections.recount import COUNTS, Key, Measures, World, heard, recount

ZONES = st.sampled_from(
    [SHANGHAI, "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]
)
PERIODS = st.sampled_from(["2026-03", "2026-04", "2026", "2026-03-02", "2026-W11", "2026-03-08/2026-03-29", "2027"])
WAYS = st.lists(
    st.sampled_from(["family", "category", "district", "community", "grid", "unit", "worker", *BUCKETS]),
    max_size=2,
    unique=True,
).map(tuple)
FILTERS = st.sampled_from(
    [
        {},
        *({"unit": unit} for unit in (GRID_A, TEAM, PANEL, CITY_DESK, COMMUNITY)),
        {"community": COMMUNITY},
        {"street": STREET, "family": "hazard"},
        {"district": DISTRICT},
        {"grid": GRID_A},
        {"category": "quarrel"},
        {"worker": "person-1"},
    ]
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Connection]:
    engine = open_engine(None)
    create_tables(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def as_counted(lines: Sequence[Line], name: str, by: Sequence[str]) -> dict[Key, Measures]:
    """The lines of an answer without what is nothing, in the words of the recount."""
    prefix = {"escalations": "to ", "missed_deadlines": "missed "}.get(name, "")
    found: dict[Key, Measures] = {
        tuple(line.key[name] for name in by): {prefix + m: n for m, n in line.measures.items() if n} for line in lines
    }
    return {key: measures for key, measures in found.items() if measures}


def check(lives: Lives, world: World, definition: Indicator, question: Question) -> None:
    answered = lives.ask(question, definition.name, definition.version, at=world.now)
    expected = {
        key: {measure: number for measure, number in measures.items() if number}
        for key, measures in recount(world, definition.name, definition.version, question).items()
    }
    said = as_counted(answered.lines, definition.name, question.by)
    assert said == {key: measures for key, measures in expected.items() if measures}, (definition, question)


USUAL: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (((), {}), (("worker",), {}), (("unit",), {}))
AROUND = st.sampled_from([-MICROSECOND, 0 * MICROSECOND, MICROSECOND, timedelta(hours=5)])


@pytest.mark.slow
@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    period=PERIODS,
    zone=ZONES,
    more=st.tuples(WAYS, FILTERS),
    moments=st.lists(st.tuples(st.integers(0, 99), AROUND), min_size=4, max_size=4),
    told=st.integers(0, 99),
    early=st.sampled_from([timedelta(0), timedelta(days=9)]),
)
def test_every_query_gives_what_counting_by_hand_gives(
    shared: Connection,
    seed: int,
    period: str,
    zone: str,
    more: tuple[tuple[str, ...], dict[str, str]],
    moments: list[tuple[int, timedelta]],
    told: int,
    early: timedelta,
) -> None:
    """As of the very instants of what happened, just before and just after, also asked ``early``; folded in two batches."""
    happened = History(seed).live()
    wanted, half = period_of(period, zone), told * len(happened) // 100
    instants = {happened[number * len(happened) // 100][0] + around for number, around in moments}
    with shared.begin_nested() as apart:
        lives = Lives(shared)
        lives.go_on(happened[:half])
        lives.go_on(happened[half:])
        for instant in {*instants, wanted.end + SETTLING}:
            world = heard(happened, instant)
            for definition, (by, filters) in product(INDICATORS, (*USUAL, more)):
                if {*by, *filters} <= set(definition.dimensions) and (definition.name, definition.version) in COUNTS:
                    check(lives, world, definition, Question(wanted, instant + early, zone, filters, by))
        apart.rollback()
