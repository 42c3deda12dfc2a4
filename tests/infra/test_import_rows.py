"""A city's own table becomes rows that can be replayed, and rejects that say why they cannot."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.crs import Crs
from domain.place import Place
from infra.importing import rows as reasons
from infra.importing.categories import write_template
from infra.importing.columns import Column
from infra.importing.faults import UnusableHistory
from infra.importing.history import History, ImportOptions, Reject
from infra.importing.reading import count_categories, read_history
from infra.importing.rejects import write_rejects
from infra.importing.rows import row_id
from infra.importing.times import EPOCH
from infra.seed import seed_edition

FIXTURES = Path(__file__).parent.parent / "fixtures"
EDITION = seed_edition()
LAMP, GRAFFITI, BIN = "H-0103", "C-0102", "C-0103"
NEW_YORK = "America/New_York"


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path / "table.csv")


class Table:
    """A file that a test writes, and reads as a history."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def holds(self, text: str, encoding: str = "utf-8") -> Table:
        self.path.write_text(text, encoding=encoding, newline="")
        return self

    def read(self, options: ImportOptions | None = None) -> History:
        return read_history(self.path, options or ImportOptions(zone="UTC"), EDITION)

    def rejected(self, cells: str, header: str = "id,time,closed,lon,lat,category") -> Reject:
        """Why one row is left out beside a good one."""
        history = self.holds(f"{header}\n{cells}\ngood,2020-01-01 10:00,,1,1,{LAMP}\n").read()
        assert [row.line for row in history.rows] == [3]
        (reject,) = history.rejects
        return reject


def read(name: str) -> History:
    """A fixture, in the local time of New York, with one category for all."""
    return read_history(FIXTURES / name, ImportOptions(zone=NEW_YORK, category=LAMP), EDITION)


# -- headers that are known ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("cases_open_dt.csv", "case_enquiry_id open_dt longitude latitude type case_title closed_dt"),
        (
            "cases_created_date.csv",
            "Unique Key|Created Date|Longitude|Latitude|Complaint Type|Descriptor|Closed Date",
        ),
        (
            "cases_requested_datetime.csv",
            "service_request_id requested_datetime long lat service_name service_details closed_date",
        ),
        ("cases_sr_number.csv", "SR_NUMBER CREATED_DATE LONGITUDE LATITUDE SR_TYPE CLOSED_DATE"),
        ("trips.csv", "Etime ELng ELat"),
        ("zhongwen.csv", "编号 上报时间 经度 纬度 类别 问题描述 办结时间"),
    ],
)
def test_a_known_header_needs_no_options(name: str, columns: str) -> None:
    history = read(name)
    assert list(history.columns.values()) == columns.split("|" if "|" in columns else " ")


def test_cases_by_case_enquiry_id_are_read_unchanged() -> None:
    history = read("cases_open_dt.csv")
    first = history.rows[0]
    assert (first.line, first.opened_at) == (2, datetime(2023, 3, 10, 13, 15, tzinfo=UTC))
    assert first.closed_at == datetime(2023, 3, 10, 21, 40, 12, tzinfo=UTC)
    assert (first.place, first.description) == (Place(lon=-30.0101, lat=40.0051), "Street Light Outage")
    assert (history.total, history.repeated) == (17, 1)
    assert next(row for row in history.rows if row.line == 6).place is None


def test_cases_by_unique_key_are_read_unchanged() -> None:
    history = read("cases_created_date.csv")
    assert [(row.opened_at, row.closed_at) for row in history.rows] == [
        (datetime(2015, 2, 1, 4, 59, 45, tzinfo=UTC), datetime(2015, 2, 1, 5, tzinfo=UTC)),
        (datetime(2015, 2, 1, 5, 10, tzinfo=UTC), None),
    ]
    assert [(reject.line, reject.value) for reject in history.rejects] == [(4, "01/01/1900 12:00:00 AM")]


def test_cases_by_service_request_id_and_by_sr_number_are_read_unchanged() -> None:
    zoned, naive = read("cases_requested_datetime.csv").rows
    assert (zoned.opened_at.hour, naive.opened_at.hour) == (8, 12)
    first, _ = read("cases_sr_number.csv").rows
    assert first.closed_at == datetime(2019, 1, 6, 18, 2, tzinfo=UTC)


def test_a_trip_is_a_report_where_and_when_it_ends() -> None:
    history = read_history(FIXTURES / "trips.csv", ImportOptions(category=LAMP), EDITION)
    first, second = history.rows
    assert (first.opened_at, first.place) == (
        datetime(2020, 1, 19, 16, 17, 58, tzinfo=UTC),
        Place(lon=114.0151, lat=22.5101),
    )
    assert (first.closed_at, second.reporter, history.repeated) == (None, None, 1)
    assert history.zone == "Asia/Shanghai"
    assert any("Asia/Shanghai" in said for said in history.settled)


