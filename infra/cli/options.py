"""Options that several commands share, and how a command says no."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

DataFolder = Annotated[
    Path, typer.Option("--data", envvar="BEELINE_DATA", help="Folder of the log, the read models and the keys.")
]


def fail(message: str) -> NoReturn:
    """Say what is wrong and what to do, and exit with 2."""
    Console(stderr=True).print(f"[red]✗[/red] {message}", highlight=False, markup=True)
    raise typer.Exit(2)
