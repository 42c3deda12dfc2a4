"""`beeline indicator`: the city's numbers as a table, CSV, JSON, or drawn in the terminal."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from infra.cli.chart import plot as draw
from infra.cli.chart import shown_value
from infra.cli.options import DEFAULT_DATA, DataFolder, fail
from infra.cli.readmodels import require_current
from infra.database import ReadModels
from infra.embedded.clock import instant_of
from infra.embedded.log import LogReader
from infra.indicators import Asked, CannotAnswer, Indicators, Told, described
from infra.projecting import cut_of, positions
from infra.statements import Statements
from projections.directory import zone_of
from projections.indicators.period import EXAMPLES
from projections.indicators.question import BREAKDOWNS


class Format(StrEnum):
    """How an answer is shown."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PLOT = "plot"


def indicator(
    name: Annotated[str, typer.Argument(help="For instance on_time_rate; without one, what there is.")] = "",
    data: DataFolder = DEFAULT_DATA,
    version: Annotated[str, typer.Option(help="Of the definition; its first.")] = "",
    period: Annotated[str, typer.Option(help=f"{EXAMPLES}; the current month.")] = "",
    as_of: Annotated[str, typer.Option(help="What was known at an instant (RFC 3339); the period's end.")] = "",
    unit: Annotated[str, typer.Option(help="Only this unit and what stands under it.")] = "",
    family: Annotated[str, typer.Option(help="Only this family.")] = "",
    category: Annotated[str, typer.Option(help="Only this category.")] = "",
    worker: Annotated[str, typer.Option(help="Only this person's work.")] = "",
    by: Annotated[list[str] | None, typer.Option(help=f"Broken down by {', '.join(BREAKDOWNS)}; repeatable.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.TABLE,
    zone: Annotated[str, typer.Option(help="Time zone of local days; the city's own.")] = "",
) -> None:
    """指标 · Ask for one of the city's numbers; works beside a running server and without one."""
    if not name:
        _list(form)
        return
    asked = Asked(name, version, period, as_of, unit, family, category, worker, tuple(by or ()))
    told = _told(data, asked, _checked(zone))
    match form:
        case Format.TABLE:
            _show(Console(), told)
        case Format.CSV:
            typer.echo(_csv(told), nl=False)
        case Format.JSON:
            typer.echo(told.model_dump_json())
        case Format.PLOT:
            console = Console()
            _title(console, told)
            draw(console, told)


def _checked(zone: str) -> str:
    if zone:
        try:
            ZoneInfo(zone)
        except (LookupError, ValueError, OSError):  # a folder of the time zone database is an OSError
            fail(f"--zone: 没有时区 · there is no time zone {zone!r}: give one such as Asia/Shanghai")
    return zone


def _told(data: Path, asked: Asked, zone: str) -> Told:
    reader = LogReader(data)
    models, statements = ReadModels(data), Statements(data)
    try:
        require_current(models)
        with models.reading() as connection:
            where, places = zone or zone_of(connection), positions(connection, reader)
        cut = cut_of(reader, places, instant_of(reader.last_micros()))
        return Indicators(models, statements).told(asked, where, cut)
    except CannotAnswer as error:
        what = "NAME" if error.field == "name" else f"--{error.field.replace('_', '-')}"
        fail(f"{what}: {error}")
    finally:
        statements.close()
        models.close()
        reader.close()


def _list(form: Format) -> None:
    """Every definition: as JSON, or as a table."""
    if form is Format.JSON:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in described()], ensure_ascii=False))
        return
    table = Table(show_header=False, box=None, padding=(0, 1))
    for each in described():
        for number, version in enumerate(each.versions):
            what = f"{version.name_zh} · {version.name_en}\n[dim]{version.definition_zh}\n{version.definition_en}[/dim]"
            table.add_row("" if number else f"[bold]{each.name}[/bold]", version.version, what)
    Console().print(table, highlight=False)


# -- the answer as text ------------------------------------------------------------------------------------------------


def _title(console: Console, told: Told) -> None:
    zone = ZoneInfo(told.zone)

    def local(instant: datetime) -> str:
        return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S}"

    mark = "  [bold yellow]暂定 · provisional[/bold yellow]" if told.provisional else ""
    said = [
        f"[bold]{told.name_zh} · {told.name_en}[/bold]  {told.indicator} {told.version}{mark}",
        f"[dim]{told.definition_zh}\n{told.definition_en}[/dim]",
        f"周期 period  {told.period}: {local(told.start)} – {local(told.end)} ({told.zone})",
        f"截至 as of   {local(told.as_of)}   数据齐至 complete until {local(told.complete_until)}   "
        f"滞后 lag {told.lag_records:,} 条 records",
    ]
    if told.filters:
        said.append(
            "范围 only    " + ", ".join(f"{name} {_named(told, name, told.filters[name])}" for name in told.filters)
        )
    for line in said:
        console.print(line, highlight=False, soft_wrap=True)
    console.print("" if told.lines else "无 · nothing in the period")


def _named(told: Told, dimension: str, code: str | None) -> str:
    """A key with its name, as people read it."""
    name = told.names.get(dimension, {}).get(code or "")
    if name is None:
        return code or "无 none"
    return f"{name.zh} · {name.en} ({code})"


def _show(console: Console, told: Told) -> None:
    _title(console, told)
    table = Table(box=None, padding=(0, 1))
    for dimension in told.by:
        table.add_column(dimension)
    table.add_column("值 value", justify="right", style="bold")
    measures = list(dict.fromkeys(name for line in told.lines for name in line.measures))
    for name in measures:
        table.add_column(name.removesuffix("_seconds"), justify="right")
    for line in told.lines:
        keys = [_named(told, dimension, line.key[dimension]) for dimension in told.by]
        rest = [
            shown_value(line.measures.get(name), "seconds" if name.endswith("_seconds") else "") for name in measures
        ]
        table.add_row(*keys, shown_value(line.value, told.unit), *rest)
    console.print(table)


def _csv(told: Told) -> str:
    """One line a part: what it is a number of, then a column for each key (with its names), the value, each measure."""
    measures = list(dict.fromkeys(name for line in told.lines for name in line.measures))
    keys = [
        column for name in told.by for column in ((name, f"{name}_zh", f"{name}_en") if name in told.names else (name,))
    ]
    said = {"indicator": told.indicator, "version": told.version, "period": told.period}
    said |= {"as_of": told.as_of.isoformat(), "provisional": str(told.provisional).lower()}
    text = io.StringIO()
    writer = csv.DictWriter(text, [*said, *keys, "value", *measures], restval="", lineterminator="\n")
    writer.writeheader()
    for line in told.lines:
        row = {**said, **line.key, "value": line.value, **line.measures}
        for name in told.names:
            if (found := told.names[name].get(line.key.get(name) or "")) is not None:
                row |= {f"{name}_zh": found.zh, f"{name}_en": found.en}
        writer.writerow(row)
    return text.getvalue()
