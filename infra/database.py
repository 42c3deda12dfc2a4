"""The read models' SQLite file, and how the process reads it without blocking its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event

P = ParamSpec("P")
T = TypeVar("T")

READ_THREADS = 4
"""Reads at the same time; more would only queue for the interpreter."""


def open_engine(path: Path | None) -> Engine:
    """An engine on the file, or in memory; every transaction sees one state of the database from its first statement on."""
    if path is None:
        engine = create_engine("sqlite+pysqlite://", connect_args={"check_same_thread": False})
    else:
        engine = create_engine(f"sqlite+pysqlite:///{path}", connect_args={"check_same_thread": False, "timeout": 10})

    @event.listens_for(engine, "connect")
    def _connect(connection: SqliteConnection, _: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, below; the driver shall not guess
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # a lost tail is folded again from the log

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


class Reads:
    """Runs queries on a few threads of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="read")

    async def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``query(connection, …)`` in one read transaction."""

        def run() -> T:
            with self._engine.begin() as connection:
                return query(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    def close(self) -> None:
        """Let running queries end."""
        self._threads.shutdown()
