"""One row of a table → one report of the past, or the cell for which it is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from domain.crs import Crs, to_wgs84
from domain.place import Place
from infra.importing.columns import Column, Found
from infra.importing.faults import BadCell
from infra.importing.history import HistoryRow, Reject
from infra.importing.table import Table, Told
from infra.importing.times import EPOCH, TimeReader, UnreadableTime

WRONG_NUMBER = "单元格数与表头不符 · not as many cells as the header"
NO_TIME = "没有上报时间 · the time of the report is missing"
FUTURE = "在未来 · in the future"
CLOSED_BEFORE = "办结早于上报 · closed before it was reported"
HALF_A_PLACE = "经纬度只有其一 · one coordinate without the other"
NO_NUMBER = "坐标不是数字 · a coordinate is not a number"
OFF_THE_GLOBE = "坐标超出范围 · coordinates out of range"
ORIGIN = "坐标为 0,0 · coordinates are exactly 0,0"
UNMAPPED = "类别没有对应编码 · the category is not mapped"
CONTRADICTION = "同一编号另有不同内容 · same key with other content"

NOTHING = frozenset({"", "null", "none", "nan", "na", "n/a", "nat", "\\n"})
"""What exports write where there is no time and no coordinate."""
SEPARATOR = "\x1f"
MILLISECOND = timedelta(milliseconds=1)
VARIANT = "89ab"


class RawRow(NamedTuple):
    """The cells of a row that matter, in the order of `Column`, without the space around them; empty: no such column."""

    line: int
    content: bytes
    """A hash of the whole row."""
    id: str
    time: str
    lon: str
    lat: str
    category: str
    description: str
    reporter: str
    closed: str


def raw_rows(table: Table, found: Found, rejects: list[Reject], told: Told) -> Iterator[RawRow]:
    """The rows of ``table``; those that do not have the header's number of cells go to ``rejects``."""
    width, places = len(table.header), [found.at.get(column) for column in Column]
    for line, cells in table.rows(told):
        if len(cells) != width:
            rejects.append(Reject(line, WRONG_NUMBER, f"{len(cells)} / {width}", ""))
            continue
        content = sha256(SEPARATOR.join(cells).encode()).digest()
        yield RawRow(line, content, *[cells[place].strip() if place is not None else "" for place in places])


class RowReader:
    """Turns raw rows into reports, one after the other in the order of the file; remembers the keys, and counts repetitions."""

    def __init__(
        self, found: Found, opened: TimeReader, closed: TimeReader, crs: Crs, codes: Mapping[str, str], now: datetime
    ) -> None:
        self._found, self._crs, self._codes, self._now = found, crs, codes, now
        self._opened, self._closed = opened, closed
        self._seen: dict[str, bytes] = {}
        self.repeated = 0

    def read(self, raw: RawRow) -> HistoryRow | None:
        """The report in a row, or None where the same one has been read before. Raises `BadCell`."""
        if _is_nothing(raw.time):
            raise self._bad(NO_TIME, Column.TIME, raw.time)
        opened = self._time(self._opened, Column.TIME, raw.time)
        closed = None if _is_nothing(raw.closed) else self._time(self._closed, Column.CLOSED, raw.closed)
        if closed is not None and closed < opened:
            raise self._bad(CLOSED_BEFORE, Column.CLOSED, raw.closed)
        place = self._place(raw)
        category = self._codes.get(raw.category)
        if category is None:
            raise self._bad(UNMAPPED, Column.CATEGORY, raw.category)
        uuid = row_id(opened, sha256(raw.id.encode()).digest() if raw.id else raw.content)
        key = raw.id or uuid
        before = self._seen.get(key)
        if before == raw.content:
            self.repeated += 1
            return None
        if before is not None:
            raise self._bad(CONTRADICTION, Column.ID, raw.id)
        self._seen[key] = raw.content
        return HistoryRow(
            raw.line, uuid, opened, closed, category, place, raw.description or None, raw.reporter or None
        )

    def _time(self, reader: TimeReader, column: Column, text: str) -> datetime:
        try:
            instant = reader.read(text)
        except UnreadableTime as error:
            raise self._bad(str(error), column, text) from error
        if instant > self._now:
            raise self._bad(FUTURE, column, text)
        return instant

    def _place(self, raw: RawRow) -> Place | None:
        no_lon, no_lat = _is_nothing(raw.lon), _is_nothing(raw.lat)
        if no_lon and no_lat:
            return None
        if no_lon or no_lat:
            raise self._bad(HALF_A_PLACE, Column.LON if no_lon else Column.LAT, f"{raw.lon}, {raw.lat}")
        lon, lat = self._degrees(Column.LON, raw.lon), self._degrees(Column.LAT, raw.lat)
        if lon == lat == 0:
            raise self._bad(ORIGIN, Column.LON, raw.lon)
        if not _on_the_globe(lon, lat):
            raise self._bad(OFF_THE_GLOBE, Column.LON, f"{raw.lon}, {raw.lat}")
        if self._crs is Crs.WGS84:
            return Place(lon=lon, lat=lat)
        true_lon, true_lat = (round(degrees, 7) for degrees in to_wgs84(lon, lat, self._crs))
        if not _on_the_globe(true_lon, true_lat):
            raise self._bad(OFF_THE_GLOBE, Column.LON, f"{raw.lon}, {raw.lat}")
        return Place(lon=true_lon, lat=true_lat, crs=self._crs, original_lon=lon, original_lat=lat)

    def _degrees(self, column: Column, text: str) -> float:
        try:
            return float(text)
        except ValueError as error:
            raise self._bad(NO_NUMBER, column, text) from error

    def _bad(self, reason: str, column: Column, value: str) -> BadCell:
        return BadCell(reason, self._found.name(column), value)


def row_id(opened: datetime, digest: bytes) -> str:
    """UUIDv7 (RFC 9562): the milliseconds of ``opened``, the other bits from ``digest``."""
    time, rest = f"{(opened - EPOCH) // MILLISECOND:012x}", digest.hex()
    return f"{time[:8]}-{time[8:]}-7{rest[:3]}-{VARIANT[digest[-1] & 3]}{rest[3:6]}-{rest[6:18]}"


def _is_nothing(text: str) -> bool:
    return text.casefold() in NOTHING


def _on_the_globe(lon: float, lat: float) -> bool:
    return -180 <= lon <= 180 and -90 <= lat <= 90
