"""What a measurement comes to, and how large a run is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

Notes = Callable[[str], None]
"""Told what is going on, a line at a time."""


@dataclass(frozen=True, slots=True)
class Line:
    """One number of the product beside the machine's limit, both in ``unit``; ``met`` is None where nothing is aimed at."""

    what: str
    unit: str
    product: float
    limit: float | None = None
    limit_is: str = ""
    aim: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """The product's share of the limit."""
        return None if self.limit is None else self.product / self.limit


@dataclass(frozen=True, slots=True)
class Section:
    """A measurement: how it was made, its lines, and what holds the product back.

    ``details`` is a table of its own, its heading first.
    """

    title: str
    method: str
    held_back: str
    lines: tuple[Line, ...]
    details: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    reports: int
    """Of one round from report to row."""
    projected_cases: int
    """In the log that the projector alone works off."""
    points: int
    rebuilt_cases: tuple[int, ...]
    """In the logs that are rebuilt, from small to large."""
    requests: int
    empty_requests: int
    seconds: float
    """How long reports come in steadily."""
    reports_a_second: int
    real_cases: int
    """Cases with facts that the projector made."""
    copies: int
    """How many of each are asked about."""
    questions: int
    """To each indicator."""
    rounds: int
    whole_city: bool
    """The net of Shenzhen; else a square with a few hundred grids."""


FULL = Scale(
    reports=1_500,
    projected_cases=3_000,
    points=20_000,
    rebuilt_cases=(820, 8_200, 82_000),
    requests=600,
    empty_requests=4_000,
    seconds=60,
    reports_a_second=100,
    real_cases=10_000,
    copies=100,
    questions=15,
    rounds=3,
    whole_city=True,
)
QUICK = Scale(
    reports=20,
    projected_cases=20,
    points=50,
    rebuilt_cases=(10, 20),
    requests=20,
    empty_requests=40,
    seconds=0.5,
    reports_a_second=20,
    real_cases=20,
    copies=2,
    questions=2,
    rounds=1,
    whole_city=False,
)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement is given: its size, an empty folder of its own, and somebody to tell."""

    scale: Scale
    folder: Path
    notes: Notes


def percentile(values: Sequence[float], p: int) -> float:
    """The smallest of ``values`` (at least one) that at least ``p`` percent of them do not exceed."""
    return sorted(values)[max(ceil(len(values) * p / 100), 1) - 1]