def test_a_chinese_export_is_read_in_its_own_encoding_delimiter_and_coordinates(tmp_path: Path) -> None:
    template = tmp_path / "map.csv"
    write_template(template, count_categories(FIXTURES / "zhongwen.csv", ImportOptions()), EDITION)
    _accept_suggestions(template)
    options = ImportOptions(crs=Crs.GCJ02, category_map=template)
    first, second = read_history(FIXTURES / "zhongwen.csv", options, EDITION).rows
    assert (first.category, second.category, first.description) == (LAMP, "C-0101", "东门外第三盏")
    assert first.place is not None
    assert (first.place.crs, first.place.original_lon, first.place.original_lat) == (Crs.GCJ02, 114.01, 22.51)
    assert 0.004 < 114.01 - first.place.lon < 0.006


def _accept_suggestions(template: Path) -> None:
    with template.open(encoding="utf-8-sig", newline="") as file:
        header, *found = csv.reader(file)
    with template.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *([value, n, code, code, name] for value, n, _, code, name in found)])


# -- columns -------------------------------------------------------------------------------------------------------


def test_an_option_overrides_what_is_recognised(table: Table) -> None:
    table.holds(f"time,seen,lon,lat,category\n2020-01-01,2020-01-02,1,2,{LAMP}\n")
    history = table.read(ImportOptions(columns={Column.TIME: "SEEN"}, zone="UTC"))
    assert history.rows[0].opened_at == datetime(2020, 1, 2, tzinfo=UTC)
    assert history.columns[Column.LAT] == "lat"


def test_columns_that_are_not_found_are_listed_with_their_options(table: Table) -> None:
    table.holds("when,where\n2020-01-01,here\n")
    with pytest.raises(UnusableHistory) as caught:
        table.read()
    assert all(word in str(caught.value) for word in ("--time", "--lon", "--lat", "--category", "when, where"))


def test_a_named_column_that_is_not_there_is_an_error_with_a_hint(table: Table) -> None:
    table.holds(f"time,lon,lat,category,reported\n2020-01-01,1,2,{LAMP},x\n")
    with pytest.raises(UnusableHistory, match="did you mean reported"):
        table.read(ImportOptions(columns={Column.TIME: "reportd"}))


def test_two_columns_of_one_name_cannot_be_told_apart(table: Table) -> None:
    table.holds(f"Time,TIME,lon,lat,category\n2020-01-01,2020-01-02,1,2,{LAMP}\n")
    with pytest.raises(UnusableHistory, match="more than one"):
        table.read(ImportOptions(columns={Column.TIME: "time"}))
    history = table.read(ImportOptions(columns={Column.TIME: "TIME"}, zone="UTC"))
    assert history.rows[0].opened_at.day == 2


# -- what a row can have wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "reason", "column", "value"),
    [
        ("1,soon,,1,1,H-0103", "the time cannot be read", "time", "soon"),
        ("1,,,1,1,H-0103", "the time of the report is missing", "time", ""),
        ("1,NULL,,1,1,H-0103", "the time of the report is missing", "time", "NULL"),
        ("1,2999-01-01,,1,1,H-0103", "in the future", "time", "2999-01-01"),
        ("1,2020-01-01,2999-01-01,1,1,H-0103", "in the future", "closed", "2999-01-01"),
        ("1,2020-01-01,later,1,1,H-0103", "the time cannot be read", "closed", "later"),
        ("1,2020-01-02,2020-01-01,1,1,H-0103", "closed before it was reported", "closed", "2020-01-01"),
        ("1,2020-01-01,,1,,H-0103", "one coordinate without the other", "lat", "1, "),
        ("1,2020-01-01,,,1,H-0103", "one coordinate without the other", "lon", ", 1"),
        ("1,2020-01-01,,181,1,H-0103", "out of range", "lon", "181, 1"),
        ("1,2020-01-01,,1,-90.5,H-0103", "out of range", "lon", "1, -90.5"),
        ("1,2020-01-01,,inf,1,H-0103", "out of range", "lon", "inf, 1"),
        ("1,2020-01-01,,0.0,0,H-0103", "exactly 0,0", "lon", "0.0"),
        ("1,2020-01-01,,east,1,H-0103", "not a number", "lon", "east"),
        ("1,2020-01-01,,1,1,Bees", "not mapped", "category", "Bees"),
        ("good,2020-01-01,,1,1", "not as many cells", "", "5 / 6"),
    ],
)
def test_a_row_that_is_left_out_says_why(table: Table, cells: str, reason: str, column: str, value: str) -> None:
    reject = table.rejected(cells)
    assert reason in reject.reason
    assert " · " in reject.reason
    assert (reject.line, reject.column, reject.value) == (2, column, value)


