"""重建 — the read models anew from logs of growing size, beside the same rows put in by nobody but SQLite."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from infra.bench.bare import insert_again
from infra.bench.city import city
from infra.bench.generate import generate
from infra.bench.result import Bench, Line, Section
from infra.database import ReadModels
from infra.rebuilding import rebuild

AIM = 10_000
FLAT = 1.2
"""How much more an event may cost in the largest log than in the smallest, and still be said to cost the same."""
SECONDS_MAX = 120.0
"""For the largest log: what would take longer is cut to what does not."""
BARE_SECONDS_MAX = 30.0
"""A rebuild that takes longer is not compared with bare inserts: the largest would double the run."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A log of so many events, the seconds of its rebuild, and of the bare inserts where they were measured."""

    events: int
    seconds: float
    bare_seconds: float | None

    @property
    def cost(self) -> float:
        """Seconds an event."""
        return self.seconds / self.events


def measure(bench: Bench) -> Section:
    """From the smallest log to the largest."""
    rebuilt: list[Rebuilt] = []
    for cases in bench.scale.rebuilt_cases:
        if rebuilt:
            a_case = rebuilt[-1].events / bench.scale.rebuilt_cases[len(rebuilt) - 1]
            cases = min(cases, int(SECONDS_MAX / rebuilt[-1].cost / a_case))
        rebuilt.append(_rebuild(bench, cases, rounds=1 if rebuilt else bench.scale.rounds))
    return _section(rebuilt)


def _rebuild(bench: Bench, cases: int, rounds: int) -> Rebuilt:
    data = bench.folder / f"{cases}"
    bench.notes(f"a log of {cases:,} cases is generated")
    events = generate(data, city(whole=False), cases)
    bench.notes(f"{events:,} events are rebuilt")
    models = ReadModels(data)
    seconds = median(_seconds(data, models) for _ in range(rounds))
    bare = None
    if seconds <= BARE_SECONDS_MAX:
        bare = insert_again(bench.folder / "bare.db", models.folder / str(models.live()))
    models.close()
    return Rebuilt(events, seconds, bare)


def _seconds(data: Path, models: ReadModels) -> float:
    began = time.monotonic()
    rebuild(data, models)
    return time.monotonic() - began


def _section(rebuilt: Sequence[Rebuilt]) -> Section:
    smallest, largest = rebuilt[0], rebuilt[-1]
    grown = largest.cost / smallest.cost
    return Section(
        title="重建 · Rebuild",
        method="Generated logs (one year of cases on a net of a few hundred grids, each life decided by the real processors and "
        "copied with its own ids, times and hash chain) are rebuilt as `beeline rebuild` does it: read, checked, folded "
        "into a new generation, indexed, swapped. The largest has a million events, or as many as are rebuilt in "
        f"{SECONDS_MAX:.0f} s. The limit puts the rows of the rebuilt tables into an empty file with the same indexes.",
        held_back=HELD_BACK,
        lines=(
            *(_line(each, AIM if each is largest else 0) for each in rebuilt),
            Line(
                f"rebuild: an event's cost, of {largest.events:,} to of {smallest.events:,}",
                "times",
                grown,
                aim=f"≤ {FLAT}",
                met=grown <= FLAT,
            ),
        ),
    )


def _line(rebuilt: Rebuilt, aim: int) -> Line:
    rate = rebuilt.events / rebuilt.seconds
    return Line(
        f"rebuild of {rebuilt.events:,} events",
        "events/s",
        rate,
        rebuilt.events / rebuilt.bare_seconds if rebuilt.bare_seconds else None,
        "bare inserts of the same rows",
        f"≥ {aim:,}/s" if aim else "",
        rate >= aim if aim else None,
    )


HELD_BACK = (
    "Python, not SQLite: a third of the processor time reads the log, checks hashes and builds messages; the rest works out "
    "rows, of which turning them into parameters is a sixth of the whole and SQLite's own part a twentieth. A small log is "
    "rebuilt by one process and a large one by several, which pays for their start."
)
