"""Looks into the read models of a running server, from outside and without asking it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

from infra.database import ReadModels

POLL_SECONDS = 0.002


class Watch:
    """Notes when each report is first seen to stand on a case: in that transaction the case came into its grid's queue."""

    def __init__(self, data: Path) -> None:
        self.placed: dict[str, float] = {}
        """By UUID, `time.monotonic` of when it was seen."""
        self.looks = 0
        self._path = _live(data)
        self._over = Event()
        self._settled = 0
        """Up to this row every report stands on a case."""

    @contextmanager
    def looking(self) -> Iterator[Watch]:
        """Look on, on a thread of its own."""
        thread = Thread(target=self._look, name="watch", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def wait_for(self, number: int, seconds: float) -> None:
        """Until so many reports have been placed; raises `TimeoutError`."""
        give_up = time.monotonic() + seconds
        while len(self.placed) < number:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{len(self.placed)} of {number} reports stand in a queue after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def _look(self) -> None:
        with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            while not self._over.is_set():
                self._see(connection)
                time.sleep(POLL_SECONDS)

    def _see(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            "SELECT rowid, uuid, case_id FROM report WHERE rowid > ? ORDER BY rowid", (self._settled,)
        ).fetchall()
        now, settled = time.monotonic(), True
        self.looks += 1
        for rowid, uuid, case_id in rows:
            settled = settled and case_id is not None
            if settled:
                self._settled = rowid
            if case_id is not None:
                self.placed.setdefault(uuid, now)


def _live(data: Path) -> Path:
    models = ReadModels(data)
    name = models.live()
    if name is None:
        raise FileNotFoundError(f"{data} has no read models")
    return models.folder / name
