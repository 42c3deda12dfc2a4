"""The embedded log: what it promises about order, faults, readers and time."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import stat
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.embedded import log as log_module
from infra.embedded.clock import Clock, microseconds
from infra.embedded.lock import LogInUse
from infra.embedded.log import TAIL_RECORDS, EmbeddedLog, LogReader, LogUnavailable, PartitionsFixed, Position
from streams.record import NewRecord, Topic

COMMANDS = Topic.CASE_COMMANDS
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def new(text: str, partition: int = 0, topic: Topic = COMMANDS) -> NewRecord:
    return NewRecord(topic, partition, f"键-{text}", text.encode(), {"id": text, "语": "中文"})


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[EmbeddedLog]:
    log = EmbeddedLog.open(folder)
    try:
        yield log
    finally:
        await log.close()


def values(log: EmbeddedLog | LogReader, partition: int = 0, offset: int = 0) -> list[str]:
    return [record.value.decode() for record in log.read(COMMANDS, partition, offset, 10_000)]


# -- order and content -----------------------------------------------------------


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
PLACES = st.sampled_from([(COMMANDS, 0), (COMMANDS, 3), (Topic.RIDER_EVENTS, 1), (Topic.DEAD_LETTERS, 0)])
RECORDS = st.builds(
    lambda place, *content: NewRecord(*place, *content),
    PLACES, TEXT, st.binary(max_size=9), st.dictionaries(TEXT, TEXT, max_size=2),
)  # fmt: skip


@settings(max_examples=25)
@given(st.lists(st.lists(RECORDS, max_size=4), max_size=8), st.integers(0, 5))
def test_what_is_read_is_what_was_appended_in_the_order_of_calls(made: list[list[NewRecord]], offset: int) -> None:
    expected: dict[tuple[Topic, int], list[NewRecord]] = defaultdict(list)

    async def run(folder: Path) -> None:
        async with opened(folder) as log:
            placed = await asyncio.gather(*(log.append(unit) for unit in made))
            with closing(LogReader(folder)) as reader:
                for unit, places in zip(made, placed, strict=True):
                    for record, place in zip(unit, places, strict=True):
                        where = (record.topic, record.partition)
                        assert (place.topic, place.partition, place.offset) == (*where, len(expected[where]))
                        expected[where].append(record)
                for where, records in expected.items():
                    assert log.end(*where) == reader.end(*where) == len(records)
                    read = log.read(*where, offset, 3)
                    assert read == reader.read(*where, offset, 3)
                    assert [each.offset for each in read] == list(range(len(records)))[offset : offset + 3]
                    assert [(each.key, each.value, each.headers) for each in read] == [
                        (each.key, each.value, each.headers) for each in records[offset : offset + 3]
                    ]

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_a_reader_far_behind_gets_the_same_records_as_one_at_the_end(tmp_path: Path) -> None:
    texts = [str(number) for number in range(TAIL_RECORDS + 50)]
    async with opened(tmp_path) as log:
        await log.append([new(text) for text in texts])
        assert values(log) == texts
        assert values(log, offset=49) == texts[49:]
        assert values(log, offset=TAIL_RECORDS) == texts[TAIL_RECORDS:]
        assert values(log, offset=len(texts)) == []


async def test_appends_that_wait_together_share_transactions(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        looks = 0

        def all_there() -> bool:
            nonlocal looks
            looks += 1
            return log.end(COMMANDS, 0) == 400

        watching = asyncio.create_task(log.wait_for_news(all_there))
        await asyncio.gather(*(log.append([new(str(number))]) for number in range(400)))
        await watching
        assert looks < 100
        assert values(log) == [str(number) for number in range(400)]


async def test_a_position_is_kept_with_what_its_consumer_sends(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        assert log.position("router", COMMANDS, 1) == (0, "")
        await log.append([new("a")], [Position("router", COMMANDS, 1, 7, "memo")])
        await log.append([], [Position("rewarder", COMMANDS, 1, 2), Position("router", COMMANDS, 1, 8, "next")])
        assert log.position("router", COMMANDS, 1) == (8, "next")
    with closing(LogReader(tmp_path)) as reader:
        assert reader.position("router", COMMANDS, 1) == (8, "next")
        assert reader.position("rewarder", COMMANDS, 1) == (2, "")


# -- one writer, many readers ------------------------------------------------------


async def test_a_second_writer_is_told_who_writes_and_what_to_do(tmp_path: Path) -> None:
    async with opened(tmp_path / "data"):
        with pytest.raises(LogInUse, match=rf"process {os.getpid()} writes .*stop it, or use another folder"):
            EmbeddedLog.open(tmp_path / "data")
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "data" / "log.lock").stat().st_mode) == 0o600
    async with opened(tmp_path / "data") as log:
        await log.append([new("a")])


async def test_the_number_of_partitions_is_fixed_when_the_log_is_made(tmp_path: Path) -> None:
    await EmbeddedLog.open(tmp_path, partitions=7).close()
    with pytest.raises(PartitionsFixed, match=r"has 7 partitions.*cannot have 8"):
        EmbeddedLog.open(tmp_path, partitions=8)
    async with opened(tmp_path) as log:
        assert (log.partitions_of(COMMANDS), log.partitions_of(Topic.DEAD_LETTERS)) == (7, 1)


async def test_a_reader_elsewhere_sees_each_commit_and_outlives_the_writer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no log"):
        LogReader(tmp_path)
    log = EmbeddedLog.open(tmp_path)
    with closing(LogReader(tmp_path)) as reader:
        for number in range(3):
            await log.append([new(str(number))])
            assert reader.end(COMMANDS, 0) == number + 1
        await log.close()
        assert (tmp_path / "log.db-wal").stat().st_size == 0
        assert values(reader) == ["0", "1", "2"]
    with closing(LogReader(tmp_path)) as reader:
        assert values(reader) == ["0", "1", "2"]


async def test_readers_and_the_writer_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        await log.append([new("a")])
        with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as slow:
            slow.execute("BEGIN")
            assert slow.execute("SELECT count(*) FROM record").fetchone() == (1,)
            await log.append([new("b")])
            assert slow.execute("SELECT count(*) FROM record").fetchone() == (1,)
            slow.execute("COMMIT")
            slow.execute("BEGIN IMMEDIATE")
            slow.execute("DELETE FROM record")
            with closing(LogReader(tmp_path)) as reader:
                assert values(reader) == ["a", "b"]
            slow.execute("ROLLBACK")


async def test_waiting_ends_when_the_record_is_there_and_not_before(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        waiting = [asyncio.create_task(log.wait_beyond(COMMANDS, 1, offset)) for offset in (0, 0, 1)]
        await log.append([new("elsewhere", 0)])
        await asyncio.sleep(0.01)
        assert [task.done() for task in waiting] == [False, False, False]
        await log.append([new("a", 1)])
        await asyncio.gather(*waiting[:2])
        await asyncio.sleep(0.01)
        assert not waiting[2].done()
        await log.append([new("b", 1)])
        await waiting[2]
        await log.wait_beyond(COMMANDS, 1, 1)


# -- faults ------------------------------------------------------------------------


async def test_a_full_disk_loses_nothing_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        await log.append([new("before")])
        (pages,) = log._writer.execute("PRAGMA page_count").fetchone()
        log._writer.execute(f"PRAGMA max_page_count = {pages + 2}")
        big = NewRecord(COMMANDS, 0, "k", b"x" * 100_000)
        with pytest.raises(LogUnavailable, match="full"):
            await log.append([new("small", 1), big], [Position("router", COMMANDS, 0, 9)])
        with closing(LogReader(tmp_path)) as reader:
            assert (values(reader), values(reader, 1)) == (["before"], [])
            assert reader.position("router", COMMANDS, 0) == (0, "")
        log._writer.execute("PRAGMA max_page_count = 1000000")
        places = await log.append([new("after"), new("after", 1)])
        assert [place.offset for place in places] == [1, 0]
        assert (values(log), values(log, 1)) == (["before", "after"], ["after"])


async def test_a_file_locked_by_somebody_is_an_outage_and_not_a_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "BUSY_TIMEOUT_SECONDS", 0.05)
    async with opened(tmp_path) as log:
        with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as foreign:
            foreign.execute("BEGIN IMMEDIATE")
            failed = await asyncio.gather(*(log.append([new(str(n))]) for n in range(3)), return_exceptions=True)
            assert [type(each) for each in failed] == [LogUnavailable] * 3
            assert "locked" in str(failed[0])
            foreign.execute("ROLLBACK")
        assert (await log.append([new("after")]))[0].offset == 0
        assert values(log) == ["after"]


async def test_a_file_that_cannot_be_opened_is_named_and_the_lock_is_given_back(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(LogUnavailable, match="cannot be opened: file is not a database"):
        EmbeddedLog.open(tmp_path)
    (tmp_path / "log.db").unlink()
    await EmbeddedLog.open(tmp_path).close()


async def test_more_appends_than_may_wait_are_turned_away_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MAX_WAITING_UNITS", 5)
    async with opened(tmp_path) as log:
        results = await asyncio.gather(*(log.append([new(str(n))]) for n in range(500)), return_exceptions=True)
        taken = [str(n) for n, each in enumerate(results) if not isinstance(each, BaseException)]
        assert len(taken) < 500
        assert all(isinstance(each, (list, LogUnavailable)) for each in results)
        assert values(log) == taken


@pytest.mark.timeout(10)
async def test_a_record_for_a_partition_that_is_not_there_is_refused_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        with pytest.raises(ValueError, match="has no partition 4"):
            await log.append([new("a", 4)])
        await log.append([new("b")])
        assert values(log) == ["b"]


@pytest.mark.timeout(10)
async def test_a_record_that_cannot_be_stored_does_not_stop_the_writer(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        with pytest.raises(LogUnavailable, match="surrogates"):
            await log.append([new("a"), NewRecord(COMMANDS, 0, "k", b"", {"id": "\ud800"})])
        await log.append([new("b")])
        assert values(log) == ["b"]


@pytest.mark.timeout(10)
async def test_a_closed_log_has_written_what_waited_and_takes_no_more(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path)
    waiting = [asyncio.create_task(log.append([new(str(number))])) for number in range(50)]
    await asyncio.sleep(0)
    closing_down = asyncio.create_task(log.close())
    await asyncio.sleep(0)
    with pytest.raises(LogUnavailable, match="closed"):
        await log.append([new("late")])
    await closing_down
    assert [place.offset for (place,) in await asyncio.gather(*waiting)] == list(range(50))
    with closing(LogReader(tmp_path)) as reader:
        assert reader.end(COMMANDS, 0) == 50


async def test_who_stops_waiting_does_not_undo_an_append(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        gone = asyncio.create_task(log.append([new("a")]))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await log.append([new("b")]))[0].offset == 1
        assert values(log) == ["a", "b"]


# -- time --------------------------------------------------------------------------


class Wall:
    """A machine's clock that tests set."""

    def __init__(self, at: datetime) -> None:
        self.micros = microseconds(at)

    def __call__(self) -> int:
        return self.micros

    def move(self, **by: int) -> None:
        self.micros += timedelta(**by) // timedelta(microseconds=1)


