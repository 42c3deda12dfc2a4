"""A log in memory, under a clock that somebody moves."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from streams.record import UNPARTITIONED, NewRecord, Record, Topic


class MemoryLog:
    """Append-only lists. One append is one write: a crash may come between any two."""

    def __init__(self, partitions: int, now: datetime) -> None:
        self.partitions = partitions
        self.now = now
        self._records: dict[tuple[Topic, int], list[Record]] = {
            (topic, number): [] for topic in Topic for number in range(self.partitions_of(topic))
        }

    def partitions_of(self, topic: Topic) -> int:
        """How many partitions a topic has."""
        return 1 if topic in UNPARTITIONED else self.partitions

    def append(self, record: NewRecord) -> Record:
        """Write one record."""
        records = self._records[record.topic, record.partition]
        written = Record(
            record.topic,
            record.partition,
            len(records),
            self.now,
            record.key,
            record.value,
            dict(record.headers),
        )
        records.append(written)
        return written

    def read(self, topic: Topic, partition: int, offset: int, limit: int) -> list[Record]:
        """Up to ``limit`` records from ``offset`` on."""
        return self._records[topic, partition][offset : offset + limit]

    def end(self, topic: Topic, partition: int) -> int:
        """The offset that the next record will have."""
        return len(self._records[topic, partition])

    def all(self, topic: Topic) -> list[Record]:
        """Every record of a topic, partition by partition."""
        return [record for number in range(self.partitions_of(topic)) for record in self._records[topic, number]]

    def digest(self) -> str:
        """One SHA-256 over what happened: every byte but the directory's, whose documents are what a run starts from."""
        hashed = hashlib.sha256()
        for where in sorted(self._records):
            if where[0] in (Topic.DIRECTORY_COMMANDS, Topic.DIRECTORY_EVENTS):
                continue
            for record in self._records[where]:
                line = [*where, record.offset, record.time.isoformat(), record.key, dict(record.headers)]
                hashed.update(json.dumps(line, ensure_ascii=False).encode() + record.value)
        return hashed.hexdigest()
