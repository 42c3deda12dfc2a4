"""`beeline events`, `case`, `audit`: looking at a log, also one that a server writes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain.ids import cell_of
from domain.message import Envelope, UndecodableMessage, decode_bytes
from infra import auditing
from infra.bootstrap import Settings, running
from infra.cli.options import DEFAULT_DATA, DataFolder, fail
from infra.database import ReadModels
from infra.embedded.lock import LogInUse
from infra.embedded.log import LogReader
from projections.cases import CaseView, TimelineEntry, timeline
from projections.cases import case_file as case_of
from streams.commit import CorruptCommit, events_of
from streams.filter import CommitFilter, Verdict
from streams.record import Record, Topic, partition_of

TOPICS = (Topic.REPORT_EVENTS, Topic.CASE_EVENTS, Topic.RIDER_EVENTS)
BATCH = 500
FOLLOW_SECONDS = 0.3
ZONE = ZoneInfo("Asia/Shanghai")


def events(
    data: DataFolder = DEFAULT_DATA,
    case: Annotated[str, typer.Option(help="Only this case's events.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One CloudEvent a line.")] = False,
) -> None:
    """事件 · Show the log's valid events: reports, cases, points."""
    reader = LogReader(data)
    console, shown = Console(), 0
    try:
        for event in _events(reader, case.lower(), follow):
            if as_json:
                typer.echo(event.encode().decode())
            else:
                console.print(_line(event), soft_wrap=True)
            shown += 1
            if limit and shown >= limit:
                break
    except CorruptCommit as error:
        fail(f"日志损坏 · the log is damaged: {error}")
    except (KeyboardInterrupt, BrokenPipeError):
        return
    finally:
        reader.close()


def _events(reader: LogReader, case: str, follow: bool) -> Iterator[Envelope]:
    """Events partition by partition, in order within each; then, if wanted, whatever comes."""
    numbers = range(reader.partitions)
    if case:
        numbers = range(p := partition_of(cell_of(case), reader.partitions), p + 1)
    topics = (Topic.CASE_EVENTS,) if case else TOPICS
    places = {(topic, number): (0, CommitFilter()) for topic in topics for number in numbers}
    while True:
        for (topic, number), (offset, commits) in places.items():
            while records := reader.read(topic, number, offset, BATCH):
                for record in records:
                    yield from (each for each in _valid(record, commits) if not case or each.subject == case)
                offset = records[-1].offset + 1
            places[topic, number] = (offset, commits)
        if not follow:
            return
        time.sleep(FOLLOW_SECONDS)


def _valid(record: Record, commits: CommitFilter) -> Iterator[Envelope]:
    if record.topic is Topic.REPORT_EVENTS:
        try:
            yield decode_bytes(record.value)
        except UndecodableMessage:
            return
    elif commits.admit(record)[0] is Verdict.APPLIED:
        yield from events_of(record)


def _line(event: Envelope) -> Text:
    data = event.data.model_dump(mode="json", exclude={"terms", "route", "description", "contact"}, exclude_none=True)
    return Text.assemble(
        (f"{_local(event.time)}  ", "dim"),
        (f"{type(event.data).__name__:<20} ", "bold cyan"),
        (f"{event.subject}  ", "green"),
        json.dumps(data, ensure_ascii=False),
    )


def _local(instant: datetime | None) -> str:
    return f"{instant.astimezone(ZONE):%Y-%m-%d %H:%M:%S}" if instant else "-"


def case_file(
    case_id: Annotated[str, typer.Argument(help="For instance ws10k8-412.")],
    data: DataFolder = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """案卷 · Show a case and its timeline (local time)."""
    LogReader(data).close()
    models = ReadModels(data)
    with models.reading() as connection:
        found = case_of(connection, case_id.lower())
        entries = timeline(connection, case_id.lower())
    models.close()
    if found is None:
        fail(f"案件不存在 · there is no case {case_id} in {data}")
    if as_json:
        document: dict[str, Any] = {
            "case": found.model_dump(mode="json"),
            "timeline": [e.model_dump(mode="json") for e in entries],
        }
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        _show(found, entries)


def _show(found: CaseView, entries: list[TimelineEntry]) -> None:
    console = Console()
    console.print(
        f"[bold]{found.case_id}[/bold]  {found.name_zh} · {found.name_en}  [yellow]{found.status}[/yellow]",
        soft_wrap=True,
    )
    console.print(
        f"负责 owner {found.owner} ({found.owner_level})  处置人 holder {found.holder or '-'}  "
        f"上报 reports {found.reports}  处置时限 handling due {_local(found.handling_due)}",
        highlight=False,
        soft_wrap=True,
    )
    for deadline in found.deadlines:
        sure = "" if deadline.certain else "  (节假日表以外 · beyond the holiday table)"
        console.print(f"  时限 {deadline.stage.value}: {_local(deadline.due)}{sure}", highlight=False)
    table = Table(box=None, padding=(0, 1))
    for heading in ("#", "时间 time", "事件 event", "", "by"):
        table.add_column(heading)
    for entry in entries:
        name = entry.type.removeprefix("beeline.").removesuffix(".v1")
        table.add_row(
            str(entry.sequence), _local(entry.time), name, f"{entry.text_zh} · {entry.text_en}", entry.by or ""
        )
    console.print(table)


def audit(
    data: DataFolder = DEFAULT_DATA,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also make the read models and the stored statements anew, and compare.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the processors to pass the cut.")] = 60.0,
) -> None:
    """审计 · Prove the invariants from the log. Exits 1 and names what is wrong, with ids.

    Works beside a running server; without one it first lets the processors catch up.
    """
    LogReader(data).close()
    notes = Console(stderr=True)
    try:
        asyncio.run(_catch_up(data))
        notes.print("没有服务在运行, 处理已补齐 · no server runs here: the processors have caught up")
    except LogInUse:
        notes.print("服务正在运行, 等待处理越过切点 · a server runs here: waiting until it has passed the cut")
    try:
        result = auditing.audit(data, wait_seconds=wait)
    except auditing.NotCaughtUp as error:
        fail(str(error))
    differing = auditing.differing_read_models(data) if deep else []
    restated = auditing.changed_statements(data) if deep else []
    ok = result.ok and not differing and not restated
    document = {
        "audit": "ok" if ok else "failed",
        "reports": result.reports,
        "cases": result.cases,
        "outstanding_points": result.outstanding_points,
        "events": result.events,
        "void_records": result.void_records,
        "findings": [str(finding) for finding in result.findings],
        "more_findings": result.total_findings - len(result.findings),
        **({"read_models_differ": differing, "statements_changed": restated} if deep else {}),
    }
    typer.echo(json.dumps(document, ensure_ascii=False, indent=None if as_json else 2))
    raise typer.Exit(0 if ok else 1)


async def _catch_up(data: Path) -> None:
    async with running(Settings(data=data), timer=False) as beeline:
        await beeline.host.caught_up(600.0)
