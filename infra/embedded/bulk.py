"""The embedded log, filled by one process in one thread at times that it is told: for histories, not for the present.

Records are read back at once by whoever appended them, and are on the disk after `flush`, many of them in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from infra.embedded.clock import EPOCH, microseconds, wall_micros
from infra.embedded.log import REMEMBER_CLOCK, LogReader, Position, Row, open_to_write, write
from streams.record import UNPARTITIONED, NewRecord, Record, Topic

INPUTS = (Topic.REPORT_EVENTS, Topic.CASE_COMMANDS, Topic.RIDER_COMMANDS, Topic.DIRECTORY_COMMANDS)
"""What the processors answer to."""


class BulkLog:
    """The one writing process's log. Its clock stands where it is put, and never goes back."""

    def __init__(self, folder: Path) -> None:
        """Open or make the log in ``folder``. Raises `LogInUse`, `LogUnavailable`."""
        with ExitStack() as undo:
            _, self._writer, self.reader = open_to_write(folder, None, undo)
            self._undo = undo.pop_all()
        self.partitions = self.reader.partitions
        self.end_at_opening = _last_input(self.reader)
        """When the last thing had happened in it; None in an empty log."""
        self.now = self.end_at_opening or EPOCH
        """Where the clock stands."""
        self._now = microseconds(self.now)
        self._waiting: list[Row] = []
        self._ends = {
            (topic, number): self.reader.end(topic, number)
            for topic in Topic
            for number in range(self.partitions_of(topic))
        }

    @property
    def waiting(self) -> int:
        """Records that are not on the disk yet."""
        return len(self._waiting)

    def step_to(self, instant: datetime) -> None:
        """Move the clock forward; backward it does not go."""
        if instant > self.now:
            self._now, self.now = microseconds(instant), instant

    def partitions_of(self, topic: Topic) -> int:
        """How many partitions a topic has."""
        return 1 if topic in UNPARTITIONED else self.partitions

    def end(self, topic: Topic, partition: int) -> int:
        """The offset that the next record will have."""
        return self._ends[topic, partition]

    def append(self, new: NewRecord) -> Record:
        """Give a record its place and its time."""
        where = (new.topic, new.partition)
        offset = self._ends[where]
        self._ends[where] = offset + 1
        headers = json.dumps(dict(new.headers), ensure_ascii=False)
        self._waiting.append((*where, offset, self._now, new.key, new.value, headers))
        return Record(*where, offset, self.now, new.key, new.value, new.headers, new.messages)

    def flush(self, positions: Iterable[Position]) -> None:
        """Write what waits and where everybody stands, as one. Raises `sqlite3.Error`: nothing was written."""
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            write(self._writer, self._waiting, list(positions))
            self._writer.execute(REMEMBER_CLOCK, (self._now - wall_micros(),))
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        self._waiting.clear()

    def close(self) -> None:
        """Close without writing: whoever wants what waits flushes before."""
        self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._undo.close()


def _last_input(reader: LogReader) -> datetime | None:
    """When the last thing happened in the log: not when somebody last opened it."""
    last = [
        records[0].time
        for topic in INPUTS
        for number in range(reader.partitions_of(topic))
        if (records := reader.read(topic, number, reader.end(topic, number) - 1, 1))
    ]
    return max(last, default=None)
