"""Deadlines in five kinds of time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import WorkingCalendar
from domain.limits import Limit, LimitKind
from infra.holidays import working_calendar

ZONE = ZoneInfo("Asia/Shanghai")
M, H, ND, WH, WD = LimitKind
CALENDAR = WorkingCalendar(
    version="test",
    holidays=frozenset({date(2026, 10, day) for day in range(1, 8)} | {date(2026, 1, 1)}),
    workdays=frozenset({date(2026, 10, 10)}),
    last_year=2026,
)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("received", "kind", "amount", "expected"),
    [
        ("2026-03-06T17:50", M, 15, "2026-03-06T18:05"),  # minutes run through the evening
        ("2026-03-06T23:30", H, 2, "2026-03-07T01:30"),  # and hours through the night
        ("2026-03-06T17:50", ND, 3, "2026-03-09T17:50"),  # natural days count the weekend
        ("2026-03-06T17:50", WH, 1, "2026-03-09T08:50"),  # Friday 17:50 + 1 working hour → Monday 08:50
        ("2026-03-06T11:30", WH, 1, "2026-03-06T14:30"),  # lunch does not count
        ("2026-03-06T12:40", WH, 2, "2026-03-06T16:00"),  # received over lunch: from 14:00
        ("2026-03-06T06:00", WH, 4, "2026-03-06T12:00"),  # ends with the session, not with the next one's start
        ("2026-03-06T08:00", WD, 1, "2026-03-06T18:00"),  # a working day is eight working hours
        ("2026-03-06T09:00", WD, 1, "2026-03-09T09:00"),
        ("2026-03-07T10:00", WD, 1, "2026-03-09T18:00"),  # received on a Saturday
        ("2026-09-30T17:00", WH, 2, "2026-10-08T09:00"),  # over the national holiday
        ("2026-10-09T17:00", WH, 2, "2026-10-10T09:00"),  # the Saturday after it is a make-up workday
        ("2026-10-09T09:00", WD, 7, "2026-10-19T09:00"),  # 9, 10 (make-up), 12 … 16, 19
    ],
)
def test_a_deadline(received: str, kind: LimitKind, amount: int, expected: str) -> None:
    due = CALENDAR.due(local(received), Limit(kind=kind, amount=amount))
    assert due.at == local(expected)
    assert due.certain


def test_beyond_the_holiday_table_weekdays_count_and_the_deadline_says_so() -> None:
    due = CALENDAR.due(local("2026-12-31T17:00"), Limit(kind=WH, amount=2))
    assert due.at == local("2027-01-01T09:00")  # New Year's day, which the table does not know
    assert not due.certain


def test_what_is_left_of_working_time_stops_at_night() -> None:
    left = CALENDAR.remaining(local("2026-03-06T17:00"), local("2026-03-09T10:00"), WH)
    assert left == timedelta(hours=3)
    assert CALENDAR.remaining(local("2026-03-06T17:00"), local("2026-03-09T10:00"), H) == timedelta(hours=65)


def test_nothing_is_left_of_a_deadline_that_is_over() -> None:
    assert CALENDAR.remaining(local("2026-03-06T17:00"), local("2026-03-06T16:00"), WD) == timedelta()


FIRST = datetime(2026, 1, 1, tzinfo=UTC)
instants = st.integers(0, 330 * 24 * 60).map(lambda minutes: FIRST + timedelta(minutes=minutes))
limits = st.builds(Limit, kind=st.sampled_from(list(LimitKind)), amount=st.integers(1, 40))


@given(instants, limits)
def test_a_deadline_lies_after_its_start_and_a_longer_limit_ends_later(start: datetime, limit: Limit) -> None:
    due = CALENDAR.due(start, limit)
    longer = CALENDAR.due(start, Limit(kind=limit.kind, amount=limit.amount + 1))
    assert start < due.at < longer.at


@given(instants, instants, limits)
def test_who_starts_later_is_never_due_earlier(one: datetime, other: datetime, limit: Limit) -> None:
    first, second = sorted((one, other))
    assert CALENDAR.due(first, limit).at <= CALENDAR.due(second, limit).at


@given(instants, limits)
def test_a_clock_that_stands_still_for_no_time_ends_when_it_would_have(start: datetime, limit: Limit) -> None:
    due = CALENDAR.due(start, limit).at
    left = CALENDAR.remaining(start, due, limit.kind)
    assert CALENDAR.resume(start, left, limit.kind).at == due


@given(instants, st.integers(1, 30), st.integers(1, 30))
def test_working_hours_add_up(start: datetime, first: int, second: int) -> None:
    at_once = CALENDAR.due(start, Limit(kind=WH, amount=first + second)).at
    halfway = CALENDAR.due(start, Limit(kind=WH, amount=first)).at
    assert CALENDAR.resume(halfway, timedelta(hours=second), WH).at == at_once


def test_the_calendar_of_the_product_knows_holidays_and_make_up_workdays() -> None:
    calendar = working_calendar()
    assert not calendar.is_working_day(date(2024, 10, 1))
    assert calendar.is_working_day(date(2024, 10, 12))  # a Saturday that was worked for the holiday before it
    assert not calendar.is_working_day(date(2024, 10, 13))
    assert calendar.is_working_day(date(2024, 10, 14))
    assert calendar.last_year >= 2026


def test_a_limit_reads_well_in_both_languages() -> None:
    assert Limit(kind=M, amount=15).text_zh == "15 分钟"
    assert Limit(kind=WD, amount=1).text_en == "1 working day"
    assert Limit(kind=WD, amount=3).text_en == "3 working days"
