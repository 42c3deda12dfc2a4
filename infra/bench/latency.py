"""Steady reports: how long from the acknowledgement until the case stands in its grid's queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.bench.bare import commits, log_rows
from infra.bench.city import RIDERS, city, described
from infra.bench.edge import SETTLE_SECONDS, Phones
from infra.bench.http import Connection, accepted
from infra.bench.nodes import Served, beeline
from infra.bench.readings import Watch
from infra.bench.result import Bench, Line, Scale, Section, percentile

CONNECTIONS = 64
TRANSACTIONS = 4
"""What no report can do without: itself, the request to the cell, the cell's answer, and the read models."""
AIM_MS = 100


@dataclass(slots=True)
class Sent:
    """What was sent when, and when it was acknowledged; all by `time.monotonic`."""

    acknowledged: dict[str, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    """Seconds from when a report was due to be sent until its acknowledgement."""


def measure(bench: Bench) -> Section:
    """The server in its process, the riders and the watch in this one."""
    scale = bench.scale
    number = round(scale.seconds * scale.reports_a_second)
    with beeline(bench.folder, city(whole=scale.whole_city)) as served:
        phones, watch = Phones(served, city(whole=scale.whole_city)), Watch(served.data)
        with watch.looking():
            bench.notes("the riders' first reports: keys are made, tokens verified")
            _steadily(bench, served, phones.named_requests(RIDERS))
            watch.wait_for(RIDERS, SETTLE_SECONDS)
            bench.notes(f"{scale.reports_a_second} reports a second for {scale.seconds:g} s")
            looks, began = watch.looks, time.monotonic()
            sent = _steadily(bench, served, phones.named_requests(number))
            watch.wait_for(RIDERS + number, SETTLE_SECONDS)
            look_ms = 1000 * (time.monotonic() - began) / max(watch.looks - looks, 1)
        rows = log_rows(served.data)[-2_000:]
    queued = [1000 * max(watch.placed[uuid] - at, 0) for uuid, at in sent.acknowledged.items()]
    bare = [1000 * took for took in commits(bench.folder / "bare.db", rows, TRANSACTIONS)]
    return _section(scale, queued, [1000 * wait for wait in sent.waits], bare, look_ms)


def _steadily(bench: Bench, served: Served, requests: Sequence[tuple[str, bytes]]) -> Sent:
    return asyncio.run(_send(served.port, requests, bench.scale.reports_a_second))


async def _send(port: int, requests: Sequence[tuple[str, bytes]], rate: int) -> Sent:
    """Each report when it is due, whether the ones before have been answered or not."""
    sent, free = Sent(), asyncio.Queue[Connection]()
    for _ in range(CONNECTIONS):
        free.put_nowait(await Connection.to(port))
    began = time.monotonic()

    async def report(number: int, uuid: str, request: bytes) -> None:
        due = began + number / rate
        await asyncio.sleep(due - time.monotonic())
        connection = await free.get()
        reply = accepted(await connection.ask(request))
        sent.acknowledged[uuid] = reply.at
        sent.waits.append(reply.at - due)
        free.put_nowait(connection)

    await asyncio.gather(*(report(number, *each) for number, each in enumerate(requests)))
    while not free.empty():
        free.get_nowait().close()
    return sent


def _section(
    scale: Scale, queued: Sequence[float], waits: Sequence[float], bare: Sequence[float], look_ms: float
) -> Section:
    def line(what: str, values: Sequence[float], p: int, aim: str = "") -> Line:
        found = percentile(values, p)
        limit_is = f"{TRANSACTIONS} bare transactions in a row"
        limit = percentile(bare, p) if values is queued else None
        return Line(what, "ms", found, limit, limit_is, aim, found <= AIM_MS if aim else None)

    return Section(
        title="从回执到网格待办 · From acknowledgement to the grid's queue",
        method=f"{scale.reports_a_second} reports a second for {scale.seconds:g} s go to `beeline serve` on "
        f"{described(city(whole=scale.whole_city))}, each when it is due, whether earlier ones have been answered or not. "
        "The clock starts when the 202 has been read, and stops when a reader of the read models' file sees the report on a "
        "case: the same transaction puts the case into its grid's queue. The reader looked every "
        f"{look_ms:.1f} ms on average, so a number may be too large by that; it is too small by no more than the riders' "
        "program took to read the 202.",
        held_back=HELD_BACK,
        lines=(
            line("acknowledgement → queue, p50", queued, 50),
            line("acknowledgement → queue, p99", queued, 99, f"≤ {AIM_MS} ms"),
            line("due → acknowledgement, p50", waits, 50),
            line("due → acknowledgement, p99", waits, 99),
        ),
    )


HELD_BACK = (
    "A report passes through three synced transactions of the log and one of the read models, for which the projector lets "
    "news gather for 5 ms; the rest is waiting for the one interpreter, which 100 reports a second keep busy for about half "
    "of each second, the projector's transactions in one piece."
)
