"""The read models' SQLite files: one generation is live, the next may be in the making, and how the process reads them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

P = ParamSpec("P")
T = TypeVar("T")

READ_THREADS = 4
"""Reads at the same time; more would only queue for the interpreter."""

MAPPED_BYTES = 1 << 36
"""Of a file, as much as it has: pages are read where they lie, without a copy."""


def open_engine(path: Path | None, *, create: bool = True, durable: bool = True) -> Engine:
    """An engine on the file, or in memory; every transaction sees one state of the database from its first statement on.

    What is not ``durable`` is lost with the machine's power, and made faster.
    """
    if path is None:
        engine = create_engine("sqlite+pysqlite://", connect_args={"check_same_thread": False})
    else:
        uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}&uri=true"
        engine = create_engine(f"sqlite+pysqlite:///{uri}", connect_args={"check_same_thread": False, "timeout": 10})

    @event.listens_for(engine, "connect")
    def _connect(connection: SqliteConnection, _: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, below; the driver shall not guess
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'NORMAL' if durable else 'OFF'}")  # a lost tail is folded again
        connection.execute(f"PRAGMA mmap_size={MAPPED_BYTES}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


class NoReadModels(FileNotFoundError):
    """There are none in the folder yet."""


class ReadModels:
    """Whichever generation is live in a folder: a transaction begins on it, and ends on it.

    ``live`` is a symbolic link, replaced in one step; who holds the swap lock knows that it stays.
    """

    def __init__(self, data: Path) -> None:
        self.folder = data / "read"
        self._engines: dict[str, Engine] = {}

    def live(self) -> str | None:
        """The file name of the live generation; None where nothing says which one it is."""
        link = self.folder / "live"
        return str(link.readlink()) if link.is_symlink() else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read transaction. Raises `NoReadModels`."""
        with self._connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction on a generation that stays live while it lasts. Raises `NoReadModels`."""
        with self.swap_lock(), self.reading() as connection:
            yield connection

    @contextmanager
    def swap_lock(self) -> Iterator[None]:
        """Nobody else writes the live generation or swaps it, in any process."""
        with locked(self.folder / "swap.lock"):
            yield

    def made(self) -> Path:
        """The folder, which is there now."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.folder

    def next_file(self) -> Path:
        """Where the next generation goes; what an interrupted rebuild has left is cleared away.

        No name is given twice, since a process that has outlived its rebuild may still write what it began.
        """
        live = self.live() or "0.db"
        known = list(self.made().glob("[0-9]*.*"))
        number = 1 + max(int(name.split(".")[0]) for name in (live, *(path.name for path in known)))
        for path in known:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in _files_of(live):
                path.unlink(missing_ok=True)
        return self.folder / f"{number}.db"

    def go_live(self, file: Path) -> None:
        """Make a whole generation the live one, and clear the former away; hold the swap lock."""
        former = self.live()
        following = self.folder / "live.next"
        following.unlink(missing_ok=True)
        following.symlink_to(file.name)
        following.replace(self.folder / "live")
        synced(self.folder)
        if former is not None:
            remove_database(self.folder / former)

    def close(self) -> None:
        """Close every connection."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()

    def _connect(self) -> Connection:
        """A connection to the generation that is live both before and after it is opened: so all its files were there."""
        while True:
            name = self.live()
            if name is None:
                raise self._none()
            try:
                connection = self._engine(name).connect()
            except OperationalError as error:
                if name != self.live():
                    continue
                if not (self.folder / name).exists():
                    raise self._none() from error
                raise
            if name == self.live():
                return connection
            connection.close()

    def _none(self) -> NoReadModels:
        return NoReadModels(
            f"{self.folder.parent} 中没有读模型 · has no read models: run `beeline rebuild` or `beeline serve` first"
        )

    def _engine(self, name: str) -> Engine:
        engine = self._engines.get(name)
        if engine is None:
            engine = self._engines[name] = open_engine(self.folder / name, create=False)
            for former in [known for known in list(self._engines) if known != name]:
                if (old := self._engines.pop(former, None)) is not None:
                    old.dispose()  # connections in use are closed when they are given back
        return engine


def _files_of(name: str) -> tuple[str, str, str]:
    """A database's own file, and the two that SQLite keeps beside it."""
    return name, f"{name}-wal", f"{name}-shm"


def remove_database(file: Path) -> None:
    """The database first: who still opens it finds it whole, or not at all."""
    for name in _files_of(file.name):
        (file.parent / name).unlink(missing_ok=True)


def synced(path: Path) -> None:
    """Onto the disk: what a file holds, or which files a folder has."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock file, which dies with its holder; raises `BlockingIOError` where it is held and one does not ``wait``."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


class Reads:
    """Runs queries on a few threads of its own."""

    def __init__(self, models: ReadModels) -> None:
        self._models = models
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="read")

    async def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``query(connection, …)`` in one read transaction."""

        def run() -> T:
            with self._models.reading() as connection:
                return query(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    def close(self) -> None:
        """Let running queries end."""
        self._threads.shutdown()
