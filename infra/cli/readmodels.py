"""`beeline rebuild` and `digest`: the read models made anew, and what they amount to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.exc import DatabaseError

from infra.cli.options import DEFAULT_DATA, DataFolder, fail, progress_bar
from infra.database import ReadModels
from infra.embedded.lock import FileLock
from infra.embedded.log import LogReader
from infra.rebuilding import CannotRebuild, are_current
from infra.rebuilding import rebuild as rebuild_models
from projections.projector import digest as digest_of
from streams.commit import CorruptCommit

notes = Console(stderr=True)


def rebuild(data: DataFolder = DEFAULT_DATA) -> None:
    """重建 · Compute the read models anew from the log, beside the live ones, and swap in one step.

    Works beside a running server of the same version, whose reads go on, and without one.
    """
    models = ReadModels(data)
    try:
        with _no_other_version(data, models), progress_bar(notes) as bar:
            task = bar.add_task("重建 · rebuilding", total=None)
            rebuild_models(data, models, lambda done, of_all: bar.update(task, completed=done, total=of_all))
    except CannotRebuild as error:
        fail(str(error))
    except CorruptCommit as error:
        fail(f"日志损坏 · the log is damaged: {error}")
    except DatabaseError as error:
        fail(f"读模型未换新 · nothing was swapped, the read models are as they were: {error.orig}")
    finally:
        models.close()
    notes.print(f"读模型已换新 · the read models are swapped: {models.live()}")


@contextmanager
def _no_other_version(data: Path, models: ReadModels) -> Iterator[None]:
    """A running server could not read what another version makes: then none may run. Raises `LogInUse`."""
    with ExitStack() as held:
        if models.live() is not None and not are_current(models):
            held.callback(FileLock(data / "log.lock").release)
        yield


def require_current(models: ReadModels) -> None:
    """Say no where the read models are not what this version makes of a log, or cannot be read."""
    if models.live() is not None and not are_current(models):
        fail("读模型不可用 · the read models are another version's or damaged: run `beeline rebuild` first")


def digest(
    data: DataFolder = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """摘要 · Print one hash per read model: equal content, equal hash, whatever the host, the partitions, the generation."""
    LogReader(data).close()
    models = ReadModels(data)
    require_current(models)
    with models.reading() as connection:
        digests = digest_of(connection)
    models.close()
    if as_json:
        typer.echo(json.dumps(digests))
        return
    for name, value in digests.items():
        typer.echo(f"{name:<16} {value}")
