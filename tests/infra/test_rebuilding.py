"""A new generation of the read models beside the live one: equal content, swapped in one step, seen whole or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from multiprocessing import active_children
from pathlib import Path
from shutil import rmtree

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from domain.net import Net
from infra.auditing import differing_read_models
from infra.bootstrap import Settings, running
from infra.cli.main import app
from infra.database import NoReadModels, ReadModels
from infra.embedded.lock import FileLock
from infra.rebuilding import CannotRebuild, RebuildRunning, are_current, fingerprint, make_current, rebuild
from projections.facts import fact_table
from projections.projector import digest
from projections.reports import report_table
from streams.record import Topic
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


def generations(folder: Path) -> set[str | None]:
    """Every file of a database in the folder, but the ones beside the live one."""
    return {file.name for file in (folder / "read").glob("*.db*") if not file.name.endswith(("-wal", "-shm"))}


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
        assert generations(folder) == {live}
        assert (models.live(), digests(models)) == (live, before)


def test_what_a_killed_rebuild_has_left_is_cleared_away_and_its_names_are_not_given_again(folder: Path) -> None:
    with models_of(folder) as models:
        before = digests(models)
        left = [folder / "read" / name for name in ("7.db", "7.db-wal", "7.db-shm", "7.shares/1.db", "copy.txt")]
        for file in left:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"half")
        rebuild(folder, models)
        assert (models.live(), generations(folder)) == ("8.db", {"8.db"})
        assert digests(models) == before
    assert [file.exists() for file in left] == [False, False, False, False, True]


def test_a_process_that_is_killed_while_it_folds_ends_the_rebuild(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.rebuilding.WORTH_SHARING", 1)

    def kill(_: int, __: int) -> None:
        active_children()[0].kill()

    with models_of(folder) as models:
        live, before = models.live(), digests(models)
        with pytest.raises(CannotRebuild, match="killed, or out of memory"):
            rebuild(folder, models, kill)
        assert active_children() == []
        assert (generations(folder), digests(models)) == ({live}, before)
        assert sorted(file.name for file in (folder / "read").iterdir() if file.is_dir()) == []


def test_what_goes_wrong_in_a_process_is_said_by_the_rebuild(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.rebuilding.WORTH_SHARING", 1)
    with closing(sqlite3.connect(folder / "log.db")) as log, log:
        log.execute("UPDATE record SET value = ? WHERE topic = ?", (b'[{"type":"unknown"}]', Topic.CASE_EVENTS))
    with models_of(folder) as models:
        live, before = models.live(), digests(models)
        with pytest.raises(CannotRebuild, match="CorruptCommit: beeline"):
            rebuild(folder, models)
        assert (generations(folder), digests(models)) == ({live}, before)


def nothing_there(read: Path) -> None:
    rmtree(read)


def a_link_to_nothing(read: Path) -> None:
    for file in read.glob("1.db*"):
        file.unlink()


def a_copy_that_has_no_links(read: Path) -> None:
    whole = (read / "live").read_bytes()
    (read / "live").unlink()
    (read / "live").write_bytes(whole)


def half_a_copy(read: Path) -> None:
    file = read / "1.db"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def something_else(read: Path) -> None:
    (read / "1.db").write_bytes(b"no database at all" * 1000)


@pytest.mark.parametrize(
    "harm", [nothing_there, a_link_to_nothing, a_copy_that_has_no_links, half_a_copy, something_else]
)
async def test_a_node_makes_read_models_anew_that_were_copied_in_part(
    folder: Path, harm: Callable[[Path], None]
) -> None:
    with models_of(folder) as models:
        before = digests(models)
    harm(folder / "read")
    with models_of(folder) as models:
        assert not are_current(models)
        async with running(Settings(data=folder), timer=False) as beeline:
            assert await beeline.host.caught_up(30)
        assert (are_current(models), digests(models)) == (True, before)
    assert len(generations(folder)) == 1


def test_who_needs_read_models_that_somebody_makes_already_waits_for_that(folder: Path) -> None:
    rmtree(folder / "read")
    with models_of(folder) as models, ThreadPoolExecutor() as pool:
        waiting: list[Future[None]] = []

        def meanwhile(done: int, _: int) -> None:
            if done and not waiting:
                waiting.append(pool.submit(make_current, folder, models))

        rebuild(folder, models, meanwhile)
        waiting[0].result(30)
        assert (models.live(), are_current(models)) == ("1.db", True)


def test_no_generation_of_another_version_is_made_beneath_a_running_node(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["rebuild", "--data", str(folder)]
    with served(folder):
        assert CliRunner().invoke(app, asked).exit_code == 0
        monkeypatch.setattr("infra.rebuilding.REVISION", 99)
        refused = CliRunner().invoke(app, asked)
        assert (refused.exit_code, "stop it" in refused.stderr) == (2, True)
    assert CliRunner().invoke(app, asked).exit_code == 0


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """As a server holds it."""
    lock = FileLock(folder / "log.lock")
    yield
    lock.release()


def test_a_folder_without_read_models_says_what_to_do(tmp_path: Path) -> None:
    with models_of(tmp_path) as models, pytest.raises(NoReadModels, match="beeline serve"), models.reading():
        pass
    assert not are_current(models)


def test_the_fingerprint_says_what_the_tables_are_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fingerprint() == fingerprint()
    before = fingerprint()
    monkeypatch.setattr("infra.rebuilding.REVISION", 99)
    assert fingerprint() != before
