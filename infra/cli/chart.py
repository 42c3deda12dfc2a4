"""Numbers drawn with characters: columns over time, bars by anything else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.indicators import Told
from projections.indicators.period import bucket_of
from projections.indicators.question import BUCKETS

Number = float | int | None

ROWS = 8
WIDEST_COLUMN = 6
MARGIN = 12
"""Characters of the scale at the left."""
BAR_WIDTH = 40
EIGHTHS = " ▁▂▃▄▅▆▇█"
COLOUR = "cyan"


def shown_value(value: Number, unit: str) -> str:
    """A number as people read it, in its unit; a dash where there is none."""
    if value is None:
        return "-"
    if unit == "percent":
        return f"{value:.2f} %"
    if unit == "seconds":
        return _lasting(float(value))
    return f"{value:,}"


def _lasting(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 48:
        return f"{hours / 24:.1f} d"
    if minutes >= 120:
        return f"{hours:.1f} h"
    return f"{minutes:.1f} min" if seconds >= 120 else f"{seconds:.1f} s"


def plot(console: Console, told: Told) -> None:
    """Over time where that is the only breakdown and there is room for it, else a bar for each line."""
    if len(told.by) == 1 and told.by[0] in BUCKETS:
        values = over_time(told)
        width = min(WIDEST_COLUMN, (console.width - MARGIN) // max(1, len(values)))
        if width >= 1:
            console.print(_columns(values, width, told.unit))
            return
    console.print(_bars(told))


def over_time(told: Told) -> dict[str, Number]:
    """The value of every local day, week or month of the period that has begun, also where nothing happened."""
    (bucket,) = told.by
    known: dict[str, Number] = {str(line.key[bucket]): line.value for line in told.lines}
    zone = ZoneInfo(told.zone)
    day = told.start.astimezone(zone).date()
    last = (min(told.end, told.complete_until) - timedelta(microseconds=1)).astimezone(zone).date()
    values: dict[str, Number] = {}
    while day <= last:
        label = bucket_of(bucket, day)
        values[label] = known.get(label)
        day += timedelta(days=1)
    return values


def _top(values: Sequence[Number], unit: str) -> float:
    """Where the scale ends."""
    most = max((float(value) for value in values if value is not None), default=0.0)
    return max(100.0, most) if unit == "percent" else most or 1.0


def _columns(values: dict[str, Number], width: int, unit: str) -> Text:
    top = _top(list(values.values()), unit)
    heights = [round((value or 0) / top * ROWS * 8) for value in values.values()]
    drawn = Text()
    for row in reversed(range(ROWS)):
        scale = shown_value(top, unit) if row == ROWS - 1 else ""
        drawn.append(f"{scale:>{MARGIN - 2}} ", "dim").append("│", "dim")
        cells = (EIGHTHS[min(8, max(0, height - row * 8))] for height in heights)
        drawn.append("".join((cell * max(1, width - 1)).ljust(width) for cell in cells) + "\n", COLOUR)
    drawn.append(f"{shown_value(0, unit):>{MARGIN - 2}} └{'─' * (width * len(heights))}\n", "dim")
    return drawn.append(" " * MARGIN + _marks(list(values), width), "dim")


def _marks(labels: Sequence[str], width: int) -> str:
    """As many labels as fit under their columns, without the year; after the first, without the month either."""
    line, free = "", 0
    for number, label in enumerate(labels):
        text = label[5:] if number == 0 else label[label.rindex("-") + 1 :]
        if number * width >= free:
            line = line.ljust(number * width) + text
            free = len(line) + 1
    return line


def _bars(told: Told) -> Table:
    top = _top([line.value for line in told.lines], told.unit)
    table = Table(box=None, show_header=False, padding=(0, 1))
    for line in told.lines:
        name = " / ".join(_name(told, dimension, line.key[dimension]) for dimension in told.by)
        bar = Bar(top, 0, line.value or 0, width=BAR_WIDTH, color=COLOUR)
        table.add_row(name or told.name_zh, bar, shown_value(line.value, told.unit))
    return table


def _name(told: Told, dimension: str, code: str | None) -> str:
    name = told.names.get(dimension, {}).get(code or "")
    return f"{name.zh} {name.en}" if name else code or "无 none"
