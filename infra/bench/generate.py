"""A log as a city would have written it in a year: right headers, sequences and hash chains, and many events a second."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from domain.directory import Directory
from domain.message import GENESIS
from domain.net import Net
from infra.bench.city import Riders
from infra.bench.lives import BORN, OWNER, SCRIPTS, play
from infra.bench.templates import PREVIOUS, SEQUENCE, Copying, Template, TemplateStep, seal
from infra.bootstrap import Settings, running
from infra.embedded.bulk import BulkLog
from infra.embedded.clock import instant_of
from infra.embedded.log import Position
from projections.schema import micros
from streams.commit import Kind
from streams.record import NewRecord, Topic, partition_of
from streams.rewarder import Rewarder
from streams.router import Router

START = datetime(2025, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
YEAR = timedelta(days=365)
TEMPLATES = 300
"""Different lives: each has its grid, its category and its course."""
RIDERS = 5_000
FLUSH_RECORDS = 20_000
WRITTEN = (Topic.CASE_EVENTS, Topic.RIDER_EVENTS)

Head = tuple[int, bytes]
"""The end of a stream: how many events it has, and the hash of the last."""
NEW: Head = (0, GENESIS.encode())


def generate(data: Path, net: Net, cases: int, *, seed: int = 7, templates: int = TEMPLATES) -> int:
    """Make a log in the empty folder ``data`` with a year's cases, spread evenly; how many events it holds.

    The deadlines of a copy are as long as its original's, whatever the calendar says of its day. Commands are not kept, as in
    an old log: the last record of each partition says that counting begins anew.
    """
    directory = asyncio.run(_publish(data, net))
    random = Random(f"generate|{seed}")
    copies = _Copies(data, _templates(directory, random, min(templates, cases)), directory.version)
    begins = sorted(random.randrange(YEAR // timedelta(microseconds=1)) for _ in range(cases))
    for number, begin in enumerate(begins):
        copies.begin(number, micros(START) + begin, random)
    return copies.end(START + YEAR)


async def _publish(data: Path, net: Net) -> Directory:
    async with running(Settings(data=data, net=net, stepped_from=START), timer=False) as beeline:
        return beeline.host.directory


def _templates(directory: Directory, random: Random, number: int) -> list[Template]:
    riders = Riders(directory.net, directory.edition)
    scripts, weights = zip(*SCRIPTS, strict=True)
    made = []
    for script in random.choices(scripts, weights, k=number):
        first, other = riders.see(2, BORN)
        other = replace(other, category=first.category, lon=first.lon, lat=first.lat)
        made.append(Template(play(directory, script, first, other), (first, other)))
    return made


@dataclass(slots=True)
class _Copy:
    """A life that is being copied: what fills its gaps, the next record, and the end of its case's stream."""

    template: Template
    start: int
    values: list[bytes]
    step: int = 0
    head: Head = NEW


class _Copies:
    """Lives that run at the same time: their records go into the log in order of time."""

    def __init__(self, data: Path, templates: Sequence[Template], directory: str) -> None:
        self._log, self._templates, self._directory = BulkLog(data), templates, directory
        self._due: list[tuple[int, int, _Copy]] = []
        self._cells, self._riders = Counter[str](), dict[str, Head]()
        self._answered = Counter[tuple[Topic, int]]()
        self._events = 0
        for where in self._outputs():
            opening = {"kind": Kind.OWNER_OPENED, "owner": OWNER}
            self._log.append(NewRecord(*where, OWNER, b"[]", opening))

    def begin(self, number: int, start: int, random: Random) -> None:
        """Begin a copy at ``start`` (microseconds since 1970 UTC), not before the last one."""
        self._write_until(start)
        template = self._templates[number % len(self._templates)]
        self._cells[template.cell] += 1
        first = random.randrange(RIDERS)
        riders = tuple(b"r-%04d" % ((first + nth) % RIDERS) for nth in range(template.riders))
        case = f"{template.cell}-{self._cells[template.cell]}".encode()
        values = template.values(Copying(number, start, riders, case, random))
        heappush(self._due, (start, number, _Copy(template, start, values)))

    def end(self, instant: datetime) -> int:
        """Write what happens until ``instant``, and close; how many events the log has of these lives."""
        self._write_until(micros(instant))
        for where in self._outputs():
            self._log.append(NewRecord(*where, OWNER, b"[]", {"kind": Kind.REOPENED, "next-command": "0"}))
        self._log.flush(
            Position(reactor.name, reactor.source, partition, self._log.end(reactor.source, partition))
            for reactor in (Router, Rewarder)
            for partition in range(self._log.partitions)
        )
        self._log.close()
        return self._events

    def _outputs(self) -> list[tuple[Topic, int]]:
        return [(topic, number) for topic in WRITTEN for number in range(self._log.partitions)]

    def _write_until(self, instant: int) -> None:
        due = self._due
        while due and due[0][0] <= instant:
            at, number, copy = heappop(due)
            self._log.step_to(instant_of(at))
            self._log.append(self._record(copy, copy.template.steps[copy.step]))
            copy.step += 1
            if copy.step < len(copy.template.steps):
                heappush(due, (copy.start + copy.template.steps[copy.step].after, number, copy))
        if self._log.waiting >= FLUSH_RECORDS:
            self._log.flush(())

    def _record(self, copy: _Copy, step: TemplateStep) -> NewRecord:
        self._events += len(step.events)
        values = copy.values
        key = copy.template.cell if step.key is None else values[step.key].decode()
        partition = partition_of(key, self._log.partitions)
        identity, correlation = values[step.command].decode(), values[step.correlation].decode()
        if step.topic is Topic.REPORT_EVENTS:
            headers = {"id": identity, "correlation-id": correlation}
            return NewRecord(step.topic, partition, key, step.events[0].fill(values), headers)
        headers = {
            "kind": Kind.COMMIT,
            "owner": OWNER,
            "command-offset": str(self._answered[step.topic, partition]),
            "command-id": identity,
            "correlation-id": correlation,
            "outcome": step.outcome,
            "effective-time": values[step.instant].decode(),
            "directory": self._directory,
        }
        self._answered[step.topic, partition] += 1
        return NewRecord(step.topic, partition, key, self._batch(copy, step, key), headers)

    def _batch(self, copy: _Copy, step: TemplateStep, key: str) -> bytes:
        """The events of a commit, each chained to the one before it in its stream."""
        of_a_case = step.topic is Topic.CASE_EVENTS
        sequence, previous = copy.head if of_a_case else self._riders.get(key, NEW)
        batch = []
        for pattern in step.events:
            sequence += 1
            copy.values[SEQUENCE], copy.values[PREVIOUS] = b"%d" % sequence, previous
            sealed, previous = seal(pattern.fill(copy.values))
            batch.append(sealed)
        if of_a_case:
            copy.head = sequence, previous
        else:
            self._riders[key] = sequence, previous
        return b"[" + b",".join(batch) + b"]"
