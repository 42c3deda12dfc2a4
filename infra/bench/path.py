"""From report to projected row: the embedded host in this process, without HTTP, beside bare batched inserts."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median

from infra.bench.bare import events_in, insert_log_rows, last_row, log_rows
from infra.bench.city import Riders, city, described
from infra.bench.generate import generate
from infra.bench.result import Bench, Line, Section
from infra.bootstrap import Beeline, Settings, running
from infra.database import ReadModels
from infra.embedded.log import EmbeddedLog
from infra.embedded.projecting import Projector

APPEND = 100
"""Reports of one append: what a busy edge has gathered."""
CATCH_UP_SECONDS = 300.0
AIM = 2_000


def measure(bench: Bench) -> Section:
    """Whole path and bare inserts in turn; then the projector alone."""
    whole, bare = asyncio.run(_whole_path(bench))
    alone = _projector_alone(bench)
    limit_is = "bare inserts of the same bytes, 1,000 a transaction"
    return Section(
        title="从上报到读模型 · From report to projected row",
        method="Reports go into the log of the embedded host, 100 an append; router, case processor, rewarder and rider "
        "processor answer through the log, and the projector writes every read model, all in one process on "
        f"{described(city(whole=bench.scale.whole_city))}. An event is a report, or an event of a case or an account. The "
        "limit puts all records that came of it (commands too) into one SQLite table (`synchronous=FULL`, `executemany`, "
        "1,000 rows a transaction). *Projector alone* works off a generated log that is there, in the transactions of a "
        "running server.",
        held_back=HELD_BACK,
        lines=(
            Line(
                "report → row, whole path", "events/s", whole, bare, limit_is, "≥ 1/20 of the limit", whole >= bare / 20
            ),
            Line("projector alone", "events/s", alone, None, "", f"≥ {AIM:,}/s", alone >= AIM),
        ),
    )


async def _whole_path(bench: Bench) -> tuple[float, float]:
    scale, data = bench.scale, bench.folder / "path"
    net = city(whole=scale.whole_city)
    whole, bare = [], []
    async with running(Settings(data=data, net=net), timer=False) as beeline:
        riders = Riders(net, beeline.host.directory.edition)
        await _round(beeline, riders, APPEND)  # not counted: the spatial index is built, the net is projected
        for number in range(scale.rounds):
            bench.notes(f"round {number + 1} of {scale.rounds}")
            before = last_row(data)
            took = await _round(beeline, riders, scale.reports)
            rows = log_rows(data, after=before)
            whole.append(events_in(rows) / took)
            bare.append(events_in(rows) / insert_log_rows(bench.folder / "bare.db", rows))
    return median(whole), median(bare)


async def _round(beeline: Beeline, riders: Riders, reports: int) -> float:
    host = beeline.host
    edition = host.directory.edition.version
    records = [seen.record(edition, host.partitions) for seen in riders.see(reports, host.now())]
    began = time.monotonic()
    for start in range(0, reports, APPEND):
        await host.append(records[start : start + APPEND])
    if not await host.caught_up(CATCH_UP_SECONDS):
        raise TimeoutError(f"the host did not catch up: {host.problems()}")
    return time.monotonic() - began


def _projector_alone(bench: Bench) -> float:
    data = bench.folder / "projector"
    bench.notes("the projector alone")
    generate(data, city(whole=False), bench.scale.projected_cases)
    return asyncio.run(_project(data))


async def _project(data: Path) -> float:
    log, models = EmbeddedLog.open(data), ReadModels(data)
    projector = Projector(log, models)
    events = events_in(log_rows(data))
    try:
        began, finish = time.monotonic(), _Finish(projector)
        serving = asyncio.create_task(projector.serve(finish))
        finished = asyncio.create_task(finish.reached.wait())
        await asyncio.wait((serving, finished), return_when=asyncio.FIRST_COMPLETED)
        took = time.monotonic() - began
        serving.cancel()
        await asyncio.wait((serving,))
        finished.result()
    finally:
        models.close()
        await log.close()
    return events / took


class _Finish:
    """Waits for the end of the log."""

    def __init__(self, projector: Projector) -> None:
        self._projector, self.reached = projector, asyncio.Event()

    def moved(self) -> None:
        """The read models have moved."""
        if self._projector.is_idle:
            self.reached.set()


HELD_BACK = (
    "One interpreter on one core. Of a report's processor time the event loop takes 54 %, the projector's thread 38 % and the "
    "thread that writes the log 8 %. On the event loop nothing stands out: a fifth makes the JSON of five records, a fifth "
    "finds grid and unit, an eighth copies immutable state, the rest is the rules and ids. SQLite is not what one waits for."
)
