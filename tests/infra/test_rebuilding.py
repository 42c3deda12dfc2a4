"""A new generation of the read models beside the live one: equal content, swapped in one step, seen whole or not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from domain.net import Net
from infra.auditing import differing_read_models
from infra.bootstrap import Settings, running
from infra.database import NoReadModels, ReadModels
from infra.rebuilding import RebuildRunning, are_current, fingerprint, rebuild
from projections.facts import fact_table
from projections.projector import digest
from projections.reports import report_table
from tests.infra.test_embedded_host import a_busy_morning, node, submit
from tests.infra.test_embedded_host import net as net


@contextmanager
def models_of(folder: Path) -> Iterator[ReadModels]:
    models = ReadModels(folder)
    yield models
    models.close()


def digests(models: ReadModels) -> dict[str, str]:
    with models.reading() as connection:
        return digest(connection)


@pytest.fixture
async def folder(tmp_path: Path, net: Net) -> Path:
    """Of a server that has stopped."""
    async with node(tmp_path, net) as beeline:
        await a_busy_morning(beeline.host)
    return tmp_path


@pytest.mark.parametrize("worth_sharing", [10**9, 1], ids=["one process", "several processes"])
def test_a_rebuild_gives_the_same_digests(folder: Path, monkeypatch: pytest.MonkeyPatch, worth_sharing: int) -> None:
    monkeypatch.setattr("infra.rebuilding.WORTH_SHARING", worth_sharing)
    told: list[tuple[int, int]] = []
    with models_of(folder) as models:
        before, live = digests(models), models.live()
        rebuild(folder, models, lambda done, of_all: told.append((done, of_all)))
        assert digests(models) == before
        assert models.live() != live
        assert are_current(models)
    assert told[-1][0] == told[-1][1] > 0
    assert [file.name for file in (folder / "read").glob("*.db")] == [models.live()]
    assert differing_read_models(folder) == []


def test_reads_never_fail_and_never_see_half_while_generations_come_and_go(folder: Path) -> None:
    stop, seen, wrong = threading.Event(), set[tuple[int, int]](), list[BaseException]()

    def look() -> None:
        with models_of(folder) as models:
            while not stop.is_set():
                try:
                    with models.reading() as connection:
                        cases = connection.execute(select(func.count()).select_from(fact_table)).scalar_one()
                        reports = connection.execute(select(func.count()).select_from(report_table)).scalar_one()
                    seen.add((cases, reports))
                except BaseException as error:
                    wrong.append(error)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    with models_of(folder) as models:
        for _ in range(4):
            rebuild(folder, models)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(seen) == 1
    assert min(seen) > (0, 0)


async def test_a_running_node_goes_on_projecting_into_the_new_generation(tmp_path: Path, net: Net) -> None:
    async with node(tmp_path, net) as beeline:
        await a_busy_morning(beeline.host)
        with models_of(tmp_path) as models:
            for number in range(3):
                making = asyncio.create_task(asyncio.to_thread(rebuild, tmp_path, models))
                while not making.done():
                    await submit(beeline.host, 100 + number)
                    await beeline.host.step_to(beeline.host.now() + timedelta(minutes=1))
                await making
        assert await beeline.host.caught_up(30)
        assert beeline.host.problems() == []
    assert differing_read_models(tmp_path) == []


async def test_read_models_of_another_make_are_made_anew_at_the_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.rebuilding.REVISION", 99)
    with models_of(folder) as models:
        before = digests(models)
        assert not are_current(models)
        async with running(Settings(data=folder), timer=False) as beeline:
            assert await beeline.host.caught_up(30)
        assert are_current(models)
        assert digests(models) == before


def test_of_two_rebuilds_at_a_time_the_second_is_refused_and_nothing_is_lost(folder: Path) -> None:
    with models_of(folder) as models:

        def second(done: int, _: int) -> None:
            if done:
                with pytest.raises(RebuildRunning, match="正在重建"):
                    rebuild(folder, ReadModels(folder))

        before = digests(models)
        rebuild(folder, models, second)
        assert digests(models) == before


def test_what_an_interrupted_rebuild_leaves_is_cleared_away_by_the_next(folder: Path) -> None:
    def interrupt(_: int, __: int) -> None:
        raise KeyboardInterrupt

    with models_of(folder) as models:
        live, before = models.live(), digests(models)
        with pytest.raises(KeyboardInterrupt):
            rebuild(folder, models, interrupt)
        assert (models.live(), digests(models)) == (live, before)
        rebuild(folder, models)
        assert digests(models) == before
    assert len(list((folder / "read").glob("*.db"))) == 1


def test_a_folder_without_read_models_says_what_to_do(tmp_path: Path) -> None:
    with models_of(tmp_path) as models, pytest.raises(NoReadModels, match="beeline serve"), models.reading():
        pass
    assert not are_current(models)


def test_the_fingerprint_says_what_the_tables_are_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fingerprint() == fingerprint()
    before = fingerprint()
    monkeypatch.setattr("infra.rebuilding.REVISION", 99)
    assert fingerprint() != before
