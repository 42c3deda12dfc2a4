"""Which column of a table holds what: by name where it is given, by the headers that cities publish under otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from infra.importing.faults import UnusableHistory, did_you_mean


class Column(StrEnum):
    """What a column may hold; the values are the names of the command line's options."""

    ID = "id"
    TIME = "time"
    LON = "lon"
    LAT = "lat"
    CATEGORY = "category"
    DESCRIPTION = "description"
    REPORTER = "reporter"
    CLOSED = "closed"


NAMES = {
    Column.ID: "编号 · key",
    Column.TIME: "上报时间 · time of the report",
    Column.LON: "经度 · longitude",
    Column.LAT: "纬度 · latitude",
    Column.CATEGORY: "类别 · category",
    Column.DESCRIPTION: "描述 · description",
    Column.REPORTER: "上报人 · reporter",
    Column.CLOSED: "办结时间 · closing time",
}
OPTIONS = {Column.CATEGORY: "--category, or --category-value CODE for all rows"}
"""What may be said of a missing column, where that is more than its name."""


@dataclass(frozen=True, slots=True)
class Export:
    """A header that is known: for every column the names it goes by, the preferred one first."""

    name: str
    names: Mapping[Column, tuple[str, ...]]
    telling: tuple[Column, ...] = (Column.ID, Column.TIME)
    """By these it is recognised."""
    month_first: bool = True
    """Dates that can be read either way have the month first."""

    def fits(self, header: Collection[str]) -> bool:
        """Whether the telling columns are there."""
        return all(any(plain(name) in header for name in self.names[column]) for column in self.telling)


EXPORTS = (
    Export(
        "case_enquiry_id, open_dt, …",
        {
            Column.ID: ("case_enquiry_id",),
            Column.TIME: ("open_dt",),
            Column.CLOSED: ("closed_dt",),
            Column.CATEGORY: ("type", "case_title"),
            Column.DESCRIPTION: ("case_title",),
            Column.LON: ("longitude",),
            Column.LAT: ("latitude",),
        },
    ),
    Export(
        "Unique Key, Created Date, …",
        {
            Column.ID: ("Unique Key",),
            Column.TIME: ("Created Date",),
            Column.CLOSED: ("Closed Date",),
            Column.CATEGORY: ("Complaint Type",),
            Column.DESCRIPTION: ("Descriptor",),
            Column.LON: ("Longitude",),
            Column.LAT: ("Latitude",),
        },
    ),
    Export(
        "CaseID, Opened, … · service_request_id, requested_datetime, …",
        {
            Column.ID: ("CaseID", "service_request_id"),
            Column.TIME: ("Opened", "requested_datetime"),
            Column.CLOSED: ("Closed", "closed_date"),
            Column.CATEGORY: ("Category", "service_name"),
            Column.DESCRIPTION: ("Request Details", "service_details", "description"),
            Column.LON: ("Longitude", "long", "lon"),
            Column.LAT: ("Latitude", "lat"),
        },
    ),
    Export(
        "SR_NUMBER, CREATED_DATE, …",
        {
            Column.ID: ("SR_NUMBER",),
            Column.TIME: ("CREATED_DATE",),
            Column.CLOSED: ("CLOSED_DATE",),
            Column.CATEGORY: ("SR_TYPE",),
            Column.LON: ("LONGITUDE",),
            Column.LAT: ("LATITUDE",),
        },
    ),
    Export(
        "Stime, Lng, Lat, Etime, ELng, ELat, distance",
        {Column.TIME: ("Etime",), Column.LON: ("ELng",), Column.LAT: ("ELat",)},
        telling=(Column.TIME, Column.LON, Column.LAT),
        month_first=False,
    ),
    Export(
        "time, lon, lat, … · 上报时间, 经度, 纬度, … · 工单编号, 受理时间, …",
        {
            Column.ID: ("id", "编号", "工单编号"),
            Column.TIME: ("time", "上报时间", "受理时间"),
            Column.CLOSED: ("closed", "办结时间", "结案时间"),
            Column.CATEGORY: ("category", "类别", "诉求类别"),
            Column.DESCRIPTION: ("description", "描述", "问题描述", "诉求内容"),
            Column.REPORTER: ("reporter", "上报人"),
            Column.LON: ("lon", "经度"),
            Column.LAT: ("lat", "纬度"),
        },
        telling=(Column.TIME,),
        month_first=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Where a table's columns are."""

    header: Sequence[str]
    at: Mapping[Column, int]
    export: Export | None
    """The known header, if it is one."""

    def name(self, column: Column) -> str:
        """What the file calls a column; the option's name where it has none."""
        return self.header[self.at[column]] if column in self.at else column.value


def find_columns(header: Sequence[str], named: Mapping[Column, str], needed: Collection[Column]) -> Found:
    """The columns that are named, and those of a known header that are not. Raises `UnusableHistory`."""
    plain_names = [plain(name) for name in header]
    export = next((export for export in EXPORTS if export.fits(plain_names)), None)
    at = {column: _index(header, name, column) for column, name in named.items()}
    for column, names in (export.names if export else {}).items():
        known = [plain_names.index(plain(name)) for name in names if plain(name) in plain_names]
        if known:
            at.setdefault(column, known[0])
    if missing := [column for column in Column if column in needed and column not in at]:
        wanted = "; ".join(f"{NAMES[column]} → {OPTIONS.get(column, f'--{column.value}')}" for column in missing)
        raise UnusableHistory(f"没有找到列 · columns that are not found, name them: {wanted}. {_columns_of(header)}")
    return Found(header, at, export)


def _index(header: Sequence[str], name: str, column: Column) -> int:
    if name in header:
        return header.index(name)
    alike = [index for index, each in enumerate(header) if plain(each) == plain(name)]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise UnusableHistory(
            f"--{column.value} {name}: 不止一列 · more than one column is called so. {_columns_of(header)}"
        )
    raise UnusableHistory(
        f"--{column.value} {name}: 没有此列 · there is no such column{did_you_mean(name, header)}. {_columns_of(header)}"
    )


def _columns_of(header: Sequence[str]) -> str:
    return f"文件的列 · the file's columns: {', '.join(header)}"


def plain(name: str) -> str:
    """A column's name without regard to case and to what stands between its words."""
    return name.strip().casefold().replace("_", " ")
