"""`make bench`: measure, and write docs/benchmarks.md."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.bench.page import page
from infra.bench.run import MEASUREMENTS, run, scale_of

PAGE = Path("docs/benchmarks.md")


def main(
    seconds: Annotated[float | None, typer.Option(min=0.1, help="How long reports come in steadily; 60.")] = None,
    only: Annotated[str, typer.Option(help=f"One of {', '.join(MEASUREMENTS)}: measure it, and write no page.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes: whether it runs, not how fast.")] = False,
    out: Annotated[Path | None, typer.Option(help=f"Where to write the page; {PAGE} where all is measured.")] = None,
) -> None:
    """性能测试 · Measure the product next to the machine's limits."""
    if only and only not in MEASUREMENTS:
        raise typer.BadParameter(f"there are {', '.join(MEASUREMENTS)}", param_hint="--only")
    console = Console(stderr=True)
    names = [only] if only else list(MEASUREMENTS)
    sections = list(run(names, scale_of(quick=quick, seconds=seconds), console))
    if out is not None or not only:
        file = out or PAGE
        file.write_text(page(sections, datetime.now(UTC).date()), encoding="utf-8")
        console.print(f"已写入 · written: {file}")


if __name__ == "__main__":
    typer.run(main)
