"""The read models depend on the events and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from domain.case import events as e
from domain.case.state import OPEN, Cell, evolve
from domain.ids import cell_of
from domain.report import ReportSubmitted
from domain.rider import PointsAwarded, PointsClawedBack, RewardsSettled
from infra.database import open_engine
from infra.projecting import SOURCES, Batch, apply, batch_of
from infra.simulator.run import Simulation
from projections import cases, facts, points, queues, reports
from projections.cases import case_file, case_table
from projections.points import balance_table, ledger_table
from projections.projector import Move, Position, PositionMoved, apply_batch, create_tables, digest, position
from projections.queues import item_table, open_by_unit, queue, seat_table
from projections.reports import report_table
from projections.schema import metadata
from streams.record import Record

Partition = list[Record]


@pytest.fixture(scope="module")
def partitions() -> list[Partition]:
    """The log of a simulated day, as the projector reads it."""
    simulation = Simulation(11, 1.0, None)
    assert simulation.run().ok
    log = simulation.log
    numbers = [(source, number) for source in SOURCES for number in range(log.partitions_of(source))]
    return [records for source, number in numbers if (records := log.read(source, number, 0, 100_000))]


def projected(partitions: list[Partition], random: Random, largest: int) -> tuple[dict[str, str], Connection]:
    """Project in batches of any size, in any order among partitions."""
    engine = open_engine(None)
    create_tables(engine)
    left = [(records, 0, Position()) for records in partitions]
    while left:
        index = random.randrange(len(left))
        records, at, place = left.pop(index)
        piece = records[at : at + random.randint(1, largest)]
        batch = batch_of(place, piece)
        with engine.begin() as connection:
            apply(connection, [batch])
        if at + len(piece) < len(records):
            left.append((records, at + len(piece), batch.move.after))
    connection = engine.connect()
    return digest(connection), connection


@pytest.fixture(scope="module")
def whole(partitions: list[Partition]) -> Iterator[Connection]:
    connection = projected(partitions, Random(0), 10_000)[1]
    yield connection
    connection.close()


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), largest=st.sampled_from([3, 40, 400]))
def test_any_cut_into_batches_and_any_interleaving_give_the_same_rows(
    partitions: list[Partition], whole: Connection, seed: int, largest: int
) -> None:
    again, connection = projected(partitions, Random(seed), largest)
    connection.close()
    assert again == digest(whole)


def test_partitions_in_one_transaction_give_the_same_rows(partitions: list[Partition], whole: Connection) -> None:
    engine = open_engine(None)
    create_tables(engine)
    batches: list[Batch] = [batch_of(Position(), records) for records in partitions]
    with engine.begin() as connection:
        apply(connection, batches)
        assert digest(connection) == digest(whole)


def test_a_position_that_somebody_else_moved_stops_the_batch_before_anything_is_written() -> None:
    engine = open_engine(None)
    create_tables(engine)
    first, second = Position(), Position(5, "owner", 3)
    with engine.begin() as connection:
        apply_batch(connection, [Move("topic", 0, first, second)], [])
    with pytest.raises(PositionMoved, match=r"topic\[0\]"), engine.begin() as connection:
        apply_batch(connection, [Move("topic", 0, first, Position(9))], [])
    with engine.begin() as connection:
        assert position(connection, "topic", 0) == second


IGNORED: dict[ModuleType, set[type[e.CaseEvent]]] = {
    cases: {e.ReportHeld, e.ReportDeclined},
    reports: {kind for kind in e.CaseEvent.__subclasses__() if not kind.__name__.startswith("Report")} - {e.CaseFiled},
    queues: {e.ReportDetached, e.InspectionPassed, e.OutcomeRated, e.NoteAdded},
    facts: {
        e.ReportDeclined,
        e.ReportDetached,
        e.ReportWithdrawn,
        e.NoticeIssued,
        e.NoteAdded,
        e.CaseArchived,
        e.ShelvingRequested,
        e.ShelvingRejected,
    },
}
"""What says nothing to a read model of reports and cases, by decision."""


@pytest.mark.parametrize(("read_model", "ignored"), IGNORED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_every_event_of_a_case_is_handled_or_ignored_by_decision(
    read_model: ModuleType, ignored: set[type[e.CaseEvent]]
) -> None:
    handled = set(read_model.HANDLES) - {ReportSubmitted}
    assert handled.isdisjoint(ignored)
    assert handled | ignored == set(e.CaseEvent.__subclasses__())


def test_the_ledger_has_the_entries_and_no_housekeeping() -> None:
    assert {PointsAwarded, PointsClawedBack} == points.HANDLES
    assert RewardsSettled not in points.HANDLES


def test_every_balance_is_the_sum_of_its_ledger(whole: Connection) -> None:
    sums = dict(whole.execute(select(ledger_table.c.rider, func.sum(ledger_table.c.points)).group_by("rider")).all())
    balances = dict(whole.execute(select(balance_table.c.rider, balance_table.c.balance)).all())
    assert balances == sums
    assert sum(balances.values()) > 0


def test_an_open_case_stands_in_the_queue_of_its_owner_and_of_everyone_above(whole: Connection) -> None:
    rows = whole.execute(select(case_table)).mappings().all()
    owners = dict(whole.execute(select(seat_table.c.item, seat_table.c.unit).where(seat_table.c.role == "owner")).all())
    for row in rows:
        is_open = row["status"] not in ("closed", "voided")
        assert (row["case_id"] in owners) == is_open
        if is_open:
            assert owners[row["case_id"]] == row["owner"]
    city = max(open_by_unit(whole).items(), key=lambda found: found[1])
    assert city[1] == len(owners)
    assert {item.item for item in queue(whole, city[0], subtree=True, limit=10_000)} >= set(owners)


def test_a_queue_is_in_order_of_what_is_due_and_pages_without_a_gap(whole: Connection) -> None:
    unit = max(open_by_unit(whole).items(), key=lambda found: found[1])[0]
    everything = queue(whole, unit, subtree=True, limit=10_000)
    due = [item.due for item in everything if item.due is not None]
    assert due == sorted(due)
    paged, after = [], None
    while page := queue(whole, unit, subtree=True, limit=7, after=after):
        paged += page
        after = queues.cursor_of(page[-1])
    assert paged == everything


def test_a_held_report_leaves_the_queue_when_it_is_decided(whole: Connection) -> None:
    held = set(whole.execute(select(report_table.c.report).where(report_table.c.status == "held")).scalars())
    waiting = set(whole.execute(select(item_table.c.item).where(item_table.c.kind == "held_report")).scalars())
    assert waiting == held


def test_case_files_and_queues_say_what_the_cells_say(partitions: list[Partition], whole: Connection) -> None:
    cells: dict[str, Cell] = {}
    for records in partitions:
        for event in batch_of(Position(), records).events:
            if isinstance(event.data, e.CaseEvent):
                name = cell_of(event.subject)
                evolve(cells.setdefault(name, Cell(name)), event)
    states = [case for cell in cells.values() for case in cell.cases.values()]
    lines = {row["item"]: row for row in whole.execute(select(item_table)).mappings()}
    assert len(states) > 40
    for case in states:
        row = case_file(whole, case.id)
        assert row is not None
        assert (row.status, row.holder, row.reports) == (case.status.value, case.holder, len(case.reports))
        assert (row.owner, row.owner_level) == (case.owner.unit, case.owner.level.value)
        assert (row.deadlines, row.handling_due) == (case.deadlines, case.handling_due)
        assert (row.returns, row.window_ends) == (case.returns, case.window_ends)
        line = lines[case.id]
        assert (line["unit"], tuple(line["ancestors"])) == (case.owner.unit, case.ancestors_of_owner())
        if case.status in OPEN:
            assert (line["status"], line["holder"]) == (case.status.value, case.holder)
            assert line["due"] == min((deadline.due for deadline in case.deadlines), default=None)


def test_no_column_holds_plain_text_of_a_person(whole: Connection) -> None:
    remark = whole.execute(select(report_table.c.description)).scalars().first()
    assert set(remark or {}) == {"person", "cipher"}
    assert "phone" not in {column.name for table in metadata.tables.values() for column in table.columns}
