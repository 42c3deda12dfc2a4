"""The embedded log: append-only topics in one SQLite file, with the offsets, headers and record times that Kafka would give.

One thread writes. It takes all that waits in its queue into one transaction, and only after SQLite has synced it
(``synchronous=FULL``) does anybody hear that a record is in the log. Readers have connections of their own (WAL), so
they neither wait for the writer nor hold it up.
"""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from infra.embedded.clock import Clock, instant_of, wall_micros
from infra.embedded.lock import FileLock
from streams.record import UNPARTITIONED, NewRecord, Record, Topic

logger = logging.getLogger(__name__)

DEFAULT_PARTITIONS = 4
MAX_WAITING_UNITS = 10_000
"""Appends that may wait for the writer; more are told that the log is not available."""
MAX_GROUP_RECORDS = 1_000
"""Records of one transaction."""
TAIL_RECORDS = 500
"""Newest records of each partition that are kept in memory: who follows the log reads no file."""
BUSY_TIMEOUT_SECONDS = 1.0
"""How long a write waits for somebody else's lock on the file."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
    time INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, headers TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS record_place ON record (topic, partition, "offset");
CREATE TABLE IF NOT EXISTS position (
    consumer TEXT, topic TEXT, partition INTEGER, next_offset INTEGER NOT NULL, memo TEXT NOT NULL,
    PRIMARY KEY (consumer, topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
REMEMBER_CLOCK = "INSERT OR REPLACE INTO meta VALUES ('clock_offset', ?)"


class LogUnavailable(RuntimeError):
    """The log cannot take records now (disk full, file locked, input/output error, closed); nothing was written."""


class PartitionsFixed(ValueError):
    """The number of partitions was fixed when the log was made."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record came to lie, and when."""

    topic: Topic
    partition: int
    offset: int
    time: datetime


@dataclass(frozen=True, slots=True)
class Position:
    """Where a consumer stands in its source, with a memo of its own; written with what it sends."""

    consumer: str
    topic: Topic
    partition: int
    next_offset: int
    memo: str = ""


@dataclass(slots=True)
class _Unit:
    """What is written whole or not at all, and who waits for it."""

    records: Sequence[NewRecord]
    positions: Sequence[Position]
    done: asyncio.Future[list[Place]]
    loop: asyncio.AbstractEventLoop


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS, check_same_thread=False)


Row = tuple[Topic, int, int, int, str, bytes, str]
"""A record as it is stored: topic, partition, offset, time in microseconds, key, value, headers in JSON."""


def write(connection: sqlite3.Connection, rows: Sequence[Row], positions: Sequence[Position]) -> None:
    """Insert records and positions, in the transaction of the moment."""
    connection.executemany(
        'INSERT INTO record (topic, partition, "offset", time, key, value, headers) VALUES (?, ?, ?, ?, ?, ?, ?)', rows
    )
    connection.executemany(
        "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?, ?)",
        [(each.consumer, each.topic, each.partition, each.next_offset, each.memo) for each in positions],
    )


