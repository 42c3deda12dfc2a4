"""工作日历 — deadlines in continuous and in working time, with public holidays and make-up workdays (调休)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import chain, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pydantic import field_serializer, field_validator

from domain.limits import Limit, LimitKind
from domain.message import Value

WORKING = frozenset({LimitKind.WORKING_HOURS, LimitKind.WORKING_DAYS})
SATURDAY = 5
DAY = timedelta(days=1)
DAYS_REMEMBERED_MAX = 1024

Sessions = tuple[tuple[time, time], ...]


class Due(NamedTuple):
    """A deadline in UTC; ``certain`` is false where it was computed beyond the holiday table's last year."""

    at: datetime
    certain: bool


class WorkingCalendar(Value):
    """Who works when. Beyond ``last_year`` plain weekdays count, and what is computed there is marked so."""

    version: str
    zone: str = "Asia/Shanghai"
    sessions: Sessions = ((time(8), time(12)), (time(14), time(18)))
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()
    last_year: int

    @field_validator("sessions")
    @classmethod
    def _one_after_the_other(cls, sessions: Sessions) -> Sessions:
        """Without a session that has a length, a working hour would never come."""
        bounds = list(chain.from_iterable(sessions))
        if not bounds or any(earlier >= later for earlier, later in pairwise(bounds)):
            raise ValueError("sessions follow one another within a day, each opening before it closes")
        return sessions

    @field_serializer("holidays", "workdays", when_used="json")
    def _in_order(self, days: frozenset[date]) -> list[date]:
        """A set has another order in every process; the bytes of a calendar, and ids made from them, must not."""
        return sorted(days)

    def is_working_day(self, day: date) -> bool:
        """Whether ``day`` is worked: a weekday that is no holiday, or a make-up workday."""
        return day in self.workdays or (day.weekday() < SATURDAY and day not in self.holidays)

    def due(self, start: datetime, limit: Limit) -> Due:
        """The deadline of something that starts at ``start`` (aware). A working day is one day's sessions (8 hours)."""
        start = start.astimezone(UTC)
        match limit.kind:
            case LimitKind.MINUTES:
                return Due(start + timedelta(minutes=limit.amount), True)
            case LimitKind.HOURS:
                return Due(start + timedelta(hours=limit.amount), True)
            case LimitKind.NATURAL_DAYS:
                same_clock_time = start.astimezone(self._zone) + timedelta(days=limit.amount)
                return Due(same_clock_time.astimezone(UTC), True)
            case LimitKind.WORKING_HOURS:
                return self._work(start, timedelta(hours=limit.amount))
            case LimitKind.WORKING_DAYS:
                return self._work(start, self._day_length * limit.amount)

    def remaining(self, now: datetime, due: datetime, kind: LimitKind) -> timedelta:
        """How much of a ``kind`` of time is left between ``now`` and ``due``; zero when it is over."""
        now, due = now.astimezone(UTC), due.astimezone(UTC)
        if due <= now:
            return timedelta()
        if kind not in WORKING:
            return due - now
        total = timedelta()
        for begin, end in self._sessions_from(now):
            if begin >= due:
                break
            total += min(end, due) - begin
        return total

    def resume(self, now: datetime, remaining: timedelta, kind: LimitKind) -> Due:
        """The deadline of a clock that goes on at ``now`` with ``remaining`` left."""
        now = now.astimezone(UTC)
        return self._work(now, remaining) if kind in WORKING else Due(now + remaining, True)

    def _work(self, start: datetime, left: timedelta) -> Due:
        if left <= timedelta():
            return Due(start, True)
        for begin, end in self._sessions_from(start):
            if left <= end - begin:
                break
            left -= end - begin
        at = begin + left
        return Due(at, at.astimezone(self._zone).year <= self.last_year)

    def _sessions_from(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """What is left of the working time from ``start`` on: one session after the other, in UTC, for ever."""
        day = start.astimezone(self._zone).date()
        while True:
            if self.is_working_day(day):
                for begin, end in _sessions_on(day, self.sessions, self._zone):
                    if end > start:
                        yield max(begin, start), end
            day += DAY

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


@lru_cache(maxsize=DAYS_REMEMBERED_MAX)
def _sessions_on(day: date, sessions: Sessions, zone: ZoneInfo) -> tuple[tuple[datetime, datetime], ...]:
    """The sessions of one day in UTC. Remembered: every case asks for the same few days, and zones are slow."""
    return tuple(
        (datetime.combine(day, opens, zone).astimezone(UTC), datetime.combine(day, closes, zone).astimezone(UTC))
        for opens, closes in sessions
    )
