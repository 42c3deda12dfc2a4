"""重建 — a new generation of the read models, filled from the log beside the live one, and swapped with it in one step.

A large log is folded by several processes, each with partitions of its own into a database of its own, because nothing but
the answers to commands hangs on two partitions; then the databases are joined.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import NamedTuple
from zlib import crc32

from sqlalchemy import Connection, Engine, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.schema import CreateIndex, CreateTable

from infra.database import NoReadModels, ReadModels, locked, open_engine, remove_database, synced
from infra.embedded.log import LogReader
from infra.projecting import Ends, Places, Progress, beginning, fold
from projections.outcomes import join, outcome_table
from projections.projector import REVISION, create_indexes, create_tables
from projections.schema import metadata
from streams.record import UNPARTITIONED

logger = logging.getLogger(__name__)

WORTH_SHARING = 50_000
"""Records from which on several processes are faster than one."""
MAX_PROCESSES = 4
LOCK = "rebuild.lock"
SHARES = ".shares"
"""What the folder of the databases of shares is called, after the generation that they become."""


class CannotRebuild(RuntimeError):
    """The read models could not be made anew; the live ones are as they were."""


class RebuildRunning(CannotRebuild):
    """Somebody else rebuilds the read models of this folder."""


def fingerprint() -> int:
    """What the read models are made of: with another one, they have to be made anew."""
    dialect = sqlite.dialect()
    tables = (str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables)
    indexes = (
        str(CreateIndex(index).compile(dialect=dialect))
        for table in metadata.sorted_tables
        for index in sorted(table.indexes, key=lambda index: str(index.name))
    )
    return crc32("\n".join([str(REVISION), *tables, *indexes]).encode()) & 0x7FFF_FFFF


def are_current(models: ReadModels) -> bool:
    """Whether there are read models that can be read, and they are made of what today's are made of."""
    try:
        with models.reading() as connection:
            return bool(connection.execute(text("PRAGMA user_version")).scalar_one() == fingerprint())
    except NoReadModels:
        return False
    except DatabaseError as error:
        if isinstance(error, OperationalError):
            raise
        logger.warning("the read models in %s cannot be read (%s)", models.folder, error.orig)
        return False


def make_current(data: Path, models: ReadModels) -> None:
    """Rebuild the read models where they are not current; where somebody does so already, wait for that."""
    if are_current(models):
        return
    with closing(LogReader(data)) as reader:
        if (records := sum(ends_of(reader).values())) >= WORTH_SHARING:
            logger.warning("重建读模型 · making the read models anew first, from %s records", f"{records:,}")
        with locked(models.made() / LOCK):
            if not are_current(models):
                _rebuild(data, reader, models, None)


def rebuild(data: Path, models: ReadModels, progress: Progress | None = None) -> None:
    """Fill a new generation from the log's first record, and swap. Reads and a running server go on meanwhile.

    Raises `CannotRebuild`; after any error nothing is left behind.
    """
    with closing(LogReader(data)) as reader, _alone(models.made()):
        _rebuild(data, reader, models, progress)


def _rebuild(data: Path, reader: LogReader, models: ReadModels, progress: Progress | None) -> None:
    file = models.next_file()
    engine = open_engine(file, durable=False)
    try:
        places = _fill(data, reader, engine, file, progress)
        create_indexes(engine)
        places = fold(reader.read, engine.begin, places, ends_of(reader), progress)
        _sign(engine)
        _flush(engine, file)  # the most of it while nobody waits
        with models.swap_lock():  # a running projector waits: what it has projected since is caught up first
            fold(reader.read, engine.begin, places, ends_of(reader), progress)
            _flush(engine, file)
            models.go_live(file)
    finally:
        engine.dispose()
        if models.live() != file.name:  # a disk that is full shall not stay full of it
            remove_database(file)


def ends_of(reader: LogReader) -> Ends:
    """Where the log ends now, in every partition that the read models are computed from."""
    return {where: reader.end(*where) for where in beginning(reader)}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        with locked(folder / LOCK, wait=False):
            yield
    except BlockingIOError as error:
        raise RebuildRunning(
            f"{folder.parent} 正在重建 · is being rebuilt already: wait until that has ended"
        ) from error


# -- many partitions at once -------------------------------------------------------------------------------------------


