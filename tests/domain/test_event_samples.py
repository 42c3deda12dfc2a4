"""The log is for ever: a frozen sample of every event type, full and minimal, that every later version must still read.

A sample is never edited. A breaking change is a new version of the event, with a sample of its own, and the old one is upcast.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domain import directory, report, rider
from domain.case import events
from domain.message import CommandRefused, Event, message_types

SAMPLES = Path(__file__).parent / "samples"
MODULES = {module.__name__ for module in (directory, report, rider, events)}
EVENTS = {
    name: kind
    for name, kind in message_types().items()
    if issubclass(kind, Event) and (kind.__module__ in MODULES or kind is CommandRefused)
}
CASES = [(name, size) for name in EVENTS for size in ("full", "minimal")]


def sample(name: str, size: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))[size]


def holds(whole: Any, part: Any) -> bool:
    """Whether ``whole`` says everything that ``part`` says; objects may have more members."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and holds(whole[name], part[name]) for name in part)
    if isinstance(part, list):
        same = isinstance(whole, list) and len(whole) == len(part)
        return same and all(holds(mine, theirs) for mine, theirs in zip(whole, part, strict=True))
    return bool(whole == part)


def test_every_event_has_its_sample_and_every_sample_its_event() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == set(EVENTS)


@pytest.mark.parametrize(("name", "size"), CASES)
def test_a_sample_is_read_and_written_again_with_nothing_lost(name: str, size: str) -> None:
    stored = sample(name, size)
    event = EVENTS[name].model_validate_json(json.dumps(stored))
    written = event.model_dump_json(exclude_none=True)
    assert holds(json.loads(written), stored)
    assert EVENTS[name].model_validate_json(written) == event


@pytest.mark.parametrize("name", EVENTS)
def test_the_minimal_sample_has_no_more_than_what_is_required(name: str) -> None:
    required = {field for field, about in EVENTS[name].model_fields.items() if about.is_required()}
    assert set(sample(name, "minimal")) == required
    assert required <= set(sample(name, "full"))
