"""The HTTP edge: reports that are answered with 202, beside a route that does nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from statistics import median

from domain.message import Role
from domain.net import Net
from infra.bench.city import RIDERS, Riders, city, rider
from infra.bench.http import another_process, post, seconds_for
from infra.bench.nodes import Served, beeline, empty_route
from infra.bench.readings import Watch
from infra.bench.result import Bench, Line, Section
from infra.identity import Identity
from infra.seed import seed_edition

SETTLE_SECONDS = 300.0
"""How long the processors may need for what is behind the answers."""


class Phones:
    """Makes requests of riders who have tokens."""

    def __init__(self, served: Served, net: Net) -> None:
        identity = Identity(served.data)
        self._tokens = {rider(n): identity.issue(rider(n), [Role.REPORTER]) for n in range(RIDERS)}
        self._riders = Riders(net, seed_edition())

    def requests(self, number: int) -> list[bytes]:
        """So many reports, of as many matters."""
        return [request for _, request in self.named_requests(number)]

    def named_requests(self, number: int) -> list[tuple[str, bytes]]:
        """So many reports, each with its id."""
        seen = self._riders.see(number, datetime.now(UTC))
        return [(each.uuid, post("/v1/reports", each.body(), self._tokens[each.rider])) for each in seen]


def measure(bench: Bench) -> Section:
    """Rounds of requests, to the server and to the empty route in turn."""
    net, scale = city(whole=bench.scale.whole_city), bench.scale
    answered, sustained, empty = [], [], []
    with beeline(bench.folder, net) as served, empty_route(bench.folder, served.data) as limit:
        phones, watch = Phones(served, net), Watch(served.data)
        with watch.looking(), another_process() as clients:
            bench.notes("the riders' first reports: keys are made, tokens verified")
            first = phones.requests(RIDERS)
            _round(clients, served, first, watch)
            clients.submit(seconds_for, limit.port, first).result()
            for number in range(scale.rounds):
                bench.notes(f"round {number + 1} of {scale.rounds}")
                requests = phones.requests(scale.requests)
                took, settled = _round(clients, served, requests, watch)
                answered.append(scale.requests / took)
                sustained.append(scale.requests / settled)
                many = requests * (scale.empty_requests // scale.requests)
                empty.append(len(many) / clients.submit(seconds_for, limit.port, many).result())
    return _section(median(answered), median(sustained), median(empty))


def _round(
    clients: ProcessPoolExecutor, served: Served, requests: Sequence[bytes], watch: Watch
) -> tuple[float, float]:
    """Seconds until all are answered, and until all stand in a queue."""
    before, began = len(watch.placed), time.monotonic()
    took = clients.submit(seconds_for, served.port, requests).result()
    watch.wait_for(before + len(requests), SETTLE_SECONDS)
    return took, time.monotonic() - began


def _section(answered: float, sustained: float, empty: float) -> Section:
    limit_is = "empty FastAPI route, same token check"
    return Section(
        title="HTTP 接入 · The HTTP edge",
        method="`beeline serve` in a process of its own answers `POST /v1/reports` (with `Prefer: respond-async`, a sealed "
        "description, tokens of 400 riders) to 16 keep-alive connections of a client in another process; so does an empty "
        "route under uvicorn with the same settings and a listener of its own. *At once* counts answers while the "
        "processing goes on behind them; *sustained* counts until the last report's case stands in its grid's queue.",
        held_back=HELD_BACK,
        lines=(
            Line("202 at once", "requests/s", answered, empty, limit_is, "≥ 1/2 of the limit", answered >= empty / 2),
            Line("sustained, processing included", "requests/s", sustained, empty, limit_is),
        ),
    )


HELD_BACK = (
    "The edge shares its interpreter with everything behind it: a third of the event loop's time is HTTP (about four times "
    "an empty route: dependencies, the body's model, sealing, the record and its wait for the disk), the rest is router and "
    "processors, and the projector's thread asks for the interpreter two thirds as long as the event loop does. So a burst "
    "is answered hardly faster than it is processed."
)
