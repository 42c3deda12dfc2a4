"""Limits of the disk: the same bytes put into a SQLite file by nobody but SQLite."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

BATCH = 1_000
"""Rows of one transaction."""

LogRow = tuple[str, str, bytes, str]
"""What a record of the log holds: topic, key, value, headers."""

Rows = Sequence[tuple[object, ...]]
BARE = "CREATE TABLE bare (topic TEXT, key TEXT, value BLOB, headers TEXT)"

EVENT_MARK = b'{"specversion":'
"""How every event in the log begins."""


def log_rows(data: Path, *, after: int = 0) -> list[LogRow]:
    """The records of a log beyond a row of its file, in order."""
    query = "SELECT topic, key, value, headers FROM record WHERE id > ? ORDER BY id"
    with closing(sqlite3.connect(data / "log.db")) as connection:
        return connection.execute(query, (after,)).fetchall()


def last_row(data: Path) -> int:
    """The newest row of a log's file."""
    with closing(sqlite3.connect(data / "log.db")) as connection:
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM record").fetchone()[0])


def events_in(rows: Iterable[LogRow]) -> int:
    """How many events the records hold; commands are none."""
    return sum(value.count(EVENT_MARK) for topic, _, value, _ in rows if ".events." in topic)


def insert_log_rows(file: Path, rows: Sequence[LogRow]) -> float:
    """Seconds in which a new file takes the rows: ``synchronous=FULL``, `executemany`, 1,000 rows a transaction."""
    return _insert(file, BARE, {"bare": rows}, synchronous="FULL")


def insert_again(file: Path, models: Path) -> float:
    """Seconds in which a new file takes all rows of the read models in the file ``models``, with the same indexes."""
    with closing(sqlite3.connect(models)) as connection:
        schema = [
            sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        ]
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables: dict[str, Rows] = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
    return _insert(file, ";".join(schema), tables, synchronous="OFF")


def _insert(file: Path, schema: str, tables: Mapping[str, Rows], *, synchronous: str) -> float:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; {schema}")
        began = time.monotonic()
        for name, rows in tables.items():
            places = ", ".join("?" * len(rows[0])) if rows else ""
            for start in range(0, len(rows), BATCH):
                connection.execute("BEGIN")
                connection.executemany(f'INSERT INTO "{name}" VALUES ({places})', rows[start : start + BATCH])
                connection.execute("COMMIT")
        took = time.monotonic() - began
    file.unlink()
    return took


def commits(file: Path, rows: Sequence[LogRow], each: int) -> list[float]:
    """Seconds of ``each`` one-row transactions in a row with ``synchronous=FULL``, again and again until the rows are in."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {BARE}")
        took = []
        for start in range(0, len(rows) - each + 1, each):
            began = time.monotonic()
            for row in rows[start : start + each]:
                connection.execute("INSERT INTO bare VALUES (?, ?, ?, ?)", row)
            took.append(time.monotonic() - began)
    file.unlink()
    return took
