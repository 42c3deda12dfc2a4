"""Cases told for the sake of their numbers: what happened when, folded into the facts and the ledgers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from domain.case import events as e
from domain.case.events import ReportOnCase
from domain.message import Envelope, Event
from domain.net import Level
from domain.report import ReportSubmitted
from domain.routing import Route, Rung
from projections import coverage, facts, points
from projections.indicators.answer import Answer, answer
from projections.indicators.definitions import indicator
from projections.indicators.period import period_of
from projections.indicators.question import Question
from tests.domain.smallville import HAZARD, HERE
from tests.domain.specification import FIRST, filed

SHANGHAI = "Asia/Shanghai"
Happening = tuple[datetime, str, Event]
"""When, to what (a case, a report, a rider), and what it was."""


class Lives:
    """Streams of events that go on."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lengths: Counter[str] = Counter()

    def go_on(self, happenings: Iterable[Happening]) -> None:
        """Fold what happened, in the order of time."""
        batch = [self._envelope(*happening) for happening in sorted(happenings, key=lambda each: each[0])]
        coverage.apply(self.connection, batch)
        facts.apply(self.connection, batch)
        points.apply(self.connection, batch)

    def _envelope(self, at: datetime, subject: str, event: Event) -> Envelope:
        self._lengths[subject] += 1
        number = self._lengths[subject]
        return Envelope(f"{subject}/{number}", "/test", subject, at, event, "test", sequence=number)

    def ask(self, question: Question, name: str, version: str = "", *, at: datetime | None = None) -> Answer:
        """The answer that somebody gets who has all facts up to ``at``, or all that the question wants."""
        return answer(self.connection, indicator(name, version), question, at or question.as_of)

    def value(self, name: str, version: str, period: str, as_of: datetime | None = None) -> float | int | None:
        """The one number of a period, in Shanghai."""
        wanted = period_of(period, SHANGHAI)
        question = Question(wanted, as_of, SHANGHAI) if as_of else Question.usual(wanted, SHANGHAI)
        (line,) = self.ask(question, name, version).lines
        return line.value


def route_in(district: str, grid: str = "") -> Route:
    """A grid right under a district."""
    own = grid or f"{district}-grid"
    return Route(
        unit=Rung(unit=own, level=Level.GRID),
        ladder=(Rung(unit=district, level=Level.DISTRICT), Rung(unit="city", level=Level.CITY)),
        ancestors=(district, "city"),
        grid=own,
        how="inside",
        net="1",
    )


def filed_case(of: ReportOnCase, due: datetime, route: Route) -> e.CaseFiled:
    """立案 — a hazard, to be handled by ``due``."""
    return filed(of, terms=HAZARD, route=route).model_copy(update={"handling_due": due})


def closing(*, on_time: bool) -> e.CaseClosed:
    """结案."""
    return e.CaseClosed(
        outcome="resolved",
        by="i",
        on_time=on_time,
        first=FIRST,
        reward_points=0,
        reporters=(),
        window_ends=FIRST.received_at,
    )


def submission(of: ReportOnCase) -> ReportSubmitted:
    """上报."""
    return ReportSubmitted(
        report=of.report,
        reporter=of.reporter,
        category="hazard",
        edition="test-1",
        place=HERE,
        occurred_at=of.received_at,
    )
