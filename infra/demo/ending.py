"""What stands on the terminal when the day is over."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from domain.message import Role
from infra.audit import AuditResult
from infra.demo.client import Phones
from infra.identity import Identity
from projections.summary import Summary

ROWS = (
    ("上报 reports", "reports"),
    ("立案 filed", "filed"),
    ("并入 attached", "attached"),
    ("待立案 held", "held"),
    ("不予立案 declined", "declined"),
    ("撤回 withdrawn", "withdrawn"),
    ("未落图 unmapped", "unmapped"),
    ("结案 closed", "closed"),
    ("按期结案 closed on time", "closed_on_time"),
    ("发放积分 points issued", "points_issued"),
)


def show_day(console: Console, totals: Summary, found: AuditResult, phones: Phones) -> None:
    """The day as a table."""
    table = Table(title="这一天 · the day (合成 · synthetic)", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right", style="bold")
    for name, field in ROWS:
        table.add_row(name, f"{getattr(totals, field):,}")
    table.add_row("超时 missed", _counted(totals.missed))
    table.add_row("升级 escalated", _counted(totals.escalated))
    table.add_row("HTTP 请求 requests", f"{phones.requests:,}")
    table.add_row("被拒 refused", _counted(dict(phones.refusals)))
    table.add_row("审计 audit", "[green]ok[/green]" if found.ok else f"[red]{len(found.findings)} findings[/red]")
    console.print(table)


def _counted(counts: dict[str, int]) -> str:
    return "  ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "0"


def what_next(console: Console, identity: Identity, port: int, data: Path) -> None:
    """How to look around."""
    token = identity.issue("d-440300000000", [Role.DISPATCHER, Role.SUPERVISOR], ["440300000000"])
    base = f"http://127.0.0.1:{port}"
    console.print("\n仍在服务, Ctrl-C 结束 · still serving; Ctrl-C ends it. 试试 · try:", style="bold")
    console.print(f"  TOKEN={token}", soft_wrap=True, highlight=False)
    for line in (
        f'curl -H "Authorization: Bearer $TOKEN" "{base}/v1/units/440300000000/queue?subtree=true&limit=3"',
        f".venv/bin/beeline events --data {data} --limit 5",
        f".venv/bin/beeline indicator on_time_rate --by district --data {data}",
        f".venv/bin/beeline audit --data {data}",
        f"{base}/docs",
    ):
        console.print(f"  {line}", soft_wrap=True, highlight=False)
