"""The page of the numbers: docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from datetime import date
from textwrap import fill

from infra.bench.result import Line, Section

HEADINGS = ("测量 measured", "产品 product", "极限 limit", "比 ratio", "目标 aim", "达到 met")
WIDTH = 118
INTRODUCTION = """\
What the product does, next to what the same machine does without it, measured in one run: trust the ratios more than the
times, which hang on the machine. `make bench` writes this page anew; `make bench ARGS="--only edge"` measures one thing and
prints it. Rounds of product and limit take turns, and medians are shown. Inputs follow from a seed. Where an aim is not met,
the section says what stands in the way.
"""


def page(sections: Sequence[Section], day: date) -> str:
    """The whole page in Markdown."""
    lines = [line for section in sections for line in section.lines]
    parts = [
        "# 性能 · Benchmarks",
        INTRODUCTION.strip(),
        f"{day.isoformat()}, {machine()}.",
        _table([HEADINGS, *map(cells, lines)]),
        *(_section(section) for section in sections),
    ]
    return "\n\n".join(parts) + "\n"


def machine() -> str:
    """What it ran on."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"


def cells(line: Line) -> tuple[str, ...]:
    """A line of the table of all."""
    limit = f"{_number(line.limit)} ({line.limit_is})" if line.limit is not None else ""
    ratio = f"{line.ratio:.3g}" if line.ratio is not None else ""
    met = "" if line.met is None else "是 yes" if line.met else "**否 no**"
    return line.what, f"{_number(line.product)} {line.unit}", limit, ratio, line.aim, met


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _section(section: Section) -> str:
    parts = [f"## {section.title}", _wrapped(section.method), _wrapped(f"**What holds it back.** {section.held_back}")]
    if section.details:
        parts.append(_table(section.details))
    return "\n\n".join(parts)


def _wrapped(text: str) -> str:
    return fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(rows: Sequence[Sequence[str]]) -> str:
    heading, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([heading, "|" + "---|" * len(rows[0]), *rest])