@given(st.lists(st.one_of(st.integers(-(10**9), 10**9), st.sampled_from(["run", "stand", "step"])), max_size=30))
def test_the_clock_never_goes_back_whatever_the_machine_does(moves: Sequence[int | str]) -> None:
    wall = Wall(NOON)
    clock = Clock(wall=wall)
    before = clock.now()
    for move in moves:
        match move:
            case "run":
                clock.run()
            case "stand":
                clock.stand_at(NOON)
                assert clock.is_stepped
            case "step" if clock.is_stepped:
                clock.step_to(clock.now() + timedelta(hours=1))
                clock.step_to(NOON)
            case "step":
                with pytest.raises(RuntimeError, match="the clock runs"):
                    clock.step_to(clock.now() + timedelta(hours=1))
            case int():
                wall.micros += move
                assert not clock.is_stepped or clock.now() == before
        before, earlier = clock.now(), before
        assert before >= earlier


def test_two_threads_that_ask_at_once_do_not_turn_the_clock_back() -> None:
    asking, answered, machine = threading.Event(), threading.Event(), iter([2, 1])

    def wall() -> int:
        if threading.current_thread() is not slow:
            return next(machine)
        asking.set()
        answered.wait(0.05)  # time for the other to come between, if it can
        return 1

    clock = Clock(wall=wall)
    slow = threading.Thread(target=clock.now_micros)
    slow.start()
    asking.wait()
    first = clock.now_micros()
    answered.set()
    slow.join()
    assert clock.now_micros() >= first


