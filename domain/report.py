"""上报 — what a rider saw: a fact from outside, never refused once the edge has accepted it."""

from __future__ import annotations

from datetime import datetime

from domain.message import Event
from domain.place import Place
from domain.sealing import Sealed


class ReportSubmitted(Event):
    """上报 — somebody saw something. ``occurred_at`` is what the device says; the log's time is when the city got it."""

    report: str
    reporter: str
    anonymous: bool = False
    category: str
    edition: str
    """The catalogue edition in which the edge found the category."""
    place: Place | None = None
    occurred_at: datetime
    description: Sealed | None = None
    contact: Sealed | None = None
    media: tuple[str, ...] = ()
    inspection_round: str | None = None
