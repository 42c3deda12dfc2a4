"""Outcomes, positions, and what databases must agree on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from infra.database import open_engine
from projections import points
from projections.facts import fact_table
from projections.outcomes import OutcomeRow, OutcomeView, outcome_of
from projections.points import balance
from projections.projector import Move, Position, PositionMoved, apply_batch, create_tables, position
from projections.schema import Instant, metadata, upsert, upsert_into
from tests.domain.smallville import CASE
from tests.domain.specification import minute
from tests.projections.story import MARCH, awarded, stream


def answer(outcome: str, at: float, *, partition: int = 0, reason: str = "") -> OutcomeRow:
    events = (("beeline.dispatch.accepted.v1", CASE),) if outcome == "applied" else ()
    return OutcomeRow("c", "c", "commands", partition, int(at), outcome, reason, "", events, minute(at))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([answer("applied", 1), answer("empty", 2)], "applied"),  # the same command again
        ([answer("refused", 1), answer("applied", 2)], "applied"),  # refused ones are decided anew
        ([answer("refused", 1), answer("empty", 2)], "empty"),
    ],
)
def test_the_first_outcome_that_produced_events_stays(
    connection: Connection, answers: list[OutcomeRow], expected: str
) -> None:
    for one in answers:
        apply_batch(connection, [], [], [one])
    found = outcome_of(connection, "c")
    assert found is not None
    assert found.outcome == expected
    assert outcome_of(connection, "unknown") is None


@pytest.mark.parametrize("kinds", [("refused", "refused"), ("applied", "applied"), ("refused", "applied")])
def test_an_id_used_in_two_partitions_has_one_outcome_in_any_order(
    connection: Connection, kinds: tuple[str, str]
) -> None:
    answers = [answer(kinds[0], 1, reason="A"), answer(kinds[1], 1, partition=1, reason="B")]
    found: set[OutcomeView | None] = set()
    for order in permutations(answers):
        connection.execute(metadata.tables["outcome"].delete())
        apply_batch(connection, [], [], order)
        found.add(outcome_of(connection, "c"))
    assert len(found) == 1


def test_of_two_projectors_on_one_file_only_one_goes_on(tmp_path: Path) -> None:
    ours, theirs = open_engine(tmp_path / "read.db"), open_engine(tmp_path / "read.db")
    create_tables(ours)
    places = [Position(), Position(3, "owner", 2), Position(4, "owner", 3), Position(9, "other", 3)]
    points_of = stream(*(awarded(5, MARCH) for _ in range(2)), subject="r")
    for number, event in enumerate(points_of):
        with ours.begin() as connection:
            apply_batch(connection, [Move("rider", 0, places[number], places[number + 1])], [event])
        with pytest.raises(PositionMoved, match=r"rider\[0\]"), theirs.begin() as connection:
            apply_batch(connection, [Move("rider", 0, places[number], places[3])], [event])
    with theirs.begin() as connection:
        assert position(connection, "rider", 0) == places[2]
        assert balance(connection, "r").balance == 10
    ours.dispose()
    theirs.dispose()


def test_a_partition_that_moved_takes_its_batch_mates_back(connection: Connection) -> None:
    connection.commit()
    with connection.begin():
        apply_batch(connection, [Move("rider", 1, Position(), Position(1))], [])
    moves = [Move("rider", 0, Position(), Position(1)), Move("rider", 1, Position(), Position(5))]
    with pytest.raises(PositionMoved, match=r"rider\[1\]"), connection.begin():
        apply_batch(connection, moves, stream(awarded(5, MARCH), subject="r"))
    assert position(connection, "rider", 0) == Position()
    assert points.balance(connection, "r").balance == 0


def test_an_instant_comes_back_aware_and_in_utc(connection: Connection) -> None:
    local = datetime(2026, 3, 2, 9, 0, 0, 1, tzinfo=timezone(timedelta(hours=8)))
    upsert(connection, fact_table, [{"case_id": CASE, "filed_at": local}])
    found = connection.execute(select(fact_table.c.filed_at)).scalar_one()
    assert found == local
    assert found.tzinfo is UTC


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_speaks_postgresql_too(table: Table) -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    made = str(CreateTable(table).compile(dialect=dialect))
    instants = [column for column in table.columns if isinstance(column.type, Instant)]
    assert made.count("BIGINT") >= len(instants)
    written = str(upsert_into(table, "postgresql").compile(dialect=dialect))
    assert "ON CONFLICT (" in written
    assert "DO UPDATE SET" in written
