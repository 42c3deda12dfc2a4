"""The timer: which keys of a partition have something due. What is due is a pure function of the key's state."""

from __future__ import annotations

from datetime import datetime, timedelta
from heapq import heappop, heappush

RETRY_AFTER = timedelta(seconds=30)
"""When a proposal that changed nothing is made again (it may have been too early, or lost)."""


class Timer:
    """The next instant of every key, in order of time."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str]] = []
        self._next: dict[str, datetime] = {}

    def touch(self, key: str, instant: datetime | None) -> None:
        """Say when ``key`` has something to propose now; None: never."""
        if instant is None:
            self._next.pop(key, None)
        elif self._next.get(key) != instant:
            self._next[key] = instant
            heappush(self._heap, (instant, key))

    def next_instant(self) -> datetime | None:
        """The earliest instant at which a key is due."""
        while self._heap and self._next.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: datetime) -> list[str]:
        """The keys that are due; each comes again after `RETRY_AFTER` unless it is touched before."""
        keys = []
        while (instant := self.next_instant()) is not None and instant <= now:
            keys.append(heappop(self._heap)[1])
        for key in keys:
            self.touch(key, now + RETRY_AFTER)
        return keys
