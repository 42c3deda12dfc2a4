"""The answer to a question about an indicator."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from domain.message import Value
from projections.indicators.definitions import Indicator
from projections.indicators.facts_as_of import Facts
from projections.indicators.kinds import Measures
from projections.indicators.question import BUCKETS, CannotAsk, Question


class Line(Value):
    """The number of one part of the breakdown; ``key`` is empty where nothing is broken down."""

    key: dict[str, str | None]
    value: float | int | None
    measures: dict[str, float | int | None]


class Answer(Value):
    """A number with all that it takes to defend it: definition, period, instant of knowledge, and how fresh the facts were.

    ``complete_until``: facts from before then were all in when the answer was made. Until that lies beyond ``as_of`` the
    answer is ``provisional``: it is the number of the period so far.
    """

    indicator: str
    version: str
    name_zh: str
    name_en: str
    definition_zh: str
    definition_en: str
    unit: str
    period: str
    start: datetime
    end: datetime
    zone: str
    as_of: datetime
    complete_until: datetime
    provisional: bool
    filters: dict[str, str]
    by: tuple[str, ...]
    lines: tuple[Line, ...]


def answer(connection: Connection, indicator: Indicator, question: Question, complete_until: datetime) -> Answer:
    """Compute an indicator. Raises `CannotAsk` for a dimension that its facts do not have."""
    _check(indicator, question)
    measured = indicator.kind.measure(Facts(connection, question.known_by(complete_until)))
    return Answer(
        indicator=indicator.name,
        version=indicator.version,
        name_zh=indicator.name_zh,
        name_en=indicator.name_en,
        definition_zh=indicator.definition_zh,
        definition_en=indicator.definition_en,
        unit=indicator.kind.unit,
        period=question.period.label,
        start=question.period.start,
        end=question.period.end,
        zone=question.zone,
        as_of=question.as_of,
        complete_until=complete_until,
        provisional=complete_until <= question.as_of,
        filters=dict(question.filters),
        by=question.by,
        lines=tuple(
            Line(key=dict(zip(question.by, key, strict=True)), value=indicator.kind.value(measures), measures=measures)
            for key, measures in _in_order(measured)
        ),
    )


def _check(indicator: Indicator, question: Question) -> None:
    known = indicator.dimensions
    unknown = [name for name in question.by if name not in known]
    unknown += [name for name in question.filters if name not in known or name in BUCKETS]
    if unknown:
        raise CannotAsk(
            f"{indicator.name} {indicator.version} 不能按 {', '.join(unknown)} 查询 · cannot be asked by that;"
            f" it knows {', '.join(known)}"
        )


def _in_order(measured: Mapping[tuple[str | None, ...], Measures]) -> list[tuple[tuple[str | None, ...], Measures]]:
    """By key, what is in no part last."""
    return sorted(measured.items(), key=lambda item: [(part is None, part or "") for part in item[0]])