class LogReader:
    """Reads a log, also one that another process writes."""

    def __init__(self, folder: Path) -> None:
        path = folder / "log.db"
        if not path.exists():
            raise FileNotFoundError(f"{folder} 中没有日志 · there is no log in {folder}: start `beeline serve` first")
        try:
            self._connection = connect(path, read_only=True)
            self.partitions = self._meta("partitions") or DEFAULT_PARTITIONS
        except sqlite3.Error as error:
            raise LogUnavailable(f"{path}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def partitions_of(self, topic: Topic) -> int:
        """How many partitions a topic has."""
        return 1 if topic in UNPARTITIONED else self.partitions

    def read(self, topic: Topic, partition: int, offset: int, limit: int) -> list[Record]:
        """Up to ``limit`` records from ``offset`` on, in order."""
        rows = self._connection.execute(
            'SELECT "offset", time, key, value, headers FROM record'
            ' WHERE topic = ? AND partition = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?',
            (topic, partition, offset, limit),
        )
        return [
            Record(topic, partition, at, instant_of(time), key, value, json.loads(headers))
            for at, time, key, value, headers in rows
        ]

    def end(self, topic: Topic, partition: int) -> int:
        """The offset that the next record will have."""
        row = self._connection.execute(
            'SELECT max("offset") FROM record WHERE topic = ? AND partition = ?', (topic, partition)
        ).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def position(self, consumer: str, topic: Topic, partition: int) -> tuple[int, str]:
        """Where a consumer stands, and its memo; (0, "") where it has never been."""
        row = self._connection.execute(
            "SELECT next_offset, memo FROM position WHERE consumer = ? AND topic = ? AND partition = ?",
            (consumer, topic, partition),
        ).fetchone()
        return (int(row[0]), str(row[1])) if row else (0, "")

    def last_micros(self) -> int:
        """The time of the newest record, in microseconds since 1970 UTC; 0 in an empty log."""
        row = self._connection.execute("SELECT time FROM record ORDER BY id DESC LIMIT 1").fetchone()
        return int(row[0]) if row else 0

    def _meta(self, name: str) -> int:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def clock_offset(self) -> int:
        """How far the log's clock is from the machine's, in microseconds."""
        return self._meta("clock_offset")


def open_to_write(
    folder: Path, partitions: int | None, undo: ExitStack
) -> tuple[FileLock, sqlite3.Connection, LogReader]:
    """Lock, open and if need be make the log in ``folder``; ``undo`` closes it all.

    Raises `LogInUse`, `PartitionsFixed`, `LogUnavailable`.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / "log.lock")
    undo.callback(lock.release)
    try:
        writer = connect(folder / "log.db", read_only=False)
        undo.callback(writer.close)
        writer.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {SCHEMA}")
        writer.execute("INSERT OR IGNORE INTO meta VALUES ('partitions', ?)", (partitions or DEFAULT_PARTITIONS,))
        reader = LogReader(folder)
        undo.callback(reader.close)
    except sqlite3.Error as error:
        raise LogUnavailable(f"{folder} 中的日志打不开 · the log in {folder} cannot be opened: {error}") from error
    if partitions not in (None, reader.partitions):
        raise PartitionsFixed(
            f"the log in {folder} has {reader.partitions} partitions, and keys hang on them: it cannot have {partitions}"
        )
    return lock, writer, reader


class EmbeddedLog:
    """The one writing process's log. Use it from one event loop."""

    def __init__(self, lock: FileLock, writer: sqlite3.Connection, reader: LogReader, clock: Clock) -> None:
        self.clock = clock
        self._lock, self._writer, self._reader = lock, writer, reader
        self.partitions = self._reader.partitions
        self._ends = {
            (topic, number): self._reader.end(topic, number)
            for topic in Topic
            for number in range(self.partitions_of(topic))
        }
        self._committed = dict(self._ends)
        self._waiting: queue.Queue[_Unit | None] = queue.Queue(MAX_WAITING_UNITS)
        self._news: dict[tuple[Topic, int], asyncio.Event] = {}
        self._any_news = asyncio.Event()
        self._tails: dict[tuple[Topic, int], deque[Record]] = {}
        self._remembered_offset = self._reader.clock_offset()
        self._in_flight: deque[int] = deque()
        """For each transaction that nobody has heard of yet, the earliest time that its records may bear."""
        self._closed = False
        self._thread = threading.Thread(target=self._write_forever, name="log-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        partitions: int | None = None,
        stepped_from: datetime | None = None,
        wall: Callable[[], int] = wall_micros,
    ) -> EmbeddedLog:
        """Open or make the log in ``folder``. Raises `LogInUse`, `PartitionsFixed`, `LogUnavailable`.

        ``stepped_from`` stops the log's clock there (or later, where the log has gone further) until it is stepped.
        ``wall`` is the machine's clock, in microseconds since 1970 UTC.
        """
        with ExitStack() as undo:
            lock, writer, reader = open_to_write(folder, partitions, undo)
            clock = Clock(offset_micros=reader.clock_offset(), last_micros=reader.last_micros(), wall=wall)
            if stepped_from is not None:
                clock.stand_at(stepped_from)
            log = cls(lock, writer, reader, clock)
            undo.pop_all()
        return log

    async def close(self) -> None:
        """Write what waits, then close; from here on nothing is taken."""
        self._closed = True
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()
        self._writer.close()
        self._lock.release()

    # -- read ----------------------------------------------------------------

    def partitions_of(self, topic: Topic) -> int:
        """How many partitions a topic has."""
        return 1 if topic in UNPARTITIONED else self.partitions

    def read(self, topic: Topic, partition: int, offset: int, limit: int) -> list[Record]:
        """Up to ``limit`` records from ``offset`` on, in order; the newest ones are still in memory."""
        tail = self._tails.get((topic, partition))
        if tail and tail[0].offset <= offset:
            start = offset - tail[0].offset
            return list(islice(tail, start, start + limit))
        return self._reader.read(topic, partition, offset, limit)

    def position(self, consumer: str, topic: Topic, partition: int) -> tuple[int, str]:
        """Where a consumer stands, and its memo."""
        return self._reader.position(consumer, topic, partition)

    def end(self, topic: Topic, partition: int) -> int:
        """The offset that the next record will have."""
        return self._ends[topic, partition]

    def in_sight_until(self) -> datetime:
        """Every record from before then can be read: what is on its way to the disk bears a time from then on."""
        now = self.clock.now_micros()
        return instant_of(min(now, self._in_flight[0]) if self._in_flight else now)

    async def wait_beyond(self, topic: Topic, partition: int, offset: int) -> None:
        """Return once the log holds a record at ``offset``."""
        while self._ends[topic, partition] <= offset:
            news = self._news.setdefault((topic, partition), asyncio.Event())
            news.clear()
            await news.wait()

    async def wait_for_news(self, condition: Callable[[], bool]) -> None:
        """Return once ``condition`` holds; asked now and after every transaction."""
        while not condition():
            self._any_news.clear()
            await self._any_news.wait()

    # -- write ---------------------------------------------------------------

    async def append(self, records: Sequence[NewRecord], positions: Sequence[Position] = ()) -> list[Place]:
        """Write ``records`` and ``positions`` as one; returns when they are safe. Raises `LogUnavailable`: nothing was.

        A caller that is cancelled takes nothing back. Raises `ValueError` for a partition that the topic has not.
        """
        for record in records:
            if (record.topic, record.partition) not in self._ends:
                raise ValueError(f"{record.topic} has no partition {record.partition}")
        if self._closed:
            raise LogUnavailable("日志已关闭 · the log is closed")
        loop = asyncio.get_running_loop()
        unit = _Unit(records, positions, loop.create_future(), loop)
        try:
            self._waiting.put_nowait(unit)
        except queue.Full as error:
            raise LogUnavailable("too many records wait to be written") from error
        return await asyncio.shield(unit.done)

    def _write_forever(self) -> None:
        stopping = False
        while not stopping:
            group = [self._waiting.get()]
            size = len(group[0].records) if group[0] else 0
            while size < MAX_GROUP_RECORDS and group[-1] is not None:
                try:
                    group.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
                size += len(group[-1].records) if group[-1] else 0
            stopping = group[-1] is None
            units = [unit for unit in group if unit is not None]
            if units:
                self._write_group(units)
        self._leave()

    def _leave(self) -> None:
        """What the next opening finds: where the clock stands, and every record in the one file."""
        try:
            self._writer.execute(REMEMBER_CLOCK, (self.clock.offset_micros,))
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            logger.warning("the log could not be tidied up; no record is lost: %s", error)

    def _write_group(self, units: list[_Unit]) -> None:
        """One transaction: all of it, or nothing."""
        ends, clock_offset = dict(self._committed), self.clock.offset_micros
        self._in_flight.append(self.clock.now_micros())
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                places = [self._insert(unit, ends) for unit in units]
                if clock_offset != self._remembered_offset:
                    self._writer.execute(REMEMBER_CLOCK, (clock_offset,))
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
        except Exception as error:  # whatever it was: the thread has to live on, or nobody would ever hear again
            logger.error("the log could not be written: %r", error)
            self._in_flight.pop()
            for unit in units:
                unit.loop.call_soon_threadsafe(_fail, unit.done, LogUnavailable(str(error)))
            return
        self._committed, self._remembered_offset = ends, clock_offset
        units[0].loop.call_soon_threadsafe(self._announce, units, places, ends)

    def _insert(self, unit: _Unit, ends: dict[tuple[Topic, int], int]) -> list[Place]:
        now = self.clock.now_micros()
        at, rows, places = instant_of(now), [], []
        for record in unit.records:
            where = (record.topic, record.partition)
            offset = ends[where]
            ends[where] = offset + 1
            headers = json.dumps(dict(record.headers), ensure_ascii=False)
            rows.append((*where, offset, now, record.key, record.value, headers))
            places.append(Place(*where, offset, at))
        write(self._writer, rows, unit.positions)
        return places

    def _announce(self, units: list[_Unit], places: list[list[Place]], ends: dict[tuple[Topic, int], int]) -> None:
        for where, end in ends.items():
            if self._ends[where] != end:
                self._ends[where] = end
                if where in self._news:
                    self._news[where].set()
        self._in_flight.popleft()
        self._any_news.set()
        for unit, placed in zip(units, places, strict=True):
            for new, place in zip(unit.records, placed, strict=True):
                where = (place.topic, place.partition)
                tail = self._tails.setdefault(where, deque(maxlen=TAIL_RECORDS))
                tail.append(Record(*where, place.offset, place.time, new.key, new.value, new.headers, new.messages))
            if not unit.done.done():
                unit.done.set_result(placed)


def _fail(done: asyncio.Future[list[Place]], error: LogUnavailable) -> None:
    if not done.done():
        done.set_exception(error)