def _fill(data: Path, reader: LogReader, engine: Engine, file: Path, progress: Progress | None) -> Places:
    """Fold the log up to where it ends now; where that leads to."""
    ends = ends_of(reader)
    processes = min(os.cpu_count() or 1, reader.partitions, MAX_PROCESSES)
    if processes < 2 or sum(ends.values()) < WORTH_SHARING:
        create_tables(engine, indexes=False)
        return fold(reader.read, engine.begin, beginning(reader), ends, progress)
    shares: list[Ends] = [
        {(topic, number): end for (topic, number), end in ends.items() if _share(topic, number, processes) == share}
        for share in range(processes)
    ]
    folder = file.with_suffix(SHARES)
    folder.mkdir()
    try:
        files = [file, *(folder / f"{share}.db" for share in range(1, processes))]
        places = _fold_shares(data, files, shares, progress)
        for piece in files[1:]:
            _join(engine, piece)
    finally:
        shutil.rmtree(folder)
    return places


def _share(topic: str, number: int, processes: int) -> int:
    return 0 if topic in UNPARTITIONED else number % processes


class _Folding(NamedTuple):
    """A process that folds a share, and what it tells."""

    process: SpawnProcess
    pipe: Pipe


Told = int | Places | CannotRebuild
"""How many records of a share are done; at the end where that leads to, or what was wrong."""


def _fold_shares(data: Path, files: list[Path], shares: list[Ends], progress: Progress | None) -> Places:
    running: list[_Folding] = []
    try:
        running += [_started(data, file, share) for file, share in zip(files, shares, strict=True)]
        return _heard(running, sum(end for share in shares for end in share.values()), progress)
    finally:
        for process, pipe in running:
            process.terminate()
            process.join()
            pipe.close()


def _started(data: Path, file: Path, share: Ends) -> _Folding:
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=fold_share, args=(data, file, share, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Folding(process, ours)


def _heard(running: list[_Folding], of_all: int, progress: Progress | None) -> Places:
    """Listen until every share is folded. Raises `CannotRebuild` where something was wrong with one, or it has ended early."""
    done: dict[Pipe, int] = {folding.pipe: 0 for folding in running}
    places: Places = {}
    waiting = set(done)
    while waiting:
        wait(waiting)
        for pipe in [each for each in waiting if each.poll()]:
            told = _next(pipe)
            if isinstance(told, CannotRebuild):
                raise told
            if isinstance(told, int):
                done[pipe] = told
            else:
                places |= told
                waiting.remove(pipe)
        if progress is not None:
            progress(sum(done.values()), of_all)
    return places


def _next(pipe: Pipe) -> Told:
    try:
        told: Told = pipe.recv()
    except EOFError:
        return CannotRebuild(
            "重建的进程意外结束 · a process that folded its share has ended before it was done (killed, or out of memory?)"
        )
    return told


def fold_share(data: Path, file: Path, share: Ends, pipe: Pipe) -> None:
    """In a process of its own: fold some partitions into a database of their own, and tell how it goes.

    Ends with the one who listens.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the one who started this, who then ends it
    gc.disable()  # what a fold makes is acyclic, and there is a lot of it
    try:
        pipe.send(0)
        pipe.send(_folded(data, file, share, pipe))
    except BrokenPipeError:
        return
    except Exception as error:  # as words: not every error can be sent
        pipe.send(CannotRebuild(f"{type(error).__name__}: {error}".splitlines()[0]))


def _folded(data: Path, file: Path, share: Ends, pipe: Pipe) -> Places:
    with closing(LogReader(data)) as reader:
        engine = open_engine(file, durable=False)
        try:
            create_tables(engine, indexes=False)
            places = {where: place for where, place in beginning(reader).items() if where in share}
            return fold(reader.read, engine.begin, places, share, lambda records, _: pipe.send(records))
        finally:
            engine.dispose()


def _join(engine: Engine, piece: Path) -> None:
    """Bring the rows of another database in. Only a command's answers may be in both: a client's id in two partitions."""
    with engine.connect() as connection:
        _driver(connection).execute("ATTACH DATABASE ? AS piece", (str(piece),))  # which no transaction may hold
        with connection.begin():
            join(connection, "piece")
            for table in metadata.sorted_tables:
                if table is not outcome_table:
                    connection.exec_driver_sql(f"INSERT INTO main.{table.name} SELECT * FROM piece.{table.name}")
        _driver(connection).execute("DETACH DATABASE piece")


def _driver(connection: Connection) -> SqliteConnection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, SqliteConnection):
        raise TypeError("the embedded read models are SQLite's")
    return driver


def _sign(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA user_version={fingerprint()}")


def _flush(engine: Engine, file: Path) -> None:
    """Bring every page into the one file and onto the disk."""
    with engine.connect() as connection:
        _driver(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    synced(file)
