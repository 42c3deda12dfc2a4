"""What a decision may be: facts for streams, a named refusal, or nothing because it was done already."""

from __future__ import annotations

from dataclasses import dataclass

from domain.message import Event


@dataclass(frozen=True, slots=True)
class Fact:
    """An event for the stream ``subject``; the step gives it id, sequence, time and hash."""

    subject: str
    data: Event


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is impossible, by name; the names stand in `domain.refusals`."""

    reason: str
    detail: str = ""


Decision = tuple[Fact, ...] | Refusal
NOTHING: tuple[Fact, ...] = ()
"""Already done is not an error."""
