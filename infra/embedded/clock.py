"""The log's clock: the only clock of decisions.

It runs at the wall clock's rate, plus an offset that the log remembers; or it is *stepped*: it stands still until it is moved,
and when the log is opened again it goes on from there at the normal rate.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def instant_of(micros: int) -> datetime:
    """The instant so many microseconds after 1970 UTC."""
    return EPOCH + timedelta(microseconds=micros)


def wall_micros() -> int:
    """The machine's clock, in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Clock:
    """Gives record times; never goes back, whatever the machine's clock does. Safe to ask from any thread."""

    def __init__(self, *, offset_micros: int = 0, last_micros: int = 0, wall: Callable[[], int] = wall_micros) -> None:
        self._wall = wall
        self._last = last_micros
        self._offset = offset_micros
        self._standing: int | None = None
        self._alone = threading.Lock()

    @property
    def is_stepped(self) -> bool:
        """Whether the clock stands still until it is moved."""
        return self._standing is not None

    @property
    def offset_micros(self) -> int:
        """What the log has to remember: how far this clock is from the machine's."""
        with self._alone:
            return self._distance()

    def now_micros(self) -> int:
        """Now, in microseconds since 1970 UTC; never less than before."""
        with self._alone:
            self._last = max(self._last, self._wall() + self._offset if self._standing is None else self._standing)
            return self._last

    def now(self) -> datetime:
        """Now."""
        return instant_of(self.now_micros())

    def stand_at(self, instant: datetime) -> None:
        """Stop the clock at ``instant``, or where it is already later; from here on it is stepped."""
        with self._alone:
            self._standing = max(microseconds(instant), self._last)

    def run(self) -> None:
        """Go on from where the clock stands, at the normal rate."""
        with self._alone:
            self._offset, self._standing = self._distance(), None

    def step_to(self, instant: datetime) -> None:
        """Move a stepped clock forward; backward it does not go."""
        with self._alone:
            if self._standing is None:
                raise RuntimeError("the clock runs; only a stepped clock can be moved")
            self._standing = max(self._standing, microseconds(instant))

    def _distance(self) -> int:
        return self._offset if self._standing is None else self._standing - self._wall()
