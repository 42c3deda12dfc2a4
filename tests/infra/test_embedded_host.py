"""The embedded host: processors on the SQLite log, in one process."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domain.case.state import Cell
from domain.directory import Directory
from domain.ids import cell_at, report_id
from domain.message import Envelope
from domain.net import Net
from domain.place import Place
from domain.report import ReportSubmitted
from infra.auditing import audit, differing_read_models
from infra.bootstrap import Beeline, Settings, running
from infra.embedded.host import Host, HostStopped
from infra.embedded.log import LogUnavailable
from infra.net.synthetic import tessellate
from infra.uuid7 import uuid7_at
from projections.facts import miss_table
from projections.projector import digest
from projections.queues import queue
from projections.reports import report
from projections.summary import summary
from streams.reactor import Ask
from streams.record import NewRecord, Topic, partition_of
from streams.rewarder import Rewarder

START = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
"""A Monday, 08:00 in Shenzhen."""
SQUARE = [[114.0, 22.5], [114.02, 22.5], [114.02, 22.52], [114.0, 22.52], [114.0, 22.5]]


@pytest.fixture(scope="module")
def net() -> Net:
    return tessellate({"type": "Polygon", "coordinates": [SQUARE]}, 400, name="Testville")


@asynccontextmanager
async def node(folder: Path, net: Net) -> AsyncIterator[Beeline]:
    async with running(Settings(data=folder, net=net, stepped_from=START), timer=False) as beeline:
        yield beeline


async def submit(host: Host, number: int, category: str = "H-0101") -> str:
    """Append a report as the edge would; the number says where and who."""
    random = Random(number)
    lon, lat = round(114.001 + number % 17 * 0.001, 6), round(22.501 + number % 13 * 0.0013, 6)
    uuid, cell = uuid7_at(host.now(), random), cell_at(lon, lat)
    data = ReportSubmitted(
        report=report_id(cell, uuid),
        reporter=f"r-{number % 7}",
        category=category,
        edition=host.directory.edition.version,
        place=Place(lon=lon, lat=lat),
        occurred_at=host.now(),
    )
    envelope = Envelope(uuid, "/test", data.report, host.now(), data, uuid)
    partition = partition_of(cell, host.partitions)
    await host.append([NewRecord(Topic.REPORT_EVENTS, partition, cell, envelope.encode(), {"id": uuid})])
    return uuid


def states(host: Host) -> dict[str, Any]:
    """Every cell, as plain data."""
    return {
        key: asdict(keyed.state)
        for owned in host._owners
        if owned.owner is not None
        for key, keyed in owned.owner.state.keys.items()
        if isinstance(keyed.state, Cell)
    }


async def a_busy_morning(host: Host) -> None:
    for number in range(40):
        await submit(host, number, "H-0101" if number % 2 else "C-0101")
    await host.step_to(START + timedelta(hours=3))
    assert await host.caught_up(30)


async def test_a_report_stands_in_the_queue_of_its_grid(tmp_path: Path, net: Net) -> None:
    async with node(tmp_path, net) as beeline:
        uuid = await submit(beeline.host, 3)
        assert await beeline.host.caught_up(10)
        row = await beeline.reads.read(report, uuid)
        assert row is not None
        assert row.status == "filed"
        located = beeline.host.directory.atlas.locate(row.place.lon, row.place.lat) if row.place else None
        assert located is not None
        items = await beeline.reads.read(queue, located.grid)
        assert [item.item for item in items] == [row.case_id]


async def test_missed_deadlines_are_recorded_at_the_instant_they_were_due(tmp_path: Path, net: Net) -> None:
    async with node(tmp_path, net) as beeline:
        await a_busy_morning(beeline.host)
        misses = await beeline.reads.read(lambda connection: connection.execute(miss_table.select()).mappings().all())
        assert len(misses) > 40
        assert all(miss["at"] == miss["due"] for miss in misses)


async def test_a_restart_from_snapshots_gives_the_state_that_the_log_gives(tmp_path: Path, net: Net) -> None:
    async with node(tmp_path, net) as beeline:
        await a_busy_morning(beeline.host)
        before = states(beeline.host)
    async with node(tmp_path, net) as beeline:
        assert states(beeline.host) == before
    (tmp_path / "snapshots.db").unlink()
    async with node(tmp_path, net) as beeline:
        assert states(beeline.host) == before


async def test_a_snapshot_of_another_state_schema_is_not_used(tmp_path: Path, net: Net) -> None:
    async with node(tmp_path, net) as beeline:
        await a_busy_morning(beeline.host)
        before = states(beeline.host)
    with sqlite3.connect(tmp_path / "snapshots.db") as snapshots:
        snapshots.execute("UPDATE place SET fingerprint = 'of long ago'")
        snapshots.execute("UPDATE key_state SET body = '{}'")
    async with node(tmp_path, net) as beeline:
        assert states(beeline.host) == before


async def test_read_models_that_were_lost_come_back_from_the_log(tmp_path: Path, net: Net) -> None:
    async with node(tmp_path, net) as beeline:
        await a_busy_morning(beeline.host)
        before = await beeline.reads.read(digest)
    shutil.rmtree(tmp_path / "read")
    async with node(tmp_path, net) as beeline:
        assert await beeline.host.caught_up(30)
        assert await beeline.reads.read(digest) == before
    assert differing_read_models(tmp_path) == []
    assert audit(tmp_path).ok


async def test_a_report_that_comes_twice_is_one_report(tmp_path: Path, net: Net) -> None:
    async with node(tmp_path, net) as beeline:
        await submit(beeline.host, 5)
        await submit(beeline.host, 5)
        assert await beeline.host.caught_up(10)
        totals = await beeline.reads.read(summary)
        assert (totals.reports, totals.filed, totals.attached) == (1, 1, 0)


async def test_the_clock_goes_on_where_a_stepped_day_ended(tmp_path: Path, net: Net) -> None:
    async with node(tmp_path, net) as beeline:
        await submit(beeline.host, 1)
        await beeline.host.step_to(START + timedelta(days=2))
        await submit(beeline.host, 2)
    async with running(Settings(data=tmp_path), timer=False) as beeline:
        behind = beeline.host.now() - (START + timedelta(days=2))
        assert timedelta() <= behind < timedelta(minutes=5)


async def test_commands_for_nobody_go_to_the_dead_letters_and_the_partition_goes_on(tmp_path: Path, net: Net) -> None:
    async with node(tmp_path, net) as beeline:
        host = beeline.host
        await host.append([NewRecord(Topic.CASE_COMMANDS, 0, "ws1000", b"not json", {"id": "x"})])
        await submit(host, 4)
        assert await host.caught_up(10)
        assert host.problems() == []
        (letter,) = host.log.read(Topic.DEAD_LETTERS, 0, 0, 10)
        assert letter.value == b"not json"
        assert letter.headers["dead-topic"] == Topic.CASE_COMMANDS
        assert letter.headers["dead-offset"] == "0"


async def test_an_outage_of_the_log_is_waited_out_said_and_forgotten(
    tmp_path: Path, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.embedded.log.BUSY_TIMEOUT_SECONDS", 0.05)
    async with node(tmp_path, net) as beeline:
        host = beeline.host
        await submit(host, 1)
        lock = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")  # before the router has sent anything on
        async with asyncio.timeout(20):
            while not any("waiting for the log" in problem for problem in host.problems()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        lock.execute("ROLLBACK")
        lock.close()
        assert await host.caught_up(30)
        assert host.problems() == []
        assert (await beeline.reads.read(summary)).filed == 1


async def test_what_waits_for_a_stopped_partition_is_told_and_the_operator_can_declare_the_command_poisonous(
    tmp_path: Path, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(tmp_path, net) as beeline:
        with monkeypatch.context() as patched:
            patched.setattr("streams.case.decide", raising)
            await submit(beeline.host, 2)
            with pytest.raises(HostStopped, match="declare the command poisonous"):
                await beeline.host.quiesce()
        (command,) = [
            record for number in range(4) for record in beeline.host.log.read(Topic.CASE_COMMANDS, number, 0, 10)
        ]
    settings = Settings(data=tmp_path, poisonous=frozenset({command.headers["id"]}))
    async with running(settings, timer=False) as beeline:
        assert await beeline.host.caught_up(10)
        (letter,) = beeline.host.log.read(Topic.DEAD_LETTERS, 0, 0, 10)
        assert letter.headers["id"] == command.headers["id"]


def raising(*_: object) -> None:
    raise ZeroDivisionError("a defect")


async def test_points_are_paid_after_an_outage_that_hit_the_rewarder(
    tmp_path: Path, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.embedded.log.BUSY_TIMEOUT_SECONDS", 0.05)
    async with node(tmp_path, net) as beeline:
        host = beeline.host
        failed = asyncio.Event()

        def fail_once(rewarder: Rewarder, event: Envelope, at: datetime, directory: Directory) -> Iterable[Ask]:
            if not failed.is_set():
                failed.set()
                raise LogUnavailable("disk full")
            return rewarded(rewarder, event, at, directory)

        rewarded = Rewarder.react
        monkeypatch.setattr(Rewarder, "react", fail_once)
        await submit(host, 1)
        assert await host.caught_up(30)
        assert failed.is_set()
        assert (await beeline.reads.read(summary)).points_issued > 0
