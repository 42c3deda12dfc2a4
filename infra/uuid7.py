"""UUIDv7 (RFC 9562) at a given instant, for those who may not ask the machine for time or chance."""

from __future__ import annotations

from datetime import datetime
from random import Random
from uuid import UUID


def uuid7_at(instant: datetime, random: Random) -> str:
    """A UUIDv7 whose time is ``instant`` (to the millisecond) and whose other bits come from ``random``."""
    milliseconds = int(instant.timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | 7 << 76 | random.getrandbits(12) << 64 | 2 << 62 | random.getrandbits(62)))
