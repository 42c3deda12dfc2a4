"""Ledgers, boards, and what indicators are computed from."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, select

from domain.case import events as e
from domain.case.events import Stage
from domain.rider import PointsClawedBack, Reversal
from projections.facts import fact_table, miss_table, past_table, rating_table
from projections.points import balance, board, ledger
from projections.summary import summary
from tests.domain.smallville import (
    CASE,
    COMMUNITY,
    GRID_A,
    INSPECTOR,
    RIDER,
    ROUTE,
    STREET,
    WORKER,
)
from tests.domain.specification import (
    ACCEPT,
    CLOSED,
    DONE,
    FIRST,
    HANDLE,
    IN_QUEUE,
    SECOND,
    accepted,
    attached,
    closed,
    escalated,
    held,
    minute,
    missed,
)
from tests.domain.specification import report as a_report
from tests.projections.story import APRIL, MARCH, UP, awarded, fold, stream, submitted


def test_a_balance_is_the_sum_of_a_ledger_that_names_its_causes(connection: Connection) -> None:
    back = PointsClawedBack(
        case_id=CASE, points=7, reason="false_report", day=APRIL, reversals=(Reversal(report=FIRST.report, points=7),)
    )
    fold(connection, stream(awarded(2, MARCH), awarded(5, MARCH, "resolution"), back, subject="r"))
    entries = ledger(connection, "r")
    assert [(entry.points, entry.kind, entry.command_id) for entry in entries] == [
        (-7, "clawed_back", "command 3"),
        (5, "resolution", "command 2"),
        (2, "filing", "command 1"),
    ]
    account = balance(connection, "r")
    assert (account.balance, account.awarded, account.clawed_back) == (0, 7, 7)
    assert ledger(connection, "r", limit=1, before=entries[0].sequence) == entries[1:2]
    assert balance(connection, "nobody").balance == 0


def test_a_board_counts_local_months(connection: Connection) -> None:
    fold(connection, stream(awarded(4, MARCH), awarded(9, APRIL), subject="a"))
    fold(connection, stream(awarded(6, MARCH), subject="b"), stream(awarded(6, MARCH), subject="c"))
    assert [(place.rider, place.points) for place in board(connection, ["2026-03"])] == [("b", 6), ("c", 6), ("a", 4)]
    assert [(place.rider, place.points) for place in board(connection, ["2026-03", "2026-04"], limit=1)] == [("a", 13)]


def test_a_fact_keeps_the_first_and_the_last_of_what_happens_twice(connection: Connection) -> None:
    failed = e.InspectionFailed(by=INSPECTOR.person, reason="未清理", deadlines=(HANDLE,))
    life = [*DONE, failed, DONE[-1], e.InspectionPassed(by=INSPECTOR.person), closed()]
    fold(connection, stream(*life, e.OutcomeRated(by=RIDER.person, score=4), e.OutcomeRated(by="x", score=3)))
    row = connection.execute(select(fact_table)).mappings().one()
    assert (row["completed_at"], row["inspected_at"], row["failed_at"]) == (minute(5), minute(4), minute(4))
    assert (row["filed_at"], row["accepted_at"], row["closed_at"]) == (minute(0), minute(2), minute(7))
    assert (row["handler"], row["outcome"], row["on_time"]) == (WORKER.person, "resolved", True)
    places = [row[name] for name in ("grid", "unit", "community", "street", "district")]
    assert places == [GRID_A, GRID_A, *ROUTE.ancestors[:3]]
    (was,) = connection.execute(select(past_table)).mappings().all()
    assert (was["completed_at"], was["known_until"], row["known_from"]) == (minute(3), minute(5), minute(5))
    assert sorted(connection.execute(select(rating_table.c.score)).scalars()) == [3, 4]


def test_a_summary_counts_what_happened(connection: Connection) -> None:
    other = a_report("held", received=1)
    climbed = [*IN_QUEUE, missed(ACCEPT), escalated(COMMUNITY, Stage.ACCEPT, UP), missed(UP, COMMUNITY)]
    climbed += [escalated(STREET, Stage.ACCEPT, UP, source=COMMUNITY), attached(), accepted()]
    fold(connection, submitted(FIRST), submitted(SECOND), submitted(other))
    fold(connection, stream(*climbed), stream(held(other), subject=other.report))
    fold(connection, stream(*CLOSED, subject="cell00-9"), stream(awarded(5, MARCH), subject="r"))
    found = summary(connection)
    assert (found.reports, found.filed, found.attached, found.held) == (3, 2, 1, 1)
    assert (found.closed, found.closed_on_time, found.unmapped, found.points_issued) == (1, 1, 0, 5)
    assert found.missed == {"accept": 2}
    assert found.escalated == {"community": 1, "street": 1, "district": 0, "city": 0}
    misses = connection.execute(select(miss_table.c.level, miss_table.c.at)).all()
    assert Counter(level for level, _ in misses) == {"grid": 1, "community": 1}