async def test_a_reopened_log_counts_on_and_its_times_never_go_back(tmp_path: Path) -> None:
    wall, places = Wall(NOON), []
    for hours in (1, -5, 2):
        log = EmbeddedLog.open(tmp_path, wall=wall)
        places += await log.append([new("a")])
        wall.move(hours=hours)
        places += await log.append([new("b"), new("c", 1)])
        await log.close()
    assert [place.offset for place in places if place.partition == 0] == list(range(6))
    assert [place.time for place in places] == [NOON] + [NOON + timedelta(hours=1)] * 8


async def test_a_log_whose_clock_was_stepped_goes_on_from_there_at_the_normal_rate(tmp_path: Path) -> None:
    wall = Wall(NOON)
    log = EmbeddedLog.open(tmp_path, stepped_from=NOON - timedelta(days=30), wall=wall)
    (place,) = await log.append([new("a")])
    assert place.time == NOON - timedelta(days=30)
    wall.move(minutes=1)
    log.clock.step_to(NOON - timedelta(days=29))
    await log.close()
    wall.move(minutes=10)
    log = EmbeddedLog.open(tmp_path, wall=wall)
    assert not log.clock.is_stepped
    assert log.clock.now() == NOON - timedelta(days=29) + timedelta(minutes=10)
    wall.move(minutes=5)
    assert (await log.append([new("b")]))[0].time == NOON - timedelta(days=29) + timedelta(minutes=15)
    await log.close()


async def test_a_commit_that_fails_takes_back_all_of_it_also_where_the_clock_stands(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path, stepped_from=NOON + timedelta(days=3), wall=Wall(NOON))
    log.clock.run()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "log.db-wal").stat().st_size, limit[1]))
    try:
        with pytest.raises(LogUnavailable, match="disk I/O error"):
            await log.append([new("lost")], [Position("router", COMMANDS, 0, 1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    await log.append([new("a")])
    with closing(LogReader(tmp_path)) as reader:
        assert values(reader) == ["a"]
        assert reader.position("router", COMMANDS, 0) == (0, "")
        assert reader.clock_offset() == timedelta(days=3) // timedelta(microseconds=1)
    await log.close()
