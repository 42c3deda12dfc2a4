"""The kinds of indicator: a share, counts by a column, a spread of durations, a proportion of sums, a balance of points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement

from projections.indicators.facts_as_of import Duration, Facts, Key, Source, Where

Measures = dict[str, float | int | None]
Unit = Literal["percent", "cases", "escalations", "deadlines", "seconds", "points"]

PERCENTILES = (50, 90, 95)


class Kind(Protocol):
    """How an indicator is computed."""

    @property
    def unit(self) -> Unit:
        """What the value counts."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """The facts that can be broken down."""

    def measure(self, facts: Facts) -> dict[Key, Measures]:
        """The measures for each part of the breakdown."""

    def value(self, measures: Measures) -> float | int | None:
        """The one number; None where there is nothing to divide by."""


@dataclass(frozen=True, slots=True)
class Part:
    """A count: of rows of a source that meet a condition."""

    source: Source
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """The sum of some counts in percent of the sum of others."""

    parts: Mapping[str, Part]
    above: tuple[str, ...]
    below: tuple[str, ...]
    unit: Unit = "percent"

    @property
    def sources(self) -> tuple[Source, ...]:
        """Those of its parts."""
        return tuple(dict.fromkeys(part.source for part in self.parts.values()))

    def measure(self, facts: Facts) -> dict[Key, Measures]:
        """Every count; one query a source."""
        measured: dict[Key, Measures] = {}
        for source in self.sources:
            wanted = {name: part.where for name, part in self.parts.items() if part.source == source}
            for key, counts in facts.counts(source, wanted).items():
                measured.setdefault(key, dict.fromkeys(self.parts, 0)).update(counts)
        return measured or ({(): dict.fromkeys(self.parts, 0)} if not facts.question.by else {})

    def value(self, measures: Measures) -> float | None:
        """In percent, to two decimals, as such rates are published."""
        below = sum(measures[name] or 0 for name in self.below)
        return round(100 * sum(measures[name] or 0 for name in self.above) / below, 2) if below else None


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts by the values of one column."""

    source: Source
    column: str
    values: tuple[str, ...]
    unit: Unit

    @property
    def sources(self) -> tuple[Source, ...]:
        """The one."""
        return (self.source,)

    def measure(self, facts: Facts) -> dict[Key, Measures]:
        """A count for each value, also where it is 0."""
        found = facts.split(self.source, self.column)
        if not facts.question.by:
            found.setdefault((), {})
        return {key: {name: counts.get(name, 0) for name in self.values} for key, counts in found.items()}

    def value(self, measures: Measures) -> float | int | None:
        """All of them."""
        return sum(count or 0 for count in measures.values())


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took, or has lasted: the count, and percentiles by nearest rank.

    The p-th percentile is the smallest value that at least p percent of the values do not exceed.
    """

    source: Source
    duration: Duration
    leading: Literal["p50_seconds", "count"] = "p50_seconds"

    @property
    def unit(self) -> Unit:
        """Cases where the count leads."""
        return "cases" if self.leading == "count" else "seconds"

    @property
    def sources(self) -> tuple[Source, ...]:
        """The one."""
        return (self.source,)

    def measure(self, facts: Facts) -> dict[Key, Measures]:
        """Durations in seconds, to milliseconds."""
        found = facts.values(self.source, self.duration)
        if not facts.question.by:
            found.setdefault((), [])
        return {key: self._spread(values) for key, values in found.items()}

    def _spread(self, values: list[int]) -> Measures:
        measures: Measures = {"count": len(values)}
        for p in PERCENTILES:
            rank = max(ceil(len(values) * p / 100), 1) - 1
            measures[f"p{p}_seconds"] = round(values[rank] / 1e6, 3) if values else None
        if self.leading == "count":
            measures["oldest_seconds"] = round(values[-1] / 1e6, 3) if values else None
        return measures

    def value(self, measures: Measures) -> float | int | None:
        """The leading measure."""
        return measures[self.leading]


@dataclass(frozen=True, slots=True)
class Proportion:
    """One column's sum in percent of another's."""

    source: Source
    part: str
    whole: str
    unit: Unit = "percent"

    @property
    def sources(self) -> tuple[Source, ...]:
        """The one."""
        return (self.source,)

    def measure(self, facts: Facts) -> dict[Key, Measures]:
        """Both sums."""
        wanted = {"part": lambda columns: columns[self.part], "whole": lambda columns: columns[self.whole]}
        return {key: dict(sums) for key, sums in facts.sums(self.source, wanted).items()}

    def value(self, measures: Measures) -> float | None:
        """In percent, to two decimals, and 100 only where nothing lacks."""
        part, whole = measures["part"] or 0, measures["whole"] or 0
        return floor(10_000 * part / whole) / 100 if whole else None


@dataclass(frozen=True, slots=True)
class Points:
    """Sums over the ledgers of a period and, of the whole city, what is outstanding at the instant of knowledge."""

    period: Source
    ever: Source
    sums: Mapping[str, Callable[[Any], ColumnElement[Any]]]
    unit: Unit = "points"

    @property
    def sources(self) -> tuple[Source, ...]:
        """The entries of the period."""
        return (self.period,)

    def measure(self, facts: Facts) -> dict[Key, Measures]:
        """What was issued and clawed back, and what is outstanding."""
        measured: dict[Key, Measures] = {key: dict(sums) for key, sums in facts.sums(self.period, self.sums).items()}
        if not facts.question.by and not facts.question.filters:
            outstanding = facts.sums(self.ever, {"outstanding": lambda columns: columns.points})
            measured[()] = {**measured[()], **outstanding[()]}
        return measured

    def value(self, measures: Measures) -> float | int | None:
        """What was issued in the period."""
        return measures["issued"]
