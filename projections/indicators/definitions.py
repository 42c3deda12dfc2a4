"""指标定义 — every indicator, by name and version. A definition that has been used is never changed: it gets a new version.

Sources: the standards' terms of digital city management (数字化城市管理), GB/T 30428; the names and the check of December 2016
in Tianmen are in the definitions' pages, docs/reference/indicators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from projections.coverage import coverage_table
from projections.facts import DIMENSIONS, escalation_table, fact_table, miss_table, rating_table, report_table
from projections.indicators.facts_as_of import Columns, Source, both, by_then, elapsed, lasted, later, not_by_then
from projections.indicators.kinds import Kind, Part, Points, Proportion, Share, Spread, Tally
from projections.indicators.question import BUCKETS, WORKER, Question
from projections.points import ledger_table

SATISFIED = 4
"""满意 — a rating of so many points of 5, or more."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """A definition: what it is called, what it says, and how it is computed."""

    name: str
    version: str
    name_zh: str
    name_en: str
    definition_zh: str
    definition_en: str
    kind: Kind

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What it can be broken down by: workers where all its facts are somebody's work, time where all have one."""
        sources = self.kind.sources
        places = tuple(name for name in DIMENSIONS if all(source.knows(name) for source in sources))
        worker = (WORKER,) if all(source.worker for source in sources) else ()
        buckets = BUCKETS if all(source.time for source in sources) else ()
        return (*places, *worker, *buckets)


LEVELS = ("community", "street", "district", "city")
STAGES = ("dispatch", "accept", "handle", "inspect")

_closed = by_then("closed_at")
_not_void = not_by_then("voided_at")


def _on_time(columns: Columns, asked: Question) -> ColumnElement[bool]:
    """按期 — closed, and completed by the first handling deadline, as the closing says."""
    return and_(_closed(columns, asked), columns.on_time.is_(True))


def _not_shelved(columns: Columns, asked: Question) -> ColumnElement[bool]:
    """Not shelved at the instant of knowledge: never, later, or not any more."""
    return or_(columns.shelved_at.is_(None), columns.shelved_at > asked.as_of, columns.unshelved_at <= asked.as_of)


def _overdue(columns: Columns, asked: Question) -> ColumnElement[bool]:
    """At the period's end: filed, its deadline over, on a clock that no return or shelving had stopped, and not closed yet."""
    end = asked.period.end
    return and_(
        columns.filed_at < end,
        columns.handling_due < end,
        columns.ended_at >= end,
        or_(columns.returned_at.is_(None), columns.returned_at >= columns.handling_due),
        or_(columns.shelved_at.is_(None), columns.shelved_at >= columns.handling_due, columns.unshelved_at < end),
    )


_DUE = Source(fact_table, "handling_due", _not_void, worker="handler")
"""应结案 — cases whose handling deadline, as it stood with pauses, lies in the period; voided ones are none."""
_DUE_NOT_SHELVED = _DUE._replace(where=both(_not_void, _not_shelved))
_CLOSED = Source(fact_table, "closed_at", worker="handler")
_FILED = Source(fact_table, "filed_at")
_SUBMITTED = Source(report_table, "received_at")
_INSPECTED = Source(fact_table, "inspected_at", worker="handler")
_ACCEPTED = Source(fact_table, "accepted_at")
_SHELVED = Source(fact_table, "shelved_at")
_OPEN = Source(fact_table, None, both(by_then("filed_at"), later("ended_at")), worker="holder")
_OVERDUE = Source(fact_table, None, _overdue, worker="handler")


def _of_due(source: Source, above: str, closed: Any) -> Share:
    return Share({"should_have_closed": Part(source), above: Part(source, closed)}, (above,), ("should_have_closed",))


def _latest(columns: Columns, asked: Question) -> ColumnElement[bool]:
    """Of the net that was current at the instant of knowledge."""
    activated = coverage_table.c.activated_at
    current = select(func.max(activated)).where(activated <= asked.as_of).scalar_subquery()
    latest: ColumnElement[bool] = columns.activated_at == current
    return latest


