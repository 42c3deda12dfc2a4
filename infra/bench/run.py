"""Runs the measurements one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from infra.bench import edge, indicators, latency, locating, path, rebuilding
from infra.bench.page import HEADINGS, cells
from infra.bench.result import FULL, QUICK, Bench, Scale, Section

MEASUREMENTS: Mapping[str, Callable[[Bench], Section]] = {
    "path": path.measure,
    "locate": locating.measure,
    "rebuild": rebuilding.measure,
    "edge": edge.measure,
    "latency": latency.measure,
    "indicators": indicators.measure,
}
"""By name, in the order of the page."""


def scale_of(*, quick: bool, seconds: float | None) -> Scale:
    """How much to measure: ``quick`` is a trial; ``seconds`` is how long reports come in steadily."""
    chosen = QUICK if quick else FULL
    return chosen if seconds is None else replace(chosen, seconds=seconds)


def run(names: Sequence[str], scale: Scale, console: Console) -> Iterator[Section]:
    """The named measurements, each in an empty folder that is gone afterwards."""
    for number, name in enumerate(names, start=1):
        console.rule(f"{number}/{len(names)} {name}")
        with TemporaryDirectory(prefix=f"beeline-{name}-") as folder:
            section = MEASUREMENTS[name](Bench(scale, Path(folder), lambda note: console.print(f"· {note}")))
        show(section, console)
        yield section


def show(section: Section, console: Console) -> None:
    """A section's numbers."""
    table = Table(*HEADINGS, title=section.title)
    for line in section.lines:
        table.add_row(*(cell.replace("*", "") for cell in cells(line)))
    console.print(table)
    for row in section.details:
        console.print("  ".join(row), highlight=False)
