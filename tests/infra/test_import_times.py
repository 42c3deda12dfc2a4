"""Times in tables: which order a column is in, whose local time it is, and what no clock ever showed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.importing.faults import UnusableHistory
from infra.importing.times import (
    SKIPPED,
    TOO_OLD,
    UNREADABLE,
    Order,
    TimeReader,
    UnreadableTime,
    parser_of_format,
    parser_of_order,
    settle_orders,
    zone_of,
)

NEW_YORK = ZoneInfo("America/New_York")
INSTANTS = st.integers(10**8, 2 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
SHAPES = {
    Order.YMD: ("%Y-%m-%d %H:%M:%S", "%Y/%m/%dT%H:%M:%S", "%Y.%m.%d %I:%M:%S %p"),
    Order.MDY: ("%m/%d/%Y %I:%M:%S %p", "%m-%d-%Y %H:%M:%S"),
    Order.DMY: ("%d.%m.%Y %H:%M:%S", "%d/%m/%Y %I:%M:%S%p"),
}


def reader(order: Order = Order.YMD, zone: ZoneInfo = NEW_YORK) -> TimeReader:
    return TimeReader(parser_of_order(order), zone)


@pytest.mark.parametrize(
    ("order", "text", "expected"),
    [
        (Order.YMD, "2015-01-01 00:10:26", "2015-01-01T05:10:26+00:00"),
        (Order.YMD, "2015-1-1 0:10", "2015-01-01T05:10:00+00:00"),
        (Order.YMD, "2015-01-01", "2015-01-01T05:00:00+00:00"),
        (Order.YMD, "2015-01-01T00:10:26.5Z", "2015-01-01T00:10:26.500000+00:00"),
        (Order.YMD, "2015/01/01 00:10:26 +08:00", "2014-12-31T16:10:26+00:00"),
        (Order.YMD, "2015-01-01T00:10:26-0330", "2015-01-01T03:40:26+00:00"),
        (Order.MDY, "01/31/2015 11:59:45 PM", "2015-02-01T04:59:45+00:00"),
        (Order.MDY, "1/5/2015 1:02", "2015-01-05T06:02:00+00:00"),
        (Order.MDY, "1/5/2015 12:02 am", "2015-01-05T05:02:00+00:00"),
        (Order.DMY, "31/01/2015 12:02 PM", "2015-01-31T17:02:00+00:00"),
    ],
)
def test_a_time_is_read_as_it_is_written(order: Order, text: str, expected: str) -> None:
    assert reader(order).read(text) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("soon", UNREADABLE),
        ("2015-02-30 10:00", UNREADABLE),
        ("2015-01-01 25:00", UNREADABLE),
        ("2015-01-01 13:00 PM", UNREADABLE),
        ("2015-01-01 10:00 tomorrow", UNREADABLE),
        ("0001-01-01 00:00+14:00", UNREADABLE),
        ("1900-01-01 00:00", TOO_OLD),
        ("2023-03-12 02:30:00", SKIPPED),
    ],
)
def test_what_is_no_time_says_why(text: str, reason: str) -> None:
    with pytest.raises(UnreadableTime, match=reason.split(" · ")[1]):
        reader().read(text)


def test_of_two_times_that_the_clocks_showed_the_first_counts() -> None:
    times = reader()
    assert times.read("2023-11-05 01:30:00") == datetime(2023, 11, 5, 5, 30, tzinfo=UTC)
    assert times.read("2023-11-05 02:30:00") == datetime(2023, 11, 5, 7, 30, tzinfo=UTC)
    assert times.read("2023-11-05 01:30:00-05:00") == datetime(2023, 11, 5, 6, 30, tzinfo=UTC)
    assert times.ambiguous == 1


@given(INSTANTS)
def test_every_instant_is_read_back_from_the_clocks_of_its_city(instant: datetime) -> None:
    local = instant.astimezone(NEW_YORK)
    read = reader().read(local.replace(tzinfo=None).isoformat())
    assert read == instant - (timedelta(hours=1) if local.fold else timedelta())


@given(INSTANTS, st.sampled_from(Order), st.data())
def test_every_order_reads_what_was_written_in_it(instant: datetime, order: Order, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(SHAPES[order]))
    read = reader(order, ZoneInfo("UTC")).read(instant.strftime(shape))
    assert read == instant


def test_the_order_that_fits_most_dates_is_the_columns() -> None:
    days_after_twelve = ["01/31/2015 10:00 PM", "02/28/2015 1:00 AM", "31/12/2015 1:00"]
    assert settle_orders([days_after_twelve], month_first=False) == [(Order.MDY, False)]
    assert settle_orders([["31/01/2015", "03/02/2015"]], month_first=True) == [(Order.DMY, False)]
    assert settle_orders([["2015-01-02T10:00:00Z"]], month_first=False) == [(Order.YMD, False)]


def test_one_column_tells_of_the_other() -> None:
    opened, closed = ["01/02/2015 10:00"], ["01/02/2015 11:00", "13/02/2015 11:00"]
    assert settle_orders([opened, closed], month_first=False) == [(Order.DMY, False), (Order.DMY, False)]


def test_a_column_without_times_takes_the_order_of_the_other() -> None:
    assert settle_orders([["31/01/2015"], ["", ""]], month_first=False) == [(Order.DMY, False), (Order.DMY, False)]


def test_dates_that_fit_either_way_are_taken_month_first_only_where_the_export_is_known_for_it() -> None:
    assert settle_orders([["01/02/2015"]], month_first=True) == [(Order.MDY, True)]
    with pytest.raises(UnusableHistory, match="--time-format"):
        settle_orders([["01/02/2015"]], month_first=False)


@pytest.mark.parametrize(
    ("time_format", "text", "expected"),
    [
        ("%d %b %Y %H:%M", "05 Jan 2015 01:02", "2015-01-05T06:02:00+00:00"),
        ("%Y年%m月%d日 %H时", "2015年01月05日 01时", "2015-01-05T06:00:00+00:00"),
        ("%Y-%m-%d %H:%M %z", "2015-01-05 01:02 +0800", "2015-01-04T17:02:00+00:00"),
        ("epoch", "1420441320", "2015-01-05T07:02:00+00:00"),
        ("epoch-ms", "1420441320500", "2015-01-05T07:02:00.500000+00:00"),
    ],
)
def test_a_given_format_decides(time_format: str, text: str, expected: str) -> None:
    assert TimeReader(parser_of_format(time_format), NEW_YORK).read(text) == datetime.fromisoformat(expected)


@pytest.mark.parametrize("text", ["nan", "inf", "1e300", "", "2015-01-05"])
def test_an_epoch_that_is_none_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableTime, match="cannot be read"):
        TimeReader(parser_of_format("epoch"), NEW_YORK).read(text)


def test_a_format_or_a_zone_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnusableHistory, match="--time-format %Q"):
        parser_of_format("%Q")
    for name in ("America/New_Yrok", "America", "../etc/passwd"):
        with pytest.raises(UnusableHistory, match=f"--zone {name}"):
            zone_of(name)
    with pytest.raises(UnusableHistory, match="did you mean America/New_York"):
        zone_of("America/New_Yrok")
