"""Times as tables write them: one order of day, month and year for a column, one zone for what bears none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum
from functools import cache, partial
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from infra.importing.faults import UnusableHistory, did_you_mean

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Parse = Callable[[str], datetime]
"""Reads a text; the time has a zone if the text has. Raises `ValueError`, `OverflowError`."""

UNREADABLE = "时间无法读取 · the time cannot be read"
SKIPPED = "夏令时开始, 当地没有这一时刻 · no such local time: summer time began"
TOO_OLD = "早于 1970 年 · before 1970"


class Order(StrEnum):
    """In which order a date is written."""

    YMD = "年-月-日 · year-month-day"
    MDY = "月/日/年 · month/day/year"
    DMY = "日/月/年 · day/month/year"


_YEAR, _MONTH, _DAY = "(?P<year>[0-9]{4})", "(?P<month>[0-9]{1,2})", "(?P<day>[0-9]{1,2})"
_BETWEEN = "[-/.]"
_CLOCK = (
    r"(?:(?:T|\s+)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"(?:\s*(?P<half>[AP])M)?\s*(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_TIMES = {
    order: re.compile(_BETWEEN.join(parts) + _CLOCK, re.IGNORECASE)
    for order, parts in {
        Order.YMD: (_YEAR, _MONTH, _DAY),
        Order.MDY: (_MONTH, _DAY, _YEAR),
        Order.DMY: (_DAY, _MONTH, _YEAR),
    }.items()
}
_DATE = re.compile(r"[0-9./-]+")


class UnreadableTime(ValueError):
    """A text that is no time, or none that was; the message is one of a fixed set (Chinese · English)."""


class TimeReader:
    """Reads the times of one column, and counts those that the end of summer time brings twice."""

    def __init__(self, parse: Parse, zone: ZoneInfo) -> None:
        self._parse, self._zone = parse, zone
        self._offset_of = cache(self._offset)
        self.ambiguous = 0

    def read(self, text: str) -> datetime:
        """The instant in UTC; of two that the clocks showed, the first. Raises `UnreadableTime`."""
        try:
            said = self._parse(text)
            instant = self._local(said) if said.tzinfo is None else said.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise UnreadableTime(SKIPPED if isinstance(error, _Skipped) else UNREADABLE) from error
        if instant < EPOCH:
            raise UnreadableTime(TOO_OLD)
        return instant

    def _local(self, said: datetime) -> datetime:
        offset = self._offset_of(said.date())
        if offset is None:
            first, second = self._offsets(said)
            if first < second:
                raise _Skipped
            self.ambiguous += first > second
            offset = first
        return (said - offset).replace(tzinfo=UTC)

    def _offset(self, day: date) -> timedelta | None:
        """From UTC, where it is the same all day."""
        begin, end = datetime.combine(day, time.min), datetime.combine(day, time.max)
        offsets = {*self._offsets(begin), *self._offsets(end)}
        return offsets.pop() if len(offsets) == 1 else None

    def _offsets(self, said: datetime) -> tuple[timedelta, timedelta]:
        """Of the first and the second time that the clocks show ``said``; the first is less where they skip it."""
        aware = said.replace(tzinfo=self._zone)
        first, second = aware.utcoffset(), aware.replace(fold=1).utcoffset()
        if first is None or second is None:
            raise ValueError("a zone without an offset")
        return first, second


class _Skipped(ValueError):
    """The clocks were put forward over this time."""


class Settled(NamedTuple):
    """The order of a column's dates, and whether another one fits as well."""

    order: Order
    either_way: bool


def settle_orders(columns: Sequence[Iterable[str]], *, month_first: bool) -> list[Settled]:
    """For each column of one table the order that fits most of its dates; where two do, the one that fits most of all columns.

    Raises `UnusableHistory` where day and month cannot be told apart and ``month_first`` does not say.
    """
    fits = [_fits(cells) for cells in columns]
    all_fits = sum(fits, Counter[Order]())
    settled = []
    for own in fits:
        best = max((own[order], all_fits[order]) for order in Order)
        orders = [order for order in Order if (own[order], all_fits[order]) == best]
        either_way = len(orders) > 1 and best[0] > 0
        if either_way and not month_first:
            raise UnusableHistory(
                "日和月无法区分 · day and month cannot be told apart: say --time-format '%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M' "
                "(%S seconds, %I:%M %p for 12 hours)"
            )
        settled.append(Settled(orders[0], either_way))
    return settled


def _fits(cells: Iterable[str]) -> Counter[Order]:
    dates = Counter(found[0] for cell in cells if (found := _DATE.match(cell)))
    fits: Counter[Order] = Counter()
    for text, times in dates.items():
        fits.update({order: times for order in Order if _is_date(text, order)})
    return fits


def _is_date(text: str, order: Order) -> bool:
    found = _TIMES[order].fullmatch(text)
    if found is None:
        return False
    try:
        date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError:
        return False
    return True


def parser_of_order(order: Order) -> Parse:
    """Reads ISO 8601 and its relatives: 24 or 12 hours, seconds and fractions or none, a zone or none, a bare date."""
    return _parse_year_first if order is Order.YMD else partial(_parse_in_order, _TIMES[order])


def _parse_year_first(text: str) -> datetime:
    """Most of these are ISO 8601 to the letter, which Python reads by itself in a tenth of the time."""
    if text[4:5] == text[7:8] == "-":
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    return _parse_in_order(_TIMES[Order.YMD], text)


def _parse_in_order(pattern: re.Pattern[str], text: str) -> datetime:
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second, fraction, half, zone = found.group(
        "year", "month", "day", "hour", "minute", "second", "fraction", "half", "zone"
    )
    hours = int(hour or 0)
    if half:
        if not 1 <= hours <= 12:
            raise ValueError(text)
        hours = hours % 12 + (12 if half in "pP" else 0)
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    at = datetime(int(year), int(month), int(day), hours, int(minute or 0), int(second or 0), micros)  # noqa: DTZ001
    return at.replace(tzinfo=_zone_of(zone)) if zone else at


def _zone_of(text: str) -> timezone:
    if text in "zZ":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[3:].lstrip(":") or 0)
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def parser_of_format(time_format: str) -> Parse:
    """Reads a ``strptime`` format, ``epoch`` or ``epoch-ms`` (since 1970 UTC). Raises `UnusableHistory`."""
    if time_format in ("epoch", "epoch-ms"):
        unit = timedelta(seconds=1) if time_format == "epoch" else timedelta(milliseconds=1)
        return lambda text: EPOCH + float(text) * unit
    try:
        datetime.strptime(EPOCH.strftime(time_format), time_format)  # noqa: DTZ007
    except ValueError as error:
        raise UnusableHistory(f"--time-format {time_format}: {error}") from error
    return lambda text: datetime.strptime(text, time_format)  # noqa: DTZ007


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name. Raises `UnusableHistory`."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        hint = did_you_mean(name, available_timezones())
        raise UnusableHistory(f"--zone {name}: 没有此时区 · there is no such time zone{hint}") from error
