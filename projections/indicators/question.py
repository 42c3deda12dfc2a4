"""What can be asked of an indicator: a period, an instant of knowledge, filters, and how the answer is broken down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from projections.facts import DIMENSIONS
from projections.indicators.period import Period
from projections.schema import MICROSECOND

SETTLING = timedelta(seconds=60)
"""How long after a period's end facts may still come in that belong to it (default)."""

BUCKETS = ("day", "week", "month")
"""Dimensions of time, local."""
WORKER = "worker"
BREAKDOWNS = (*DIMENSIONS, WORKER, *BUCKETS)
FILTERS = (*DIMENSIONS, WORKER)


class CannotAsk(ValueError):
    """This indicator does not know that dimension; the message says which it knows."""


@dataclass(frozen=True, slots=True)
class Question:
    """A period's number, as it was known at ``as_of``."""

    period: Period
    as_of: datetime
    zone: str
    filters: Mapping[str, str] = field(default_factory=dict)
    by: tuple[str, ...] = ()

    @classmethod
    def usual(
        cls, period: Period, zone: str, filters: Mapping[str, str] | None = None, by: tuple[str, ...] = ()
    ) -> Question:
        """As of the period's own end: asked again later, the answer is the same."""
        return cls(period, period.end + SETTLING, zone, filters or {}, by)

    @property
    def is_usual(self) -> bool:
        """Whether it asks for what was known when the period ended."""
        return self.as_of == self.period.end + SETTLING

    def known_by(self, instant: datetime) -> Question:
        """The same question of somebody who knows nothing after ``instant``: what is to come is in no number yet."""
        as_of = min(self.as_of, instant)
        end = min(self.period.end, as_of + MICROSECOND)
        return replace(self, as_of=as_of, period=replace(self.period, start=min(self.period.start, end), end=end))
