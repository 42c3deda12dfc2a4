"""重建 — a new generation of the read models, filled from the log beside the live one, and swapped with it in one step.

A large log is folded by several processes, each with partitions of its own into a database of its own, because nothing but
the answers to commands hangs on two partitions; then the databases are joined.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, MutableMapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from tempfile import TemporaryDirectory
from zlib import crc32

from sqlalchemy import Connection, Engine, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from infra.database import NoReadModels, ReadModels, locked, open_engine
from infra.embedded.log import LogReader
from infra.projecting import Ends, Places, Progress, beginning, fold
from projections.outcomes import join, outcome_table
from projections.projector import REVISION, create_indexes, create_tables
from projections.schema import metadata
from streams.record import UNPARTITIONED

WORTH_SHARING = 50_000
"""Records from which on several processes are faster than one."""
MAX_PROCESSES = 4
LOOK_SECONDS = 0.2
"""How often the progress of other processes is looked at."""


class RebuildRunning(RuntimeError):
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
    """Whether there are read models, and they are made of what today's are made of."""
    try:
        with models.reading() as connection:
            return bool(connection.execute(text("PRAGMA user_version")).scalar_one() == fingerprint())
    except NoReadModels:
        return False


def rebuild(data: Path, models: ReadModels, progress: Progress | None = None) -> None:
    """Fill a new generation from the log's first record, and swap. Reads and a running server go on meanwhile.

    Raises `RebuildRunning`.
    """
    reader = LogReader(data)
    try:
        models.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(models.folder):
            file = models.next_file()
            engine = open_engine(file, durable=False)
            places = _fill(data, reader, engine, file, progress)
            create_indexes(engine)
            places = fold(reader.read, engine.begin, places, ends_of(reader), progress)
            with models.swap_lock():  # a running projector waits: what it has projected since is caught up first
                fold(reader.read, engine.begin, places, ends_of(reader), progress)
                _finish(engine, file)
                models.go_live(file)
    finally:
        reader.close()


def ends_of(reader: LogReader) -> Ends:
    """Where the log ends now, in every partition that the read models are computed from."""
    return {where: reader.end(*where) for where in beginning(reader)}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        with locked(folder / "rebuild.lock", wait=False):
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
    with TemporaryDirectory(dir=file.parent) as folder:
        files = [file, *(Path(folder) / f"{share}.db" for share in range(1, processes))]
        places = _fold_shares(data, files, shares, progress)
        for piece in files[1:]:
            _join(engine, piece)
    return places


def _share(topic: str, number: int, processes: int) -> int:
    return 0 if topic in UNPARTITIONED else number % processes


def _fold_shares(data: Path, files: list[Path], shares: list[Ends], progress: Progress | None) -> Places:
    context = get_context("spawn")
    of_all = sum(end for share in shares for end in share.values())
    with context.Manager() as manager, ProcessPoolExecutor(len(shares), mp_context=context) as pool:
        done: MutableMapping[int, int] = manager.dict()
        work: list[Future[Places]] = [
            pool.submit(fold_share, data, file, share, done, number)
            for number, (file, share) in enumerate(zip(files, shares, strict=True))
        ]
        while wait(work, timeout=LOOK_SECONDS).not_done:
            if progress is not None:
                progress(sum(done.values()), of_all)
        places = {where: place for each in work for where, place in each.result().items()}
    if progress is not None:
        progress(of_all, of_all)
    return places


def fold_share(data: Path, file: Path, share: Ends, done: MutableMapping[int, int], number: int) -> Places:
    """In a process of its own: fold some partitions into a database of their own."""
    reader, engine = LogReader(data), open_engine(file, durable=False)
    gc.disable()  # what a fold makes is acyclic, and there is a lot of it

    def told(records: int, _: int) -> None:
        done[number] = records

    try:
        create_tables(engine, indexes=False)
        places = {where: place for where, place in beginning(reader).items() if where in share}
        return fold(reader.read, engine.begin, places, share, told)
    finally:
        engine.dispose()
        reader.close()


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


def _finish(engine: Engine, file: Path) -> None:
    """Sign it, and bring every page into the one file and onto the disk."""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA user_version={fingerprint()}")
    with engine.connect() as connection:
        _driver(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
