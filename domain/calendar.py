"""工作日历 — deadlines in continuous and in working time, with public holidays and make-up workdays (调休)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.limits import Limit, LimitKind
from domain.message import Value

WORKING = frozenset({LimitKind.WORKING_HOURS, LimitKind.WORKING_DAYS})
SATURDAY = 5


class Due(NamedTuple):
    """A deadline in UTC; ``certain`` is false where it was computed beyond the holiday table's last year."""

    at: datetime
    certain: bool


class WorkingCalendar(Value):
    """Who works when. Beyond ``last_year`` plain weekdays count, and what is computed there is marked so."""

    version: str
    zone: str = "Asia/Shanghai"
    sessions: tuple[tuple[time, time], ...] = ((time(8), time(12)), (time(14), time(18)))
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()
    last_year: int

    def is_working_day(self, day: date) -> bool:
        """Whether ``day`` is worked: a weekday that is no holiday, or a make-up workday."""
        return day in self.workdays or (day.weekday() < SATURDAY and day not in self.holidays)

    def due(self, start: datetime, limit: Limit) -> Due:
        """The deadline of something that starts at ``start`` (aware). A working day is one day's sessions (8 hours)."""
        match limit.kind:
            case LimitKind.MINUTES:
                return Due(start + timedelta(minutes=limit.amount), True)
            case LimitKind.HOURS:
                return Due(start + timedelta(hours=limit.amount), True)
            case LimitKind.NATURAL_DAYS:
                local = start.astimezone(self._zone)
                return Due((local + timedelta(days=limit.amount)).astimezone(UTC), True)
            case LimitKind.WORKING_HOURS:
                return self._work(start, timedelta(hours=limit.amount))
            case LimitKind.WORKING_DAYS:
                return self._work(start, self._day_length * limit.amount)

    def remaining(self, now: datetime, due: datetime, kind: LimitKind) -> timedelta:
        """How much of a ``kind`` of time is left between ``now`` and ``due``; zero when it is over."""
        if due <= now:
            return timedelta()
        if kind not in WORKING:
            return due - now
        total = timedelta()
        for begin, end in self._sessions_from(now):
            if begin >= due:
                break
            total += min(end, due) - max(begin, now)
        return total

    def resume(self, now: datetime, remaining: timedelta, kind: LimitKind) -> Due:
        """The deadline of a clock that goes on at ``now`` with ``remaining`` left."""
        return self._work(now, remaining) if kind in WORKING else Due(now + remaining, True)

    def _work(self, start: datetime, left: timedelta) -> Due:
        if left <= timedelta():
            return Due(start, True)
        for begin, end in self._sessions_from(start):
            begin = max(begin, start)
            if left <= end - begin:
                at = begin + left
                return Due(at, at.astimezone(self._zone).year <= self.last_year)
            left -= end - begin
        raise OverflowError("a calendar has no end")

    def _sessions_from(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The sessions that end after ``start``, in UTC, in order, for ever."""
        day = start.astimezone(self._zone).date()
        while True:
            if self.is_working_day(day):
                for opens, closes in self.sessions:
                    end = datetime.combine(day, closes, self._zone).astimezone(UTC)
                    if end > start:
                        yield datetime.combine(day, opens, self._zone).astimezone(UTC), end
            day += timedelta(days=1)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @cached_property
    def _day_length(self) -> timedelta:
        midnight = date(2000, 1, 1)
        return sum(
            (datetime.combine(midnight, end) - datetime.combine(midnight, begin) for begin, end in self.sessions),
            timedelta(),
        )
