"""The live view of the day: a terminal that shows what the city does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.bar import Bar
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from domain.net import LADDER, Level, Net
from infra.demo.tally import LEVEL_NAMES, Tally


class View:
    """Draws the tally on a terminal; elsewhere one line an hour on stderr."""

    def __init__(self, net: Net, tally: Tally, *, live: bool) -> None:
        self._net, self._tally = net, tally
        self._console = Console(stderr=not live)
        self._live = Live(console=self._console, auto_refresh=False, screen=False) if live else None
        self._last_hour = -1
        self._names = {
            unit.code: f"{unit.name_zh} {unit.name_en}" for unit in net.units if unit.level is not Level.GRID
        }

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While the day runs."""
        if self._live is None:
            yield
        else:
            with self._live:
                yield

    def draw(self, now: datetime, share: float, requests: int, faults: int) -> None:
        """Show the instant ``now`` (local time); ``share`` of the day is over."""
        if self._live is not None:
            self._live.update(self._picture(now, share, requests, faults), refresh=True)
        elif now.hour != self._last_hour:
            self._last_hour = now.hour
            counts = self._tally.counts
            line = f"{now:%H:%M} {counts['reports']} 上报 reports, {counts['filed']} 立案 filed, {counts['closed']} 结案 closed"
            print(line, file=sys.stderr, flush=True)

    def _picture(self, now: datetime, share: float, requests: int, faults: int) -> RenderableType:
        mark = " (合成 · synthetic)" if self._net.synthetic else ""
        head = Text.assemble(
            ("蜂线 Beeline  ", "bold yellow"),
            (f"{now:%Y-%m-%d %H:%M}  ", "bold"),
            f"{self._net.name_zh.replace('(合成)', '')}{mark}   {requests:,} HTTP 请求 requests",
            (f"   {faults} 错误 faults" if faults else "", "bold red"),
        )
        progress = ProgressBar(total=1.0, completed=share, width=None)
        panels = Columns([self._counts(), self._ladder(), self._districts()], expand=True)
        return Group(head, progress, panels)

    def _counts(self) -> Panel:
        table = Table.grid(padding=(0, 1))
        tally = self._tally
        names = {
            "reports": "上报 reports",
            "filed": "立案 filed",
            "attached": "并入 attached",
            "held": "待立案 held",
            "unmapped": "未落图 unmapped",
            "closed": "结案 closed",
        }
        for key, name in names.items():
            table.add_row(name, f"[bold]{tally.counts[key]:,}[/bold]")
        table.add_row("超时 missed", f"[bold]{sum(tally.missed.values()):,}[/bold]")
        table.add_row("积分 points", f"[bold yellow]{tally.points:,}[/bold yellow]")
        return Panel(table, title="今天 today", border_style="green")

    def _ladder(self) -> Panel:
        table = Table.grid(padding=(0, 1))
        counts = self._tally.open_by_level()
        most = max(1, *counts.values())
        for level in reversed(LADDER):
            bar = Bar(most, 0, counts[level], width=16, color="red" if level is not Level.GRID else "green")
            up = self._tally.escalated[level]
            table.add_row(LEVEL_NAMES[level], bar, f"{counts[level]:,}", f"[dim]↑{up:,}[/dim]" if up else "")
        return Panel(table, title="在办与升级 open, escalated", border_style="red")

    def _districts(self) -> Panel:
        table = Table.grid(padding=(0, 1))
        counts = self._tally.open_by_district()
        most = max([1, *counts.values()])
        for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]:
            table.add_row(self._names.get(code, code), Bar(most, 0, count, width=16, color="cyan"), f"{count:,}")
        return Panel(table, title="各区待办 queues", border_style="cyan")
