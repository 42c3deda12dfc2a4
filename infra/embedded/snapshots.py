"""Snapshots of the processors' states: a cache beside the log. Without it, or with another state schema, the log is folded."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from domain.message import instant_text
from streams.filter import CommitFilter
from streams.processor import Keyed, Processor
from streams.protocol import PartitionOwner, PartitionState

K = TypeVar("K")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS place (
    processor TEXT, partition INTEGER, fingerprint TEXT, next_record INTEGER, owner TEXT, expected INTEGER,
    suspended INTEGER, last_command TEXT, effective_at TEXT, PRIMARY KEY (processor, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS key_state (
    processor TEXT, partition INTEGER, key TEXT, body BLOB, PRIMARY KEY (processor, partition, key)) WITHOUT ROWID;
"""


class Snapshots:
    """One SQLite file; a snapshot of a partition and its place become true in one transaction."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_SCHEMA}")
        self._adapters: dict[str, TypeAdapter[Any]] = {}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def load(self, processor: Processor[K], partition: int) -> PartitionState[K]:
        """The state at the last snapshot; an empty one where there is none, or where its schema is not today's."""
        where = (processor.name, partition)
        place = self._connection.execute(
            "SELECT fingerprint, next_record, owner, expected, suspended, last_command, effective_at"
            " FROM place WHERE processor = ? AND partition = ?",
            where,
        ).fetchone()
        if place is None or place[0] != self.fingerprint(processor):
            return PartitionState()
        adapter = self._adapter(processor)
        keys = self._connection.execute(
            "SELECT key, body FROM key_state WHERE processor = ? AND partition = ?", where
        ).fetchall()
        return PartitionState(
            keys={key: adapter.validate_json(body) for key, body in keys},
            filter=CommitFilter(place[2], place[3], bool(place[4])),
            next_record=place[1],
            last_command=place[5],
            effective_at=datetime.fromisoformat(place[6]),
        )

    def save(self, owner: PartitionOwner[K], changed: set[str]) -> None:
        """Store the ``changed`` keys of an owner that has nothing in flight, with the place they stand at."""
        processor, state = owner.processor, owner.state
        where, adapter = (processor.name, owner.partition), self._adapter(processor)
        fingerprint = self.fingerprint(processor)
        rows = [(*where, key, adapter.dump_json(state.keys[key])) for key in changed if key in state.keys]
        connection = self._connection
        connection.execute("BEGIN")
        try:
            known = connection.execute(
                "SELECT fingerprint FROM place WHERE processor = ? AND partition = ?", where
            ).fetchone()
            if known is None or known[0] != fingerprint:
                connection.execute("DELETE FROM key_state WHERE processor = ? AND partition = ?", where)
                rows = [(*where, key, adapter.dump_json(keyed)) for key, keyed in state.keys.items()]
            connection.executemany("INSERT OR REPLACE INTO key_state VALUES (?, ?, ?, ?)", rows)
            connection.execute(
                "INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *where,
                    fingerprint,
                    state.next_record,
                    state.filter.owner,
                    state.filter.expected,
                    state.filter.suspended,
                    state.last_command,
                    instant_text(state.effective_at),
                ),
            )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has rolled back already
                connection.execute("ROLLBACK")
            raise

    def fingerprint(self, processor: Processor[K]) -> str:
        """A hash of the state's schema: another one, and the snapshot is not used."""
        schema = json.dumps(self._adapter(processor).json_schema(), sort_keys=True)
        return hashlib.sha256(schema.encode()).hexdigest()

    def _adapter(self, processor: Processor[K]) -> TypeAdapter[Keyed[K]]:
        if processor.name not in self._adapters:
            self._adapters[processor.name] = TypeAdapter(Keyed[processor.state_type])  # type: ignore[name-defined]
        return self._adapters[processor.name]