_COVERED = Source(coverage_table, None, _latest)


def _coverage(which: str, name_zh: str, name_en: str, column: str, zh: str, en: str) -> Indicator:
    return Indicator(
        "coverage",
        which,
        f"覆盖率: {name_zh}",
        f"Coverage: {name_en}",
        f"{zh}, 截至时启用的网格",
        f"{en}, of the net that was current at the instant of knowledge",
        Proportion(_COVERED, f"{column}_part", f"{column}_whole"),
    )


INDICATORS = (
    Indicator(
        "filing_rate",
        "v1",
        "立案率",
        "Filing rate",
        "周期内立案数 / 周期内上报数",
        "cases filed / reports submitted, both in the period",
        Share({"submitted": Part(_SUBMITTED), "filed": Part(_FILED)}, ("filed",), ("submitted",)),
    ),
    Indicator(
        "closing_rate",
        "v1",
        "结案率",
        "Closing rate",
        "应结案中已结案数 / 应结案数 (处置时限落在周期内, 含暂停顺延; 注销的不计)",
        "closed, of the should-have-closed / should-have-closed: cases whose handling deadline, as it stood with pauses, "
        "lies in the period; voided ones do not count",
        _of_due(_DUE, "closed", _closed),
    ),
    Indicator(
        "on_time_rate",
        "v1",
        "按期结案率",
        "On-time closing rate",
        "应结案中按期结案数 / 应结案数",
        "closed on time, of the should-have-closed / should-have-closed",
        _of_due(_DUE, "on_time", _on_time),
    ),
    Indicator(
        "on_time_rate",
        "v2",
        "按期结案率 (挂账除外)",
        "On-time closing rate, without the shelved",
        "同 v1, 截至时仍挂账 (缓办) 的案件不计入分母",
        "as v1; cases that are shelved at the instant of knowledge are left out",
        _of_due(_DUE_NOT_SHELVED, "on_time", _on_time),
    ),
    Indicator(
        "on_time_rate",
        "a",
        "按期结案率 A",
        "On-time closing rate A",
        "周期内按期结案数 / 周期内结案数",
        "closed on time / closed, both in the period",
        Share({"closed": Part(_CLOSED), "on_time": Part(_CLOSED, _on_time)}, ("on_time",), ("closed",)),
    ),
    Indicator(
        "on_time_rate",
        "b",
        "按期结案率 B",
        "On-time closing rate B",
        "周期内按期结案数 / (周期内结案数 + 期末超期未结案数)",
        "closed on time in the period / (closed in the period + open and overdue at its end)",
        Share(
            {"closed": Part(_CLOSED), "on_time": Part(_CLOSED, _on_time), "overdue": Part(_OVERDUE)},
            ("on_time",),
            ("closed", "overdue"),
        ),
    ),
    Indicator(
        "rework_rate",
        "v1",
        "返工率",
        "Rework rate",
        "核查不通过至少一次的案件数 / 核查案件数 (首次核查在周期内)",
        "cases with at least one failed inspection / inspected cases; a case counts in the period of its first inspection",
        Share(
            {"inspected": Part(_INSPECTED), "reworked": Part(_INSPECTED, by_then("failed_at"))},
            ("reworked",),
            ("inspected",),
        ),
    ),
    Indicator(
        "shelving_rate",
        "v1",
        "挂账率",
        "Shelving rate",
        "周期内挂账数 / 周期内立案数",
        "cases shelved / cases filed, both in the period",
        Share({"filed": Part(_FILED), "shelved": Part(_SHELVED)}, ("shelved",), ("filed",)),
    ),
    Indicator(
        "escalations",
        "v1",
        "升级数",
        "Escalations",
        "周期内升级次数, 按升至的层级",
        "escalations in the period, by the level that the case was lifted to",
        Tally(Source(escalation_table, "at"), "level", LEVELS, "escalations"),
    ),
    Indicator(
        "missed_deadlines",
        "v1",
        "超时数",
        "Missed deadlines",
        "周期内超时次数, 按环节",
        "deadlines missed in the period, by stage",
        Tally(Source(miss_table, "at"), "stage", STAGES, "deadlines"),
    ),
    Indicator(
        "response_time",
        "v1",
        "响应时间",
        "Response time",
        "从收到上报到首次签收, 首次签收在周期内的案件",
        "from when the city received the report to the first acceptance; cases first accepted in the period",
        Spread(_ACCEPTED, elapsed("received_at", "accepted_at")),
    ),
    Indicator(
        "resolution_time",
        "v1",
        "办结时间",
        "Resolution time",
        "从收到上报到结案, 周期内结案的案件",
        "from when the city received the report to the closing; cases closed in the period",
        Spread(_CLOSED, elapsed("received_at", "closed_at")),
    ),
    Indicator(
        "satisfaction",
        "v1",
        "满意率",
        "Satisfaction",
        "周期内 4 分及以上评价数 / 评价数",
        "ratings of 4 or 5 / ratings, in the period",
        Share(
            {
                "ratings": Part(Source(rating_table, "at")),
                "satisfied": Part(Source(rating_table, "at"), lambda columns, _: columns.score >= SATISFIED),
            },
            ("satisfied",),
            ("ratings",),
        ),
    ),
    Indicator(
        "backlog",
        "v1",
        "积压",
        "Backlog",
        "截至时未结案件数及其案龄 (自收到上报起)",
        "open cases at the instant of knowledge, and their age since the city received the report",
        Spread(_OPEN, lasted("received_at"), leading="count"),
    ),
    Indicator(
        "points",
        "v1",
        "积分",
        "Points",
        "周期内发放、扣回的积分; 截至时未兑余额 (仅全市)",
        "points issued and clawed back in the period; outstanding at the instant of knowledge (whole city only)",
        Points(
            Source(ledger_table, "time"),
            Source(ledger_table, None, by_then("time")),
            {
                "issued": lambda columns: case((columns.points > 0, columns.points), else_=0),
                "clawed_back": lambda columns: case((columns.points < 0, -columns.points), else_=0),
            },
        ),
    ),
    _coverage(
        "grids",
        "网格员",
        "grid workers",
        "grids_on_duty",
        "有在岗网格员的网格 / 网格",
        "grids with an on-duty owner / grids",
    ),
    _coverage(
        "branches",
        "党支部",
        "branches",
        "compounds_with_branch",
        "建有党支部的小区 / 小区",
        "compounds with a branch / compounds",
    ),
    _coverage(
        "panels",
        "1+3+N",
        "panels",
        "compounds_with_panel",
        "1+3+N 齐全的小区 / 小区",
        "compounds with a complete 1+3+N panel / compounds",
    ),
    _coverage(
        "area",
        "面积",
        "area",
        "area_covered",
        "网格覆盖的面积 / 区面积",
        "area that grids cover / area of the district",
    ),
)
"""In the order in which they are shown. The first version of a name is the one meant where none is said."""


class NoSuchIndicator(LookupError):
    """There is no definition of that name or version; the message says which there are."""


def indicator(name: str, version: str = "") -> Indicator:
    """The definition of that name; without a version its first. Raises `NoSuchIndicator`."""
    named = [each for each in INDICATORS if each.name == name]
    if not named:
        known = ", ".join(dict.fromkeys(each.name for each in INDICATORS))
        raise NoSuchIndicator(f"没有指标 · there is no indicator {name!r}; there are {known}")
    found = next((each for each in named if version in ("", each.version)), None)
    if found is None:
        versions = ", ".join(each.version for each in named)
        raise NoSuchIndicator(f"{name} 没有版本 · has no version {version!r}; it has {versions}")
    return found
