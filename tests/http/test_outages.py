"""When something behind the edge is missing: 503, when to come back, nothing half written, and then it goes on."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from domain.message import Role
from infra.bootstrap import Beeline, Settings
from infra.database import ReadModels, Reads
from infra.embedded.host import Host
from infra.embedded.log import EmbeddedLog
from infra.embedded.projecting import Projector
from infra.embedded.snapshots import Snapshots
from infra.http.app import create_app
from infra.identity import Identity
from infra.indicators import Indicators
from infra.keystore import KeyStore
from infra.rebuilding import rebuild
from infra.statements import Statements
from streams.record import Topic
from tests.http.city import NET, City, city_in


def foreign_lock(path: Path) -> sqlite3.Connection:
    """Somebody else's write lock on a file."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


async def test_a_locked_log_takes_nothing_and_says_when_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.embedded.log.BUSY_TIMEOUT_SECONDS", 0.05)
    async with city_in(tmp_path) as city:
        case_id, report, other = await city.filed(), city.report(), city.report()
        worker = city.staff(Role.GRID_WORKER, await city.unit_of(case_id))
        assert await city.node.host.caught_up(5)
        log = city.node.host.log
        ends = [log.end(topic, n) for topic in (Topic.REPORT_EVENTS, Topic.CASE_COMMANDS) for n in range(4)]
        lock = foreign_lock(tmp_path / "log.db")
        for answer in (
            await city.post("/v1/reports", report, city.rider()),
            await city.post("/v1/reports/batch", {"reports": [report, other]}, city.rider()),
            await city.ask(case_id, "AcceptDispatch", worker),
        ):
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert answer.body["type"] == "urn:beeline:problem:unavailable"
        assert [log.end(topic, n) for topic in (Topic.REPORT_EVENTS, Topic.CASE_COMMANDS) for n in range(4)] == ends
        lock.execute("ROLLBACK")
        assert (await city.submit(report))["status"] == "filed"
        assert (await city.ask(case_id, "AcceptDispatch", worker)).status == 200
        lock.close()


async def readiness(city: City, wanted: int) -> int:
    """The status of ``/readyz``, once it is as wanted or three seconds have passed."""
    for _ in range(60):
        if (status := (await city.get("/readyz")).status) == wanted:
            break
        await asyncio.sleep(0.05)
    return status


async def test_an_outage_shows_in_readiness_and_is_over_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.embedded.log.BUSY_TIMEOUT_SECONDS", 0.05)
    async with city_in(tmp_path) as city:
        reports = [city.report() for _ in range(30)]
        assert (await city.post("/v1/reports/batch", reports, city.rider())).body["accepted"] == 30
        lock = foreign_lock(tmp_path / "log.db")  # before the processors have written all that follows from them
        assert await readiness(city, 503) == 503
        lock.execute("ROLLBACK")
        lock.close()
        assert await readiness(city, 200) == 200
        for report in reports:
            filed = await city.post("/v1/reports", report, city.rider(), prefer="wait=5")
            assert (filed.status, filed.body["status"]) == (202, "filed")


async def test_without_a_key_for_a_new_person_nothing_reaches_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.keystore.BUSY_TIMEOUT_SECONDS", 0.05)
    async with city_in(tmp_path) as city:
        await city.submit(city.report(), city.rider("known"))
        report, lock = city.report(), foreign_lock(tmp_path / "keys.db")
        answer = await city.post("/v1/reports", report, city.rider("new"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        batch = await city.post("/v1/reports/batch", [report, city.report(description=None)], city.rider("new"))
        assert [item["status"] for item in batch.body["results"]] == [503, 202]
        assert (await city.post("/v1/reports", city.report(), city.rider("known"))).status == 202
        lock.execute("ROLLBACK")
        assert (await city.post("/v1/reports", report, city.rider("new"))).status == 202
        lock.close()


async def test_a_node_without_a_net_takes_nothing_yet(tmp_path: Path) -> None:
    log, snapshots = EmbeddedLog.open(tmp_path), Snapshots(tmp_path / "snapshots.db")
    models = ReadModels(tmp_path)
    rebuild(tmp_path, models)
    host = Host(log, snapshots, Projector(log, models))
    reads, identity, keys = Reads(models), Identity(tmp_path), KeyStore(tmp_path / "keys.db")
    statements = Statements(tmp_path)
    app = create_app(host, reads, Indicators(models, statements), identity, keys)
    node = Beeline(Settings(tmp_path), host, reads, identity, keys, app)
    city = City(node)
    ready = await city.get("/readyz")
    assert (ready.status, ready.headers["retry-after"], ready.body["status"]) == (503, "5", "waiting")
    assert ready.body["problems"]
    assert (await city.get("/healthz")).status == 200
    for answer in (
        await city.post("/v1/reports", city.report(), city.rider()),
        await city.ask("ws10k8-1", "AcceptDispatch", city.staff(Role.GRID_WORKER, NET.grids[0].code)),
    ):
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    reads.close()
    models.close()
    snapshots.close()
    keys.close()
    statements.close()
    await log.close()
