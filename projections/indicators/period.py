"""统计周期 — a day, a week, a month, a quarter, a year or any run of days, in the city's local time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EXAMPLES = "2026-11, 2026-11-24, 2026-W48, 2026-Q4, 2026, 2026-11-01/2026-11-15"

_MONTH = re.compile(r"(\d{4})-(\d\d)")
_QUARTER = re.compile(r"(\d{4})-Q([1-4])")
_WEEK = re.compile(r"(\d{4})-W(\d\d)")
_YEAR = re.compile(r"\d{4}")


class NoPeriod(ValueError):
    """The text names no period."""


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` up to, not including, ``end``; ``label`` is how it is written."""

    label: str
    start: datetime
    end: datetime


def period_of(text: str, zone: str) -> Period:
    """The period that ``text`` names; `EXAMPLES` are its forms. Raises `NoPeriod`."""
    try:
        first, after = _days(text.strip())
        return _between(text.strip(), first, after, zone)
    except (ValueError, OverflowError) as error:
        raise NoPeriod(f"{text!r} 不是统计周期 · is no period: give one such as {EXAMPLES}") from error


def month_of(instant: datetime, zone: str) -> Period:
    """The local month in which ``instant`` lies."""
    return period_of(f"{instant.astimezone(ZoneInfo(zone)):%Y-%m}", zone)


def bucket_of(bucket: str, local: date) -> str:
    """The name of the local ``day``, ``week`` or ``month`` in which a local date lies."""
    if bucket == "week":
        year, week, _ = local.isocalendar()
        return f"{year}-W{week:02d}"
    return f"{local:%Y-%m-%d}" if bucket == "day" else f"{local:%Y-%m}"


def _days(text: str) -> tuple[date, date]:
    """The first day, and the first day after."""
    if (found := _MONTH.fullmatch(text)) is not None:
        return _months(int(found[1]), int(found[2]), 1)
    if (found := _QUARTER.fullmatch(text)) is not None:
        return _months(int(found[1]), int(found[2]) * 3 - 2, 3)
    if (found := _WEEK.fullmatch(text)) is not None:
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
        return monday, monday + timedelta(days=7)
    if _YEAR.fullmatch(text):
        return _months(int(text), 1, 12)
    first, slash, last = text.partition("/")
    start, end = date.fromisoformat(first), date.fromisoformat(last if slash else first)
    if end < start:
        raise ValueError("ends before it begins")
    return start, end + timedelta(days=1)


def _months(year: int, month: int, count: int) -> tuple[date, date]:
    years, months = divmod(month - 1 + count, 12)
    return date(year, month, 1), date(year + years, months + 1, 1)


def _between(label: str, first: date, after: date, zone: str) -> Period:
    start, end = (datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC) for day in (first, after))
    return Period(label, start, end)
