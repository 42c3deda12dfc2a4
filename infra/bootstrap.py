"""The one place where things are wired. Nothing is built at import time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from domain.directory import KEY, DirectoryCommand, PublishCalendar, PublishEdition
from domain.message import Envelope, derived_id
from domain.net import Net
from domain.publication import publication
from infra.database import ReadModels, Reads
from infra.embedded.host import Host
from infra.embedded.log import EmbeddedLog
from infra.embedded.projecting import Projector
from infra.embedded.snapshots import Snapshots
from infra.holidays import working_calendar
from infra.http.app import create_app
from infra.identity import Identity
from infra.indicators import Indicators
from infra.keystore import KeyStore
from infra.net.coverage import coverage
from infra.net.files import NetFileError
from infra.net.shenzhen import shenzhen
from infra.rebuilding import make_current
from infra.seed import seed_edition
from infra.statements import Statements, keep_stating
from streams.reactor import Ask
from streams.record import Topic

COLLECTED_AFTER = (10_000, 20, 100)
"""Objects that are left before the collector looks, and how often before it looks further: a look at everything that a busy
node has in hand takes a tenth of a second, in which nobody is answered."""


@dataclass(frozen=True)
class Settings:
    """What an operator decides."""

    data: Path
    partitions: int | None = None
    """Of a new log; None: as it is, or four."""
    net: Net | None = None
    """The net to make current; None: leave it, or the synthetic Shenzhen where there is none."""
    net_from: date | None = None
    """启用日期 — the local day from which `net` is to be current; None, or a day that has begun: at once."""
    stepped_from: datetime | None = None
    """For the demo: the log's clock stands still at this instant until it is stepped."""
    poisonous: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Beeline:
    """A running node."""

    settings: Settings
    host: Host
    reads: Reads
    identity: Identity
    keys: KeyStore
    app: FastAPI


@asynccontextmanager
async def running(settings: Settings, *, timer: bool = True) -> AsyncIterator[Beeline]:
    """Everything of one process, from the lock on the log to the HTTP application; stopped and closed on the way out.

    Raises `infra.embedded.lock.LogInUse` where another process writes the log.
    """
    log = EmbeddedLog.open(settings.data, partitions=settings.partitions, stepped_from=settings.stepped_from)
    try:
        snapshots = Snapshots(settings.data / "snapshots.db")
        models = ReadModels(settings.data)
        make_current(settings.data, models)
        projector = Projector(log, models)
        host = Host(log, snapshots, projector, poisonous=settings.poisonous)
        reads, keys, identity = Reads(models), KeyStore(settings.data / "keys.db"), Identity(settings.data)
        statements = Statements(settings.data)
        app = create_app(host, reads, Indicators(models, statements), identity, keys)
        try:
            await host.start(timer=timer)
            await publish_missing(host, settings.net, settings.net_from)
            await asyncio.to_thread(lambda: host.directory.atlas)  # else the first report would wait for it
            gc.collect()
            gc.freeze()  # a city's net is a million objects that stay: the collector need not look at them again
            gc.set_threshold(*COLLECTED_AFTER)
            ended = asyncio.Event()
            stating = asyncio.create_task(
                keep_stating(models, statements, host.cut, lambda: host.directory.calendar.zone, ended),
                name="statements",
            )
            try:
                yield Beeline(settings, host, reads, identity, keys, app)
            finally:
                ended.set()
                await stating
        finally:
            await host.stop()
            reads.close()
            models.close()
            snapshots.close()
            keys.close()
            statements.close()
    finally:
        await log.close()


async def publish_missing(host: Host, net: Net | None, net_from: date | None = None) -> None:
    """Make the seed catalogue, this year's calendar and a net current, or have the net wait for its day, where they are not.

    A calendar of another zone is a city's own and stays. Raises `NetFileError` for a net without grids.
    """
    directory = host.directory
    commands: list[DirectoryCommand] = []
    calendar, edition = working_calendar(), seed_edition()
    if directory.calendar.zone == calendar.zone and directory.calendar.version != calendar.version:
        commands.append(PublishCalendar(calendar=calendar))
    if not directory.edition.categories:
        commands.append(PublishEdition(edition=edition))
    if net is None and not directory.net.units:
        net = shenzhen()
    if net is not None and not net.grids:
        raise NetFileError("网格文件没有网格 · the net has no grid: nothing could be routed by it")
    today = host.now().astimezone(ZoneInfo(directory.calendar.zone)).date()
    later = net_from if net_from is not None and net_from > today else None
    if net is not None and net.version != (directory.coming.get(later) if later else directory.net.version):
        covered = await asyncio.to_thread(coverage, net)
        commands += publication(net, valid_from=later, coverage=covered)
    await host.ask(asks_of(commands, host.log.clock.now()))
    await host.quiesce()


def asks_of(commands: Sequence[DirectoryCommand], now: datetime) -> list[Ask]:
    """Commands for the directory, each with an id that follows from what it says."""
    return [
        Ask(
            Topic.DIRECTORY_COMMANDS,
            KEY,
            Envelope(
                id=(identity := derived_id(command.wire_type, command.model_dump_json())),
                source="/beeline/bootstrap",
                subject=KEY,
                time=now,
                data=command,
                correlationid=identity,
            ),
        )
        for command in commands
    ]
