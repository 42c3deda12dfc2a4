"""Options that several commands share, and how a command says no."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text
from typer.core import TyperGroup

from infra.demo.run import DemoError
from infra.embedded.lock import LogInUse
from infra.embedded.log import LogUnavailable, PartitionsFixed
from infra.net.files import NetFileError
from infra.serve import PortInUse

DataFolder = Annotated[
    Path, typer.Option("--data", envvar="BEELINE_DATA", help="Folder of the log, the read models and the keys.")
]
DEFAULT_DATA = Path("data/beeline")

KNOWN = (
    DemoError,
    LogInUse,
    LogUnavailable,
    NetFileError,
    OSError,
    PartitionsFixed,
    PortInUse,
    sqlite3.Error,
)
"""What is wrong with the world, not with us: said in a sentence, without a traceback."""


def fail(message: str) -> NoReturn:
    """Say what is wrong and what to do, and exit with 2."""
    Console(stderr=True).print(f"[red]✗[/red] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(2)


class Sentences(TyperGroup):
    """Commands whose known errors end in a sentence."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KNOWN as error:
            fail(str(error))


class RateColumn(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """``1,234/s``."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


def progress_bar(console: Console) -> Progress:
    """A bar with rate and time left, for work that takes a while."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