def test_every_reject_of_an_export_has_its_line_and_reason() -> None:
    history = read("cases_open_dt.csv")
    assert Counter(reject.reason for reject in history.rejects) == Counter(
        [
            reasons.WRONG_NUMBER,
            reasons.NO_TIME,
            reasons.FUTURE,
            reasons.CLOSED_BEFORE,
            reasons.HALF_A_PLACE,
            reasons.OFF_THE_GLOBE,
            reasons.ORIGIN,
            reasons.CONTRADICTION,
            "夏令时开始, 当地没有这一时刻 · no such local time: summer time began",
            "时间无法读取 · the time cannot be read",
        ]
    )
    assert len(history.rows) + len(history.rejects) + history.repeated == history.total


def test_a_key_with_other_content_is_left_out_and_the_same_row_again_is_counted(table: Table) -> None:
    row = f"7,2020-01-01,,1,2,{LAMP}\n"
    history = table.holds(
        "id,time,closed,lon,lat,category\n" + row + row + row.replace("1,2,", "1,3,"), "utf-8-sig"
    ).read()
    assert ([each.line for each in history.rows], history.repeated) == ([2], 1)
    assert [(reject.line, reject.value) for reject in history.rejects] == [(4, "7")]


def test_a_row_that_was_left_out_does_not_take_its_key_along(table: Table) -> None:
    text = f"id,time,lon,lat,category\n7,soon,1,2,{LAMP}\n7,2020-01-01,1,2,{LAMP}\n"
    history = table.holds(text).read()
    assert [row.line for row in history.rows] == [3]


def test_rejects_are_written_in_the_order_of_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "made" / "rejects.csv"
    write_rejects(file, [Reject(9, "坏 · bad", "x,y", "time"), Reject(2, "坏 · bad", "", "lon")])
    with file.open(encoding="utf-8-sig", newline="") as opened:
        assert list(csv.reader(opened)) == [
            ["line", "column", "value", "reason"],
            ["2", "lon", "", "坏 · bad"],
            ["9", "time", "x,y", "坏 · bad"],
        ]


# -- files ---------------------------------------------------------------------------------------------------------


def test_compressed_quoted_and_broken_lines_are_read(table: Table) -> None:
    rows = (f'2020-01-01,1,2,{LAMP},"two\r\nlines, ""quoted"""', "", f"2020-01-02,1,2,{LAMP},", "")
    text = "\r\n".join(("time,lon,lat,category,description", *rows))
    table.path.write_bytes(gzip.compress(text.encode("utf-8-sig")))
    first, second = table.read().rows
    assert (first.line, first.description) == (2, 'two\r\nlines, "quoted"')
    assert (second.line, second.description) == (5, None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_found_out(table: Table, encoding: str, delimiter: str) -> None:
    text = f"time,lon,lat,category,description\n2020-01-01,1,2,{LAMP},路灯\n".replace(",", delimiter)
    assert table.holds(text, encoding).read().rows[0].description == "路灯"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "header"),
        (b"\n\n", "header"),
        (b"time,lon,lat,category\n", "no row"),
        (b"\x1f\x8bnot gzip at all", "gzip"),
        (gzip.compress(b"time,lon,lat,category\n" * 999)[:-20], "gzip"),
        (b"time,lon,lat,category\n2020-01-01,1,2,H-0103\xff\xff\n", "--encoding"),
        (b"time,lon,lat,category\nsoon,1,2,H-0103\nlater,1,2,H-0103\n", "--time-format"),
        (b"time,lon,lat,category\n02/01/2020,1,2,H-0103\n", "--time-format"),
    ],
)
def test_a_file_of_no_use_says_why(table: Table, content: bytes, word: str) -> None:
    table.path.write_bytes(content)
    with pytest.raises(UnusableHistory, match=word):
        table.read()


def test_a_zone_is_asked_for_unless_the_history_is_chinese(table: Table) -> None:
    table.holds(f"time,lon,lat,category\n2020-01-01,-71,42,{LAMP}\n")
    with pytest.raises(UnusableHistory, match="--zone America/New_York"):
        table.read(ImportOptions())
    table.holds(f"time,lon,lat,category\n2020-01-01,,,{LAMP}\n")
    with pytest.raises(UnusableHistory, match="--zone"):
        table.read(ImportOptions())


# -- categories ----------------------------------------------------------------------------------------------------


def test_a_template_lists_what_was_found_and_suggests_but_does_not_decide(tmp_path: Path) -> None:
    template = tmp_path / "map.csv"
    codes = write_template(template, count_categories(FIXTURES / "cases_open_dt.csv", ImportOptions()), EDITION)
    with template.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["category"], row["count"], row["code"], row["suggestion"]) for row in found] == [
        ("Graffiti", "10", "", GRAFFITI),
        ("Street Light Out", "3", "", LAMP),
        ("Overflowing Trash Can", "2", "", BIN),
        ("Bees", "1", "", ""),
    ]
    listed = codes.read_text(encoding="utf-8-sig").splitlines()
    assert len(listed) == 1 + len(EDITION.categories)


