"""`beeline import`: a city's own history, replayed at its own times."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import TaskID
from rich.table import Table
from sqlalchemy.exc import DBAPIError

from domain.crs import Crs
from infra.cli.options import DEFAULT_DATA, DataFolder, fail, progress_bar
from infra.importing.categories import write_template
from infra.importing.columns import Column
from infra.importing.edition import edition_in
from infra.importing.faults import UnusableHistory
from infra.importing.history import History, ImportOptions, Progress
from infra.importing.host import UnfinishedLog
from infra.importing.reading import count_categories, read_history
from infra.importing.rejects import write_rejects
from infra.importing.run import HistoryBeforeLog, ImportResult, replay_history
from infra.keystore import KeysUnavailable
from infra.net.files import read_net
from streams.commit import CorruptCommit
from streams.protocol import CommandLogMismatch

COLUMNS, FORMATS, CATEGORIES = "列 · Columns", "格式 · Formats", "类别 · Categories"
GO_ON = "再次运行同一命令即可继续 · the same command goes on from what is written"
notes = Console(stderr=True)


def _column(column: Column, help_text: str) -> Any:
    return typer.Option(f"--{column.value}", metavar="COLUMN", help=help_text, rich_help_panel=COLUMNS)


def _format(help_text: str) -> Any:
    return typer.Option(help=help_text, rich_help_panel=FORMATS)


HistoryFile = Annotated[Path, typer.Argument(help="CSV with a header; .gz is read as it is.", metavar="FILE")]
NetFile = Annotated[
    Path | None, typer.Option(help="Make this net current (see `beeline net`); Shenzhen in an empty folder without it.")
]
RejectsFile = Annotated[
    Path | None, typer.Option(help="Where rows that are left out go, with reasons; in the data folder without it.")
]
Notices = Annotated[bool, typer.Option("--notices", help="Issue the daily notices at the top of the ladder too.")]
AsJson = Annotated[bool, typer.Option("--json", help="The summary as one JSON line, last.")]

KeyColumn = Annotated[str | None, _column(Column.ID, "Key of a row; its whole content without one.")]
TimeColumn = Annotated[str | None, _column(Column.TIME, "When it was reported.")]
LonColumn = Annotated[str | None, _column(Column.LON, "Longitude in degrees.")]
LatColumn = Annotated[str | None, _column(Column.LAT, "Latitude in degrees.")]
CategoryColumn = Annotated[str | None, _column(Column.CATEGORY, "The city's category, or our code.")]
DescriptionColumn = Annotated[str | None, _column(Column.DESCRIPTION, "Free text; it is sealed.")]
ReporterColumn = Annotated[
    str | None, _column(Column.REPORTER, "An id of the person, not a name; anonymous without it.")
]
ClosedColumn = Annotated[str | None, _column(Column.CLOSED, "When it was closed; empty while open.")]

TimeFormat = Annotated[str | None, _format("As for strptime, or epoch, epoch-ms; found out without it.")]
Zone = Annotated[str | None, _format("Of times without one, such as America/New_York; Asia/Shanghai in China.")]
CoordinateSystem = Annotated[Crs | None, _format("Of the coordinates; wgs84 without it.")]
Encoding = Annotated[str | None, _format("UTF-8, UTF-16 and GB18030 are found out.")]
Delimiter = Annotated[str | None, _format("Comma, semicolon, tab, bar are found out.")]

CategoryMap = Annotated[
    Path | None,
    typer.Option("--map", help="Table of category → code, as --map-template writes it.", rich_help_panel=CATEGORIES),
]
MapTemplate = Annotated[
    Path | None, typer.Option(help="Write a table to fill in, and import nothing.", rich_help_panel=CATEGORIES)
]
OneCategory = Annotated[
    str | None, typer.Option(metavar="CODE", help="One category for all rows.", rich_help_panel=CATEGORIES)
]


def import_history(
    file: HistoryFile,
    data: DataFolder = DEFAULT_DATA,
    net: NetFile = None,
    key: KeyColumn = None,
    time: TimeColumn = None,
    lon: LonColumn = None,
    lat: LatColumn = None,
    category: CategoryColumn = None,
    description: DescriptionColumn = None,
    reporter: ReporterColumn = None,
    closed: ClosedColumn = None,
    time_format: TimeFormat = None,
    zone: Zone = None,
    crs: CoordinateSystem = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    category_map: CategoryMap = None,
    map_template: MapTemplate = None,
    category_value: OneCategory = None,
    rejects: RejectsFile = None,
    notices: Notices = False,
    as_json: AsJson = False,
) -> None:
    """导入历史 · Replay a city's history as reports at their own times; what is known already is skipped.

    Headers of well-known exports are recognised. No server may be running, and the log is empty or ends before the first
    new row.
    """
    named = zip(Column, (key, time, lon, lat, category, description, reporter, closed), strict=True)
    columns = {column: name for column, name in named if name is not None}
    options = ImportOptions(columns, time_format, zone, crs, category_value, category_map, encoding, delimiter)
    try:
        if map_template is not None:
            _write_template(file, options, map_template, data)
        else:
            where = rejects or data / f"{file.name}.rejects.csv"
            _import(file, data, options, net, where, notices=notices, as_json=as_json)
    except (UnusableHistory, HistoryBeforeLog, UnfinishedLog, CommandLogMismatch, CorruptCommit) as error:
        fail(str(error))
    except DBAPIError as error:
        fail(f"{data}: {error.orig}. {GO_ON}")
    except (sqlite3.Error, KeysUnavailable) as error:
        fail(f"{data}: {error}. {GO_ON}")
    except KeyboardInterrupt:
        notes.print(f"已中断 · interrupted. {GO_ON}", soft_wrap=True)
        raise


def _write_template(file: Path, options: ImportOptions, out: Path, data: Path) -> None:
    if out.exists():
        fail(f"{out} 已存在 · exists: what is filled in there would be lost; name another file")
    with _bars() as progress:
        found = count_categories(file, options, progress)
    codes = write_template(out, found, edition_in(data))
    notes.print(f"{out}: {len(found)} 种类别 categories", soft_wrap=True)
    notes.print(f"在 code 列填入 {codes} 中的编码 · fill in the column code with codes from {codes}", soft_wrap=True)
    notes.print(f"下一步 · next: the same command with --map {out} in place of --map-template", soft_wrap=True)


def _import(
    file: Path,
    data: Path,
    options: ImportOptions,
    net_file: Path | None,
    rejects: Path,
    *,
    notices: bool,
    as_json: bool,
) -> None:
    net = read_net(net_file) if net_file else None
    with _bars() as progress:
        history = read_history(file, options, edition_in(data), progress)
        write_rejects(rejects, history.rejects)
        result = replay_history(data, history, net=net, zone=history.zone, notices=notices, progress=progress)
    if result.refused:
        write_rejects(rejects, [*history.rejects, *result.refused])
    summary = _summary(history, result, rejects)
    _show(summary)
    if as_json:
        typer.echo(json.dumps(summary, ensure_ascii=False))


@contextmanager
def _bars() -> Iterator[Progress]:
    """A bar for each part of the work, as it is heard of."""
    with progress_bar(notes) as bar:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, of_all: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of_all)
            bar.update(tasks[what], completed=done, total=of_all)

        yield told


def _summary(history: History, result: ImportResult, rejects: Path) -> dict[str, Any]:
    zone = ZoneInfo(history.zone)
    period = [row.opened_at.astimezone(zone).isoformat() for row in history.rows]
    return {
        "rows": history.total,
        "imported": result.imported,
        "known": result.known,
        "repeated": history.repeated,
        "rejected": len(history.rejects),
        "refused": len(result.refused),
        "reasons": dict(Counter(each.reason for each in (*history.rejects, *result.refused)).most_common()),
        "rejects": str(rejects),
        "filed": result.filed,
        "outside": result.outside,
        "attached": result.attached,
        "closed": result.closed,
        "points": result.points,
        "first": period[0] if period else None,
        "last": period[-1] if period else None,
        "zone": history.zone,
        "ambiguous_times": history.ambiguous_times,
        "columns": dict(history.columns),
        "settled": list(history.settled),
    }


LINES = {
    "rows": "文件的行 · rows of the file",
    "imported": "导入 · imported",
    "known": "已知 · known already",
    "repeated": "重复 · repeated in the file",
    "rejected": "剔除 · left out",
    "refused": "未能办结 · closings that came too late",
    "filed": "立案 · cases filed",
    "outside": "其中不在网格内, 待派遣 · of these outside the net, at a dispatch desk",
    "attached": "并入 · attached to a case",
    "closed": "结案 · cases closed",
    "points": "积分 · points awarded",
    "ambiguous_times": "时刻两可, 取先 · local times shown twice, the first taken",
}


def _show(summary: dict[str, Any]) -> None:
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, label in LINES.items():
        if summary[name] or name in ("rows", "imported", "known", "rejected"):
            table.add_row(label, f"{summary[name]:,}")
    notes.print(table)
    for reason, count in summary["reasons"].items():
        notes.print(f"  {count:>9,}  {reason}", highlight=False, soft_wrap=True)
    if summary["reasons"]:
        notes.print(f"逐行原因 · line by line: {summary['rejects']}", highlight=False, soft_wrap=True)
    if summary["first"]:
        notes.print(f"期间 · period: {summary['first']} … {summary['last']}", highlight=False, soft_wrap=True)
    notes.print("依据 · read as:", *summary["settled"], sep="\n  ", highlight=False, soft_wrap=True)
