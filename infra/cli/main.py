"""`beeline`: one command line for operators, developers and the curious."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console

from domain.message import Role
from infra.bootstrap import Settings, running
from infra.cli.importing import import_history
from infra.cli.indicators import indicator
from infra.cli.log import audit, case_file, events
from infra.cli.net import net
from infra.cli.options import DEFAULT_DATA, DataFolder, Sentences, fail
from infra.cli.readmodels import digest, rebuild
from infra.demo.run import DemoOptions, run_demo
from infra.identity import Identity
from infra.net.files import read_net
from infra.schema import write
from infra.serve import listening
from infra.simulator import simulate as run_simulation

app = typer.Typer(
    name="beeline",
    cls=Sentences,
    help="蜂线 · 网格化治理的事件上报后端 · An event-sourced issue-reporting backend for grid governance.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(net, name="net")
app.command("events")(events)
app.command("case")(case_file)
app.command("audit")(audit)
app.command("import")(import_history)
app.command("indicator")(indicator)
app.command("rebuild")(rebuild)
app.command("digest")(digest)

notes = Console(stderr=True)


@app.callback()
def _logging(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more of what goes on inside.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )


@app.command()
def serve(
    data: DataFolder = DEFAULT_DATA,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8040,
    net_file: Annotated[Path | None, typer.Option("--net", help="Make this net current (see `beeline net`).")] = None,
    net_from: Annotated[
        datetime | None,
        typer.Option(
            "--net-from", formats=["%Y-%m-%d"], help="The local day from which --net is current; else at once."
        ),
    ] = None,
    partitions: Annotated[
        int | None, typer.Option(min=1, max=64, help="Partitions of a new log; 4 where none is said.")
    ] = None,
    poison: Annotated[
        list[str] | None, typer.Option(help="Id of a command that no step can decide: it goes to the dead letters.")
    ] = None,
) -> None:
    """启动服务 · Serve on the embedded log: HTTP, processors, timer and read models in one process.

    Without --net an empty data folder gets the synthetic net of Shenzhen.
    """
    chosen = read_net(net_file) if net_file else None
    settings = Settings(
        data=data,
        net=chosen,
        net_from=net_from.date() if net_from else None,
        partitions=partitions,
        poisonous=frozenset(poison or ()),
    )
    asyncio.run(_serve(settings, host, port))


async def _serve(settings: Settings, host: str, port: int) -> None:
    async with running(settings) as beeline, listening(beeline.app, host, port) as server:
        mark = "合成 · synthetic" if beeline.host.directory.net.synthetic else beeline.host.directory.net.name_zh
        for line in (
            f"蜂线 Beeline  http://{host}:{port}  数据 data {settings.data}  网格 net {mark}",
            f"接口 API http://{host}:{port}/docs   令牌 token: beeline token --help   Ctrl-C 结束 ends",
        ):
            notes.print(line, highlight=False, soft_wrap=True)
        await server


@app.command()
def demo(
    seed: Annotated[int, typer.Option(help="The same seed and date give the same inputs.")] = 7,
    day: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="The day to play; today or the next working day."),
    ] = None,
    reports: Annotated[int, typer.Option(min=1, max=50_000, help="How many reports the riders send.")] = 3200,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8040,
    data: Annotated[Path, typer.Option(help="Folder of the demo's own; made anew each time.")] = Path("data/demo"),
    stop_after_day: Annotated[bool, typer.Option("--exit", help="Stop after the day instead of serving on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The day's numbers as one JSON line, last.")] = False,
) -> None:
    """演示 · Play one seeded day of Shenzhen through the real HTTP edge, and show it."""
    options = DemoOptions(
        seed=seed,
        day=day.date() if day else None,
        reports=reports,
        port=port,
        data=data,
        stop_after_day=stop_after_day,
        as_json=as_json,
    )
    raise typer.Exit(asyncio.run(run_demo(options)))


@app.command()
def simulate(
    seed: Annotated[int, typer.Option(help="A seed reproduces a run.")] = 1,
    days: Annotated[float, typer.Option(min=0.01, max=366, help="How long the city lives.")] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line, last.")] = False,
) -> None:
    """仿真 · A city under a virtual clock with crashes, frozen owners and late messages; then the audit. Exits 1 on findings."""
    result = run_simulation(seed, days)
    document = result.as_json()
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        Console().print_json(data=document)
    raise typer.Exit(0 if result.ok else 1)


@app.command()
def token(
    role: Annotated[list[Role], typer.Option(help="A role; repeat it for several.")],
    unit: Annotated[list[str] | None, typer.Option(help="A unit in whose subtree the roles hold; repeatable.")] = None,
    sub: Annotated[str, typer.Option(help="The person: one id with all their roles.")] = "",
    data: DataFolder = DEFAULT_DATA,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 365, help="How long it is valid.")] = 12.0,
) -> None:
    """令牌 · Print a bearer token, signed with the key in the data folder."""
    if Role.SYSTEM in role:
        fail("system 角色不对外发放 · the role 'system' belongs to nobody outside")
    usual = f"{role[0].value}{'-' + unit[0] if unit else ''}"
    person = sub or (f"anonymous-{uuid4()}" if role[0] is Role.ANONYMOUS else usual)
    typer.echo(Identity(data).issue(person, role, unit or (), timedelta(hours=hours)))


@app.command()
def schema(
    out: Annotated[Path, typer.Option(help="Folder for the documents.")] = Path("docs/reference"),
) -> None:
    """消息模式 · Write the JSON Schemas of every message and the AsyncAPI document."""
    for path in write(out):
        notes.print(str(path))


def main() -> None:
    """The console script."""
    app()
