"""Reading a city's history: what the file does not say is settled from all its rows, before the first is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from math import isfinite
from operator import attrgetter
from pathlib import Path
from statistics import median_low
from zoneinfo import ZoneInfo

from domain.catalogue import Edition
from domain.crs import Crs
from infra.importing.categories import code_of_each
from infra.importing.columns import Column, Found, find_columns
from infra.importing.faults import BadCell, UnusableHistory
from infra.importing.history import History, HistoryRow, ImportOptions, Progress, Reject
from infra.importing.rows import WRONG_NUMBER, RawRow, RowReader, raw_rows
from infra.importing.table import UTF8, Table
from infra.importing.times import (
    UNREADABLE,
    Parse,
    TimeReader,
    parser_of_format,
    parser_of_order,
    settle_orders,
    zone_of,
)

CHINA = (73.5, 18.1, 135.1, 53.6)
"""West, south, east, north of the box in which a history without a zone is taken for Chinese."""
CHINA_ZONE = "Asia/Shanghai"
PROGRESS_EVERY = 2000
EITHER_WAY = ", 日月两可, 取月在前 · either way round fits, the month is taken first"
READING, UNDERSTANDING = "读取 · reading", "解析 · understanding"


def silent(_: str, __: int, ___: int) -> None:
    """Progress that nobody watches."""


def read_history(path: Path, options: ImportOptions, edition: Edition, progress: Progress = silent) -> History:
    """The history in a table, for the catalogue ``edition``. Raises `UnusableHistory`, `OSError`."""
    table = Table(path, options.encoding, options.delimiter)
    needed = {Column.TIME, Column.LON, Column.LAT} | ({Column.CATEGORY} if options.category is None else set())
    found = find_columns(table.header, options.columns, needed)
    rejects: list[Reject] = []
    raws = list(raw_rows(table, found, rejects, partial(progress, READING)))
    if not raws:
        raise UnusableHistory(f"{path} 没有可读的行 · has no row with as many cells as its header")
    codes = code_of_each(Counter(raw.category for raw in raws), options, edition)
    zone, of_zone = _zone(options, raws)
    parsers, of_times = _parsers(options, found, raws)
    opened, closed = (TimeReader(parse, zone) for parse in parsers)
    reader = RowReader(found, opened, closed, options.crs or Crs.WGS84, codes, datetime.now(UTC))
    rows = sorted(_understood(raws, reader, rejects, progress), key=attrgetter("opened_at"))
    if not rows and all(reject.reason == UNREADABLE for reject in rejects):
        raise UnusableHistory(
            f"没有一个时间能读取 · no time can be read, such as {raws[0].time!r} in {found.name(Column.TIME)}: say --time-format"
        )
    return History(
        rows=rows,
        rejects=rejects,
        total=len(raws) + sum(reject.reason == WRONG_NUMBER for reject in rejects),
        repeated=reader.repeated,
        ambiguous_times=opened.ambiguous + closed.ambiguous,
        zone=zone.key,
        columns={column: found.name(column) for column in Column if column in found.at},
        settled=[*_of_table(table, found, options), *of_times, *of_zone],
    )


def count_categories(path: Path, options: ImportOptions, progress: Progress = silent) -> Counter[str]:
    """How often each category is in a table. Raises `UnusableHistory`, `OSError`."""
    table = Table(path, options.encoding, options.delimiter)
    found = find_columns(table.header, options.columns, {Column.CATEGORY})
    return Counter(raw.category for raw in raw_rows(table, found, [], partial(progress, READING)))


def _understood(
    raws: Sequence[RawRow], reader: RowReader, rejects: list[Reject], progress: Progress
) -> Iterator[HistoryRow]:
    for done, raw in enumerate(raws, start=1):
        try:
            row = reader.read(raw)
        except BadCell as bad:
            rejects.append(Reject(raw.line, bad.reason, bad.value, bad.column))
        else:
            if row is not None:
                yield row
        if done % PROGRESS_EVERY == 0 or done == len(raws):
            progress(UNDERSTANDING, done, len(raws))


def _of_table(table: Table, found: Found, options: ImportOptions) -> Iterator[str]:
    if found.export is not None:
        yield f"表头 · header: {found.export.name}"
    if options.encoding is None and table.encoding != UTF8:
        yield f"编码 · encoding: {table.encoding} (--encoding)"
    if options.delimiter is None and table.delimiter != ",":
        yield f"分隔符 · delimiter: {table.delimiter!r} (--delimiter)"
    if Column.CLOSED not in found.at:
        yield "没有办结时间列, 案件都未结 · no column of closing times: every case stays open (--closed)"
    if options.crs is None:
        yield "坐标系 · coordinates: WGS-84 (--crs)"


def _parsers(options: ImportOptions, found: Found, raws: Sequence[RawRow]) -> tuple[tuple[Parse, Parse], list[str]]:
    """How opening and closing times are read."""
    if options.time_format is not None:
        given = parser_of_format(options.time_format)
        return (given, given), []
    month_first = found.export is not None and found.export.month_first
    settled = settle_orders([[raw.time for raw in raws], [raw.closed for raw in raws]], month_first=month_first)
    said = [
        f"{found.name(column)}: {order}{EITHER_WAY if either_way else ''} (--time-format)"
        for column, (order, either_way) in zip((Column.TIME, Column.CLOSED), settled, strict=True)
        if column in found.at
    ]
    opened, closed = (parser_of_order(order) for order, _ in settled)
    return (opened, closed), said


def _zone(options: ImportOptions, raws: Sequence[RawRow]) -> tuple[ZoneInfo, list[str]]:
    """The zone of times that bear none, and of the working calendar."""
    if options.zone is not None:
        return zone_of(options.zone), []
    west, south, east, north = CHINA
    lon, lat = (_median(cells) for cells in ([raw.lon for raw in raws], [raw.lat for raw in raws]))
    if lon is None or lat is None or not (west <= lon <= east and south <= lat <= north):
        raise UnusableHistory(
            "时区未知 · whose local time is it? say --zone, such as --zone America/New_York (without it only a history whose "
            f"coordinates lie in China is taken, as {CHINA_ZONE})"
        )
    return zone_of(CHINA_ZONE), [f"时区 · zone: {CHINA_ZONE}, 坐标在中国 · the coordinates lie in China (--zone)"]


def _median(cells: Sequence[str]) -> float | None:
    numbers = []
    for cell in cells:
        try:
            number = float(cell)
        except ValueError:
            continue
        if isfinite(number) and number:
            numbers.append(number)
    return median_low(numbers) if numbers else None
