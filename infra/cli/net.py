"""`beeline net …`: make and check nets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from domain.net import Net
from infra.cli.options import fail
from infra.net.check import NetReport, check
from infra.net.files import read_net, write_net
from infra.net.shenzhen import shenzhen
from infra.net.synthetic import tessellate
from infra.net.tessellate import BoundaryError

net = typer.Typer(help="网格 · Make and check the net of units and grids.", no_args_is_help=True)
notes = Console(stderr=True)


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
        with _bar() as bar:
            task = bar.add_task("切分 · cutting", total=None)
            made = tessellate(
                document,
                cell_metres,
                name=name,
                progress=lambda done, of_all: bar.update(task, completed=done, total=of_all),
            )
    except BoundaryError as error:
        fail(f"{boundary}: {error}")
    write_net(made, out)
    notes.print(f"{out}: {len(made.grids):,} 个网格 grids (合成 synthetic), {len(made.units):,} 个单位 units")
    notes.print(f"下一步 · next: beeline net check {out}  |  beeline serve --net {out}")


@net.command("check")
def check_net(
    file: Annotated[
        Path | None, typer.Argument(help="A net file; the built-in Shenzhen net where none is given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """检查网格 · Check codes, parents, polygons and owners, and show what the grids cover. Exits 1 on faults."""
    report = check(read_net(file) if file else _built_in())
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        _show(report)
    raise typer.Exit(1 if report.faults else 0)


def _built_in() -> Net:
    with _bar() as bar:
        task = bar.add_task("深圳 · Shenzhen", total=None)
        return shenzhen(lambda done, of_all: bar.update(task, completed=done, total=of_all))


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=notes, transient=True)


def _show(report: NetReport) -> None:
    console = Console()
    mark = " (合成 · synthetic)" if report.synthetic else ""
    table = Table(title=f"网格 net {report.version}{mark}: {report.grids:,} 个网格 grids")
    for heading in ("区 district", "网格 grids", "有网格员 with owner", "重叠 overlap %", "空洞 holes %"):
        table.add_column(heading, justify="left" if heading.startswith("区") else "right")
    for row in report.districts:
        share = f"{100 * row.with_owner / row.grids:.1f} %"
        table.add_row(
            f"{row.name_zh} {row.name_en}", f"{row.grids:,}", share, f"{row.overlap_percent:g}", f"{row.hole_percent:g}"
        )
    console.print(table)
    console.print("  ".join(f"{kind} {count:,}" for kind, count in report.units.items()))
    for fault in report.faults[:50]:
        console.print(f"[red]✗[/red] {fault}")
    if len(report.faults) > 50:
        console.print(f"[red]… {len(report.faults) - 50} more[/red]")
    console.print("[green]✓ 无差错 no faults[/green]" if not report.faults else f"{len(report.faults)} 处差错 faults")
