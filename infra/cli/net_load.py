"""`beeline net load` and `beeline net diff`: a city's own polygons, and what changes with another net."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.crs import Crs
from domain.net import Net
from infra.cli.options import DEFAULT_DATA, DataFolder, fail, progress_bar
from infra.embedded.directory import directory_of
from infra.net.diff import CaseMoves, Change, Changes, NetDiff, case_moves, compare
from infra.net.fault_map import SUFFIXES, write_report
from infra.net.faults import TITLES, Fault, FaultKind
from infra.net.features import Asked, LoadError
from infra.net.files import read_net, write_net
from infra.net.load import Loaded, lies_in_shenzhen, load
from infra.net.shenzhen import shenzhen
from infra.net.tessellate import BoundaryError

SHOWN = 20
"""Faults and cases on the terminal; the report and ``--json`` have them all."""
FIRST = 5
"""Changes of a kind."""
NONE, SHENZHEN, CURRENT = "none", "shenzhen", "current"
notes = Console(stderr=True)


def load_net(
    file: Annotated[Path, typer.Argument(help="GeoJSON with a polygon for each unit.")],
    out: Annotated[Path, typer.Option(help="Where the net goes; .gz compresses it.")] = Path("net.json.gz"),
    code: Annotated[str, typer.Option(help="Property with the code.")] = "",
    name: Annotated[str, typer.Option(help="Property with the name.")] = "",
    name_en: Annotated[str, typer.Option("--name-en", help="Property with the English name.")] = "",
    level: Annotated[
        str, typer.Option(help="Property with the level; or city, district, street, community, grid, compound for all.")
    ] = "",
    parent: Annotated[str, typer.Option(help="Property with the parent's code or name.")] = "",
    crs: Annotated[Crs | None, typer.Option(help="What the coordinates are; wgs84 where nothing is said.")] = None,
    onto: Annotated[
        str,
        typer.Option(
            help="The units above: a net file, shenzhen or none. Where nothing is said: shenzhen for a file that lies in it."
        ),
    ] = "",
    cell_metres: Annotated[
        float | None,
        typer.Option("--cell-metres", min=1, help="Cut what the file does not divide into synthetic grids."),
    ] = None,
    city: Annotated[str, typer.Option(help="Name of the city.")] = "",
    report: Annotated[Path | None, typer.Option(help="The faults on a map (.html), or as GeoJSON (.geojson).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What was found as JSON.")] = False,
) -> None:
    """装载网格 · Make a net of a city's own polygons, and say what is wrong with them by feature. Exits 1 on faults.

    The net is written where the faults leave it routable: of overlapping grids the smallest has a point, a gap goes to
    the nearest within 200 m.
    """
    if report is not None and report.suffix not in SUFFIXES:
        fail(f"{report}: 报告须为 .html 或 .geojson · a report ends in .html or .geojson")
    document = _document(file)
    asked = Asked(code, name, name_en, level, parent, crs, cell_metres, city)
    try:
        loaded = _load(document, asked, onto)
    except (LoadError, BoundaryError) as error:
        fail(f"{file}: {error}")
    if loaded.net is not None:
        write_net(loaded.net, out)
    if report is not None:
        write_report(loaded, f"{city or file.name}: 装载核对 · check before loading", report)
    if as_json:
        typer.echo(json.dumps(_as_json(loaded, out), ensure_ascii=False))
    else:
        _show(loaded, out, report)
    raise typer.Exit(1 if loaded.faults else 0)


def _document(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # of the encoding, too
        fail(f"{file} 不是 UTF-8 编码的 JSON · is not JSON in UTF-8: {error}")


def _load(document: object, asked: Asked, onto: str) -> Loaded:
    chosen = onto or (SHENZHEN if lies_in_shenzhen(document, asked.crs) else NONE)
    with progress_bar(notes) as bar:
        task = bar.add_task("装载 · loading", total=None)

        def progress(done: int, of_all: int) -> None:
            bar.update(task, completed=done, total=of_all)

        base = None if chosen == NONE else shenzhen(progress) if chosen == SHENZHEN else read_net(Path(chosen))
        return load(document, asked, base, progress)


def _as_json(loaded: Loaded, out: Path) -> dict[str, Any]:
    counts = Counter(fault.kind for fault in loaded.faults)
    return {
        "net": loaded.net.version if loaded.net else None,
        "out": str(out) if loaded.net else None,
        "units": len(loaded.net.units) if loaded.net else 0,
        "grids": len(loaded.net.grids) if loaded.net else 0,
        "features": len(loaded.features),
        "counts": {kind.value: counts[kind] for kind in FaultKind if counts[kind]},
        "slivers": loaded.slivers,
        "notes": [{"zh": zh, "en": en} for zh, en in loaded.notes],
        "faults": [fault.as_geojson()["properties"] for fault in loaded.faults],
    }


def _show(loaded: Loaded, out: Path, report: Path | None) -> None:
    console = Console()
    for zh, en in loaded.notes:
        console.print(f"· {escape(zh)} · {escape(en)}", highlight=False, soft_wrap=True)
    if loaded.faults:
        _show_faults(console, loaded.faults)
    if loaded.slivers:
        console.print(
            f"另有 {loaded.slivers:,} 处细小重叠或空隙 · besides, {loaded.slivers:,} slivers", highlight=False
        )
    if report is not None:
        console.print(f"报告 · report: {report}", highlight=False, soft_wrap=True)
    if loaded.net is None:
        console.print(
            "[red]✗ 没有写出网格 · no net is written[/red]: 先改正以上差错 · mend the faults first", highlight=False
        )
        return
    console.print(
        f"{out}: {len(loaded.net.units):,} 个单位 units, {len(loaded.net.grids):,} 个网格 grids"
        f"{' (合成 · synthetic)' if loaded.net.synthetic else ''}, {loaded.net.version}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        "[green]✓ 无差错 no faults[/green]"
        if not loaded.faults
        else "[yellow]可用, 但有差错 · usable, with faults[/yellow]"
    )
    console.print(
        f"下一步 · next: beeline net check {out}  |  beeline net diff current {out}", highlight=False, soft_wrap=True
    )


def _show_faults(console: Console, faults: Sequence[Fault]) -> None:
    counts = Counter(fault.kind for fault in faults)
    table = Table(title="差错 · faults")
    for heading in ("种类 kind", "数量 count", "须先改正 must be mended"):
        table.add_column(heading, justify="right" if heading.startswith("数") else "left")
    for kind in FaultKind:
        if counts[kind]:
            blocks = any(fault.blocks for fault in faults if fault.kind is kind)
            table.add_row(" · ".join(TITLES[kind]), f"{counts[kind]:,}", "是 yes" if blocks else "否 no")
    console.print(table)
    for fault in faults[:SHOWN]:
        color = "red" if fault.blocks else "yellow"
        console.print(
            f"[{color}]✗[/{color}] {escape(fault.text_zh)} · {escape(fault.text_en)}", highlight=False, soft_wrap=True
        )
    if len(faults) > SHOWN:
        more = len(faults) - SHOWN
        console.print(
            f"… 还有 {more:,} 处, 见 --report FILE.html · {more:,} more: --report FILE.html has them all",
            highlight=False,
        )


def diff_nets(
    before: Annotated[
        str, typer.Argument(metavar="A", help="A net file, shenzhen, or current: the one current in --data.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """比较网格 · What differs between two nets, and which open cases of the data folder would move from unit to unit."""
    directory = directory_of(data)
    if directory is None and CURRENT in (before, after):
        fail(f"{data} 中没有现行网格 · there is no current net in {data}")

    def named(name: str) -> Net:
        if name == CURRENT and directory is not None:
            return directory.net
        return shenzhen() if name == SHENZHEN else read_net(Path(name))

    old, new = named(before), named(after)
    differences = compare(old, new)
    moves = case_moves(data, directory, old, new) if directory is not None else None
    if as_json:
        document = {
            "nets": differences.model_dump(mode="json"),
            "cases": moves.model_dump(mode="json") if moves else None,
        }
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    console = Console()
    _show_differences(console, differences)
    if moves is None:
        console.print(
            f"{data} 中没有日志, 不比较案件 · there is no log in {data}: no cases to compare", highlight=False
        )
    else:
        _show_moves(console, moves)


def _show_differences(console: Console, differences: NetDiff) -> None:
    table = Table(title=f"{differences.before} → {differences.after}")
    for heading in ("", "新增\nadded", "撤销\nremoved", "改名\nrenamed", "换上级\nmoved", "改边界\nredrawn"):
        table.add_column(heading, justify="right" if heading else "left")
    sorts = {"单位 units": differences.units, "网格 grids": differences.grids, "小区 compounds": differences.compounds}
    for title, changes in sorts.items():
        table.add_row(title, *(f"{len(each):,}" for each in _by_kind(changes).values()))
    console.print(table)
    for title, changes in sorts.items():
        for kind, each in _by_kind(changes).items():
            _show_changes(console, f"{title} {kind}", each)


def _by_kind(changes: Changes) -> dict[str, tuple[Change, ...]]:
    return {
        "新增 added": changes.added,
        "撤销 removed": changes.removed,
        "改名 renamed": changes.renamed,
        "换上级 moved": changes.moved,
        "改边界 redrawn": changes.redrawn,
    }


def _show_changes(console: Console, title: str, changes: Sequence[Change]) -> None:
    if not changes:
        return
    shown = (
        f"{each.code} {each.name_zh}" + (f" ({each.before} → {each.after})" if each.after else "")
        for each in changes[:FIRST]
    )
    more = f", … 还有 {len(changes) - FIRST:,} more" if len(changes) > FIRST else ""
    console.print(f"{title}: {escape(', '.join(shown))}{more}", highlight=False, soft_wrap=True)


def _show_moves(console: Console, cases: CaseMoves) -> None:
    table = Table(title=f"未结案件 open cases: {cases.open:,}, 换单位 would move: {len(cases.moves):,}")
    for heading in ("区 district", "未结\nopen", "移出\nleaving", "移入\narriving", "区内\nwithin"):
        table.add_column(heading, justify="left" if heading.startswith("区 ") else "right")
    for row in cases.districts:
        numbers = (row.open, row.leaving, row.arriving, row.within)
        table.add_row(f"{row.name_zh} {row.name_en}", *(f"{number:,}" for number in numbers))
    console.print(table)
    for move in cases.moves[:SHOWN]:
        console.print(
            f"{move.case_id}  {escape(move.name_zh)} · {escape(move.name_en)}  "
            f"{move.from_unit} {escape(move.from_zh)} → {move.to_unit} {escape(move.to_zh)}",
            highlight=False,
            soft_wrap=True,
        )
    if len(cases.moves) > SHOWN:
        console.print(
            f"… 还有 {len(cases.moves) - SHOWN:,} 件, --json 全有 · more: --json has them all", highlight=False
        )
    if cases.stranded:
        some = ", ".join(cases.stranded[:FIRST])
        console.print(
            f"[yellow]{len(cases.stranded):,} 件现在的单位在新网格里没有了 · stand with a unit that is gone[/yellow]: {some}",
            highlight=False,
        )
