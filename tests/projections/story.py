"""Streams of events for the read models, on the small city of the rules' tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection

from domain.case import events as e
from domain.case.events import Stage
from domain.message import Envelope, Event, message_types
from domain.report import ReportSubmitted
from domain.rider import PointsAwarded
from projections.projector import apply_batch
from tests.domain.smallville import CASE, HERE
from tests.domain.specification import FIRST, HANDLE, deadline, minute

SAMPLES = Path(__file__).parents[1] / "domain" / "samples"
MARCH, APRIL = date(2026, 3, 31), date(2026, 4, 1)
"""Neighbouring local days of two months."""
UP = deadline(Stage.ACCEPT, 3, minute(300))
"""The deadline of whoever a case was escalated to."""


def stream(*events: Event, subject: str = CASE, start: float = 0) -> list[Envelope]:
    """The events of one stream, a minute apart."""
    return [
        Envelope(
            id=f"{subject}/{number}",
            source="/test",
            subject=subject,
            time=minute(start + number - 1),
            data=event,
            correlationid="test",
            causationid=f"command {number}",
            sequence=number,
        )
        for number, event in enumerate(events, start=1)
    ]


def submitted(of: e.ReportOnCase, reporter: str | None = None, category: str = "hazard") -> list[Envelope]:
    """The report as the log has it."""
    said = ReportSubmitted(
        report=of.report,
        reporter=reporter or of.reporter,
        category=category,
        edition="test-1",
        place=HERE,
        occurred_at=minute(-5),
        media=("photo",),
    )
    (sent,) = stream(said, subject=of.report, start=(of.received_at - minute(0)) / timedelta(minutes=1))
    return [sent]


def fold(connection: Connection, *streams: Sequence[Envelope]) -> Connection:
    """Apply the streams one after the other."""
    for events in streams:
        apply_batch(connection, [], events)
    return connection


def sample(kind: type[Event], size: str = "full") -> Event:
    """The frozen sample of an event."""
    stored: dict[str, Any] = json.loads((SAMPLES / f"{kind.wire_type}.json").read_text(encoding="utf-8"))
    found = message_types()[kind.wire_type].model_validate_json(json.dumps(stored[size]))
    assert isinstance(found, Event)
    return found


def reopened() -> e.CaseReopened:
    """重开."""
    return e.CaseReopened(reason="又坏了", by="s", deadlines=(HANDLE,))


def awarded(number: int, day: date, kind: Literal["filing", "resolution"] = "filing") -> PointsAwarded:
    """发放积分 — so many for the first report of `CASE`."""
    return PointsAwarded(case_id=CASE, report=FIRST.report, kind=kind, asked=number, points=number, day=day)
