"""Deadlines in five kinds of time."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

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
        ("2026-03-06T14:00", WH, 4, "2026-03-06T18:00"),  # nor with the next morning's
        ("2026-03-06T12:00", WH, 1, "2026-03-06T15:00"),  # received as lunch begins
        ("2026-03-05T18:00", WH, 1, "2026-03-06T09:00"),  # received as the office closes
        ("2026-03-06T08:00", WD, 1, "2026-03-06T18:00"),  # a working day is eight working hours
        ("2026-03-06T09:00", WD, 1, "2026-03-09T09:00"),
        ("2026-03-07T10:00", WD, 1, "2026-03-09T18:00"),  # received on a Saturday
        ("2026-09-30T17:00", WH, 2, "2026-10-08T09:00"),  # over the national holiday
        ("2026-10-03T10:00", WH, 1, "2026-10-08T09:00"),  # received in its midst
        ("2025-12-31T17:00", WH, 2, "2026-01-02T09:00"),  # over New Year
        ("2025-12-31T17:00", ND, 1, "2026-01-01T17:00"),  # on which natural days do not rest
        ("2026-10-09T17:00", WH, 2, "2026-10-10T09:00"),  # the Saturday after it is a make-up workday
        ("2026-10-09T09:00", WD, 7, "2026-10-19T09:00"),  # 9, 10 (make-up), 12 … 16, 19
    ],
)
def test_a_deadline(received: str, kind: LimitKind, amount: int, expected: str) -> None:
    due = CALENDAR.due(local(received), Limit(kind=kind, amount=amount))
    assert due.at == local(expected)
    assert due.at.tzinfo is UTC
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


@pytest.mark.parametrize("kind", LimitKind)
def test_a_clock_with_nothing_left_is_due_at_once(kind: LimitKind) -> None:
    now = local("2026-10-03T10:00")  # also where nobody works
    assert CALENDAR.remaining(now, now, kind) == timedelta()
    assert CALENDAR.resume(now, timedelta(), kind) == (now, True)


def test_a_change_of_the_clocks_moves_natural_days_and_working_time_but_no_hours() -> None:
    zone = ZoneInfo("America/New_York")
    calendar = WorkingCalendar(version="test", zone=zone.key, last_year=2026)
    before = datetime(2026, 3, 6, 17, tzinfo=zone)  # the Friday before a night of 23 hours
    assert calendar.due(before, Limit(kind=ND, amount=3)).at == datetime(2026, 3, 9, 17, tzinfo=zone)
    assert calendar.due(before, Limit(kind=WH, amount=2)).at == datetime(2026, 3, 9, 9, tzinfo=zone)
    assert calendar.due(before, Limit(kind=H, amount=72)).at == datetime(2026, 3, 9, 18, tzinfo=zone)
    assert calendar.remaining(before, datetime(2026, 3, 9, 17, tzinfo=zone), H) == timedelta(hours=71)


@pytest.mark.parametrize(
    "sessions",
    [
        (),
        ((time(8), time(8)),),
        ((time(14), time(12)),),
        ((time(14), time(18)), (time(8), time(12))),
        ((time(8), time(12)), (time(11), time(18))),
    ],
    ids=["none", "without length", "backwards", "out of order", "overlapping"],
)
def test_a_calendar_whose_sessions_do_not_follow_one_another_is_no_calendar(
    sessions: tuple[tuple[time, time], ...],
) -> None:
    with pytest.raises(ValidationError, match="sessions follow one another"):
        WorkingCalendar(version="test", sessions=sessions, last_year=2026)


FIRST = datetime(2026, 1, 1, tzinfo=UTC)
instants = st.integers(0, 330 * 24 * 60).map(lambda minutes: FIRST + timedelta(minutes=minutes))
limits = st.builds(Limit, kind=st.sampled_from(list(LimitKind)), amount=st.integers(1, 40))


@given(instants, limits)
def test_a_deadline_lies_after_its_start_and_a_longer_limit_ends_later(start: datetime, limit: Limit) -> None:
    due = CALENDAR.due(start, limit)
    longer = CALENDAR.due(start, Limit(kind=limit.kind, amount=limit.amount + 1))
    assert start < due.at < longer.at


@given(st.integers(0, 330 * 24), st.integers(1, 40))
def test_between_start_and_deadline_lie_as_many_worked_hours_as_the_limit_says(start_hour: int, amount: int) -> None:
    start = FIRST + timedelta(hours=start_hour)
    due = CALENDAR.due(start, Limit(kind=WH, amount=amount)).at
    between = [start + timedelta(hours=n) for n in range((due - start) // timedelta(hours=1))]
    worked = [hour for hour in between if is_worked(hour.astimezone(ZONE))]
    assert len(worked) == amount
    assert between[-1] == worked[-1]  # the deadline is the end of the last of them, not the start of the next
    assert CALENDAR.remaining(start, due, WH) == timedelta(hours=amount)


def is_worked(hour: datetime) -> bool:
    return CALENDAR.is_working_day(hour.date()) and hour.hour in {8, 9, 10, 11, 14, 15, 16, 17}


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
    assert calendar.version == f"cn-{calendar.last_year}+chinesecalendar-{version('chinesecalendar')}"


def test_the_table_of_the_product_holds_a_holiday_s_weekend_and_only_weekends_make_up_for_it() -> None:
    calendar = working_calendar()
    assert {date(2024, 10, day) for day in range(1, 8)} <= calendar.holidays  # 5 and 6 are a weekend
    assert not calendar.holidays & calendar.workdays
    assert all(day.weekday() >= 5 for day in calendar.workdays)


def test_a_calendar_is_written_in_the_same_bytes_by_every_process() -> None:
    written = json.loads(working_calendar().model_dump_json())
    assert written["holidays"] == sorted(written["holidays"])
    assert written["workdays"] == sorted(written["workdays"])
    assert WorkingCalendar.model_validate(written) == working_calendar()


def test_a_limit_reads_well_in_both_languages() -> None:
    assert Limit(kind=M, amount=15).text_zh == "15 分钟"
    assert Limit(kind=WD, amount=1).text_en == "1 working day"
    assert Limit(kind=WD, amount=3).text_en == "3 working days"