def test_a_map_decides_and_what_it_leaves_empty_is_left_out(table: Table, tmp_path: Path) -> None:
    category_map = tmp_path / "map.csv"
    category_map.write_text(f"Code;Category\n{GRAFFITI};Tag\n;{LAMP}\n")
    table.holds(f"time,lon,lat,category\n2020-01-01,1,2,Tag\n2020-01-02,1,2,{LAMP}\n2020-01-03,1,2,{BIN}\n")
    history = table.read(ImportOptions(zone="UTC", category_map=category_map))
    assert [row.category for row in history.rows] == [GRAFFITI, BIN]
    assert [(reject.line, reject.value) for reject in history.rejects] == [(3, LAMP)]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (f"category,code\nTag,{GRAFFITI}\nBees,C-01021\n", r"line 3.*did you mean C-0102"),
        (f"category,code\nTag,{GRAFFITI}\nTag,{LAMP}\n", "line 3"),
        ("what,code\nTag,C-0102\n", "columns category and code"),
        ("category,code\nTag,\n", "--map-template"),
    ],
)
def test_a_map_that_cannot_be_used_says_where(table: Table, tmp_path: Path, content: str, word: str) -> None:
    category_map = tmp_path / "map.csv"
    category_map.write_text(content)
    table.holds("time,lon,lat,category\n2020-01-01,1,2,Tag\n")
    with pytest.raises(UnusableHistory, match=word):
        table.read(ImportOptions(zone="UTC", category_map=category_map))


def test_without_codes_and_without_a_map_nothing_is_guessed(table: Table) -> None:
    table.holds("time,lon,lat,category\n2020-01-01,1,2,Graffiti\n2020-01-01,1,2,Street lamp out\n")
    with pytest.raises(UnusableHistory, match=r"2 categories in the file.*--map-template"):
        table.read()


def test_one_category_for_all_rows_must_be_in_the_catalogue() -> None:
    with pytest.raises(UnusableHistory, match=r"--category-value H-01033.*did you mean H-0103"):
        read_history(FIXTURES / "trips.csv", ImportOptions(category="H-01033"), EDITION)
    with pytest.raises(UnusableHistory, match="not both"):
        read_history(FIXTURES / "trips.csv", ImportOptions(category=LAMP, category_map=Path("map.csv")), EDITION)


# -- ids and order -------------------------------------------------------------------------------------------------


@given(st.integers(0, 7 * 10**15), st.binary(min_size=32, max_size=32))
def test_a_rows_id_is_a_uuid7_of_its_open_time(micros: int, digest: bytes) -> None:
    opened = EPOCH + timedelta(microseconds=micros)
    made = row_id(opened, digest)
    parsed = UUID(made)
    assert (parsed.version, parsed.variant, str(parsed)) == (7, "specified in RFC 4122", made)
    assert parsed.int >> 80 == micros // 1000
    assert made == row_id(opened, digest)
    assert made[:13] <= row_id(opened + timedelta(milliseconds=1), digest)[:13]


def test_a_row_keeps_its_id_whatever_stands_around_it_and_whenever_it_is_closed(table: Table) -> None:
    header, row = "id,time,closed,lon,lat,category\n", f"7,2020-01-01 10:00,,1,2,{LAMP}\n"
    (before,) = table.holds(header + row).read().rows
    others = f"6,2020-01-01 09:00,,1,2,{LAMP}\n8,2020-01-01 10:00,,1,2,{LAMP}\n"
    after = table.holds(header + others + row.replace(",,", ",2020-01-02,")).read().rows
    assert before.uuid == after[2].uuid
    assert len({each.uuid for each in after}) == 3


def test_rows_without_a_key_are_told_apart_by_their_content(table: Table) -> None:
    text = f"time,lon,lat,category,note\n2020-01-01,1,2,{LAMP},a\n2020-01-01,1,2,{LAMP},b\n2020-01-01,1,2,{LAMP},a\n"
    history = table.holds(text).read()
    assert len({row.uuid for row in history.rows}) == 2
    assert history.repeated == 1


def test_rows_stand_in_the_order_of_time_then_of_lines(table: Table) -> None:
    times = ("10:00", "08:00", "10:00", "09:00")
    text = "".join(f"{at},2020-01-01 {time},1,2,{LAMP}\n" for at, time in enumerate(times))
    history = table.holds("id,time,lon,lat,category\n" + text).read()
    assert [row.line for row in history.rows] == [3, 5, 2, 4]
