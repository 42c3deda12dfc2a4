"""`beeline net …`: make nets, check them, make them current."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from enum import StrEnum
from math import floor
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from domain.directory import Directory
from domain.net import Net, Share
from infra.bootstrap import Settings, running
from infra.cli.net_load import diff_nets, load_net
from infra.cli.options import DEFAULT_DATA, DataFolder, fail, progress_bar
from infra.embedded.lock import LogInUse
from infra.net.check import NetReport, check
from infra.net.files import read_net, write_geojson, write_net
from infra.net.shenzhen import CELL_METRES, shenzhen
from infra.net.synthetic import tessellate
from infra.net.tessellate import BoundaryError

net = typer.Typer(help="网格 · Make, check and activate the net of units and grids.", no_args_is_help=True)
net.command("load")(load_net)
net.command("diff")(diff_nets)
notes = Console(stderr=True)


HEADINGS = (
    "网格\ngrids",
    "在岗\non duty %",
    "小区\ncompounds",
    "支部\nbranch %",
    "1+3+N\npanel %",
    "面积\narea %",
    "重叠\ntwice %",
)
NEGLIGIBLE_PERCENT = 0.001
"""Of an area: a border of 100 km that is a few centimetres off."""


class BuiltIn(StrEnum):
    """Cities whose units and outlines come with Beeline."""

    SHENZHEN = "shenzhen"


@net.command("build")
def build_city(
    city: Annotated[BuiltIn, typer.Argument(help="The reference city.")],
    out: Annotated[Path, typer.Option(help="Where the net goes; .gz compresses it.")] = Path("net.json.gz"),
    geojson: Annotated[Path | None, typer.Option(help="Also every polygon as GeoJSON, for a map.")] = None,
    cell_metres: Annotated[
        float, typer.Option("--cell-metres", min=1, help="Width of a grid in metres.")
    ] = CELL_METRES,
) -> None:
    """参考城市 · Write the reference city: real units, synthetic grids, compounds and people. The same every time."""
    made = _built_in(city, cell_metres)
    _written(made, out)
    if geojson is not None:
        write_geojson(made, geojson)
        notes.print(f"{geojson}: 所有图形 every polygon, WGS-84")


@net.command("tessellate")
def tessellate_boundary(
    boundary: Annotated[Path, typer.Argument(help="GeoJSON in WGS-84; each feature becomes a district.")],
    cell_metres: Annotated[float, typer.Option("--cell-metres", min=1, help="Width of a grid in metres.")],
    out: Annotated[Path, typer.Option(help="Where the net goes; .gz compresses it.")] = Path("net.json.gz"),
    name: Annotated[str, typer.Option(help="Name of the city.")] = "",
) -> None:
    """合成网格 · Cut a boundary into a synthetic net: units, grids, and an owner for every grid.

    Use it with `beeline serve --net FILE`.
    """
    try:
        document = json.loads(boundary.read_text(encoding="utf-8"))
    except ValueError as error:
        fail(f"{boundary} 不是 JSON · is not JSON: {error}")
    try:
        with progress_bar(notes) as bar:
            task = bar.add_task("切分 · cutting", total=None)
            made = tessellate(
                document,
                cell_metres,
                name=name,
                progress=lambda done, of_all: bar.update(task, completed=done, total=of_all),
            )
    except BoundaryError as error:
        fail(f"{boundary}: {error}")
    _written(made, out)


def _written(made: Net, out: Path) -> None:
    write_net(made, out)
    notes.print(
        f"{out}: {len(made.grids):,} 个网格 grids (合成 synthetic), {len(made.units):,} 个单位 units, "
        f"{len(made.compounds):,} 个小区 compounds",
        soft_wrap=True,
    )
    notes.print(f"下一步 · next: beeline net check {out}  |  beeline serve --net {out}", soft_wrap=True)


@net.command("activate")
def activate_net(
    file: Annotated[Path, typer.Argument(help="A net file.")],
    data: DataFolder = DEFAULT_DATA,
    valid_from: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], help="The local day from which it is current; at once where none is said."
        ),
    ] = None,
) -> None:
    """启用网格 · Make a net current in a log that no server writes, at once or when a day begins."""
    chosen = read_net(file)
    settings = Settings(data=data, net=chosen, net_from=valid_from.date() if valid_from else None)
    try:
        directory = asyncio.run(_activated(settings))
    except LogInUse as error:
        when = f" --net-from {valid_from:%Y-%m-%d}" if valid_from else ""
        fail(f"{error}; 或重启服务 · or start the server anew with: beeline serve --net {file}{when}")
    days = [day for day, version in directory.coming.items() if version == chosen.version]
    if directory.net.version == chosen.version:
        notes.print(f"[green]✓[/green] 已启用 · current: {chosen.version}")
    elif days:
        notes.print(f"[green]✓[/green] 定日启用 · {chosen.version} becomes current when {min(days)} begins")
    else:
        fail(f"未能启用 · {chosen.version} was not accepted: the log holds other parts under this version")


async def _activated(settings: Settings) -> Directory:
    async with running(settings, timer=False) as beeline:
        return beeline.host.directory


@net.command("check")
def check_net(
    file: Annotated[
        Path | None, typer.Argument(help="A net file; the built-in Shenzhen net where none is given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """检查网格 · Check codes, parents and polygons, and show the coverage of each district. Exits 1 on faults."""
    report = check(read_net(file) if file else _built_in(BuiltIn.SHENZHEN, CELL_METRES))
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        _show(report)
    raise typer.Exit(1 if report.faults else 0)


def _built_in(city: BuiltIn, cell_metres: float) -> Net:
    with progress_bar(notes) as bar:
        task = bar.add_task(city.value, total=None)
        try:
            return shenzhen(
                lambda done, of_all: bar.update(task, completed=done, total=of_all), cell_metres=cell_metres
            )
        except BoundaryError as error:
            fail(str(error))


def _show(report: NetReport) -> None:
    console = Console()
    mark = " (合成 · synthetic)" if report.synthetic else ""
    console.print(_table(report, f"网格 net {report.version}{mark}: 覆盖率 coverage"))
    if any(row.area_of == "enclosed" for row in report.districts):
        console.print("* 无边界, 以网格所围为准 · no outline: of the area that the grids enclose")
    console.print("  ".join(f"{kind} {count:,}" for kind, count in report.units.items()))
    for fault in report.faults[:50]:
        console.print(f"[red]✗[/red] {fault}")
    if len(report.faults) > 50:
        console.print(f"[red]… {len(report.faults) - 50} more[/red]")
    console.print("[green]✓ 无差错 no faults[/green]" if not report.faults else f"{len(report.faults)} 处差错 faults")


def _table(report: NetReport, title: str) -> Table:
    """A row a district: how many there are, and the percentage of them that is covered."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("区\ndistrict", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report.districts:
        table.add_row(
            f"{row.name_zh} {row.name_en}",
            f"{row.grids_on_duty.whole:,}",
            _percent(row.grids_on_duty),
            f"{row.compounds_with_branch.whole:,}",
            _percent(row.compounds_with_branch),
            _percent(row.compounds_with_panel),
            _percent(row.area_covered) + ("*" if row.area_of == "enclosed" else ""),
            _percent(row.area_claimed_twice),
        )
    return table


def _percent(share: Share) -> str:
    """Cut, not rounded: 100 is said only where nothing lacks, but for what coordinates lose in writing."""
    if share.percent is None:
        return "–"
    return "100" if share.percent > 100 - NEGLIGIBLE_PERCENT else f"{floor(share.percent * 10) / 10:g}"
