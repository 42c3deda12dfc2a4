"""Weeks of a city in seconds: people, faults, and the audit at the end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from domain.catalogue import Edition
from domain.directory import KEY, Directory, DirectoryCommand, Documents, PublishCalendar, PublishEdition
from domain.message import Envelope, derived_id
from domain.net import Net
from domain.publication import publication
from infra.audit import Audit, AuditFinding, differing
from infra.city.plan import plan
from infra.city.players import Players
from infra.database import open_engine
from infra.embedded.snapshots import Snapshots
from infra.holidays import working_calendar
from infra.net.synthetic import tessellate
from infra.projecting import beginning, fold
from infra.seed import seed_edition
from infra.simulator.agents import Agent, Defect, Owned, ProjectorAgent, ReactorAgent
from infra.simulator.edge import SimulatedEdge
from infra.simulator.log import MemoryLog
from infra.simulator.meddlers import Meddlers
from projections.projector import create_tables, digest
from streams.case import CaseProcessor
from streams.commit import CorruptCommit, events_of
from streams.directory import DirectoryProcessor
from streams.filter import CommitFilter, Verdict
from streams.reactor import Ask
from streams.record import NewRecord, Topic
from streams.rewarder import Rewarder
from streams.rider import RiderProcessor
from streams.router import Router

PARTITIONS = 3
REPORTS_A_DAY = 60
FIRST_DAY = date(2026, 9, 28)
"""A Monday before a week of holidays and a make-up workday: every calendar rule comes up."""
BOUNDARY = {
    "type": "FeatureCollection",
    "features": [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for name, ring in (
            ("West", [[114.00, 22.50], [114.03, 22.50], [114.03, 22.54], [114.00, 22.54], [114.00, 22.50]]),
            ("East", [[114.03, 22.50], [114.06, 22.50], [114.06, 22.54], [114.03, 22.54], [114.03, 22.50]]),
        )
    ],
}
CELL_METRES = 420
MAX_STEPS = 40
"""Small steps of the machinery between two things that happen outside."""
FAULT_SHARE = 0.015
LATE_SHARE, TWICE_SHARE, DAMAGED_SHARE = 0.08, 0.06, 0.02
PROJECTOR_SHARE = 0.004
"""Of the steps: the read models lag, and take in much at once."""
MAX_SETTLING_ROUNDS = 100_000
"""Far more than any run needs to come to rest; beyond it something goes round in circles."""


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What a run came to."""

    seed: int
    days: float
    events: dict[str, int]
    faults: dict[str, int]
    void_records: dict[str, int]
    findings: tuple[AuditFinding, ...]
    digest: str

    @property
    def ok(self) -> bool:
        """Whether every invariant held."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """As `beeline simulate --json` prints it."""
        return {
            "seed": self.seed,
            "days": self.days,
            "events": self.events,
            "faults": self.faults,
            "void_records": self.void_records,
            "audit": "ok" if self.ok else [str(finding) for finding in self.findings],
            "digest": self.digest,
        }


@cache
def _city() -> tuple[Net, Edition]:
    return tessellate(BOUNDARY, CELL_METRES, name="Simulated city"), seed_edition()


class Simulation:
    """One seeded run. Everything that happens, happens in `run`, in one thread, by one random generator."""

    def __init__(self, seed: int, days: float, defect: Defect | None) -> None:
        self.seed, self.days, self.defect = seed, days, defect
        self.random = Random(f"simulation|{seed}")
        zone = ZoneInfo(working_calendar().zone)
        start = datetime.combine(FIRST_DAY, time(5, 30), zone).astimezone(UTC)
        self.end = start + timedelta(days=days)
        self.log = MemoryLog(PARTITIONS, start)
        self.directory: Directory = Documents().view()
        self.snapshots = Snapshots(Path(":memory:"))
        self.faults: Counter[str] = Counter()
        self._directory_owner = Owned(self, DirectoryProcessor(), 0)
        self._publish()
        self._owned = [
            Owned(self, processor, number)
            for processor in (CaseProcessor(), RiderProcessor())
            for number in range(PARTITIONS)
        ]
        self._reactors = [
            ReactorAgent(self, reactor, number) for reactor in (Router(), Rewarder()) for number in range(PARTITIONS)
        ]
        self._engine = open_engine(None)
        self._projector = ProjectorAgent(self, self._engine)
        self._agents: list[Agent] = [*self._owned, *self._reactors]
        self._players = Players(seed, self.directory.org, self.end)
        self._edge = SimulatedEdge(self)
        self._meddlers = Meddlers(self.random, self._edge)
        self._feed = {number: (0, CommitFilter()) for number in range(PARTITIONS)}
        self._outside: list[tuple[datetime, int, NewRecord]] = []
        self._count = 0
        self._plan(zone)

    # -- before the first day --------------------------------------------------

    def _publish(self) -> None:
        net, edition = _city()
        commands: list[DirectoryCommand] = [
            PublishCalendar(calendar=working_calendar()),
            PublishEdition(edition=edition),
            *publication(net, grids_per_part=100),
        ]
        for number, command in enumerate(commands):
            identity = derived_id("simulation", number)
            envelope = Envelope(identity, "/beeline/simulation", KEY, self.log.now, command, identity)
            self.log.append(Ask(Topic.DIRECTORY_COMMANDS, KEY, envelope).record(1))
        while self._directory_owner.step():
            pass
        runner = self._directory_owner.runner
        if runner is None:
            raise RuntimeError("the directory has no owner")
        self.directory = runner.owner.state.keys[KEY].state.view()

    def _plan(self, zone: ZoneInfo) -> None:
        for number in range(int(self.days) + 1):
            day = FIRST_DAY + timedelta(days=number)
            sightings = plan(
                self.seed * 1000 + number,
                day,
                self.directory.net,
                self.directory.edition,
                reports=REPORTS_A_DAY,
                zone=zone.key,
            )
            for sighting in sightings:
                self._players.reported(sighting)
                self._send(sighting.sent_at, self._edge.report(sighting))

    def _send(self, at: datetime, record: NewRecord | None) -> None:
        """On its way from outside: now and then late, now and then twice."""
        if record is None:
            return
        if record.topic is Topic.CASE_COMMANDS and self.random.random() < DAMAGED_SHARE:
            damaged = replace(record, value=record.value[: self.random.randrange(len(record.value))])
            self._count += 1
            heappush(self._outside, (at, self._count, damaged))
        if self.random.random() < LATE_SHARE:
            at += timedelta(minutes=self.random.uniform(1, 240))
        copies = 2 if self.random.random() < TWICE_SHARE else 1
        for _ in range(copies):
            self._count += 1
            heappush(self._outside, (at, self._count, record))
            at += timedelta(seconds=self.random.uniform(0, 3600))

    # -- the run ---------------------------------------------------------------

    def run(self) -> SimulationResult:
        """Live, come to rest, and be audited."""
        stopped = []
        try:
            self._live()
            self._settle()
        except CorruptCommit as error:
            stopped.append(AuditFinding(7, f"a reader stopped: {error}"))
        return self._result(stopped)

    def _live(self) -> None:
        while (instant := self._next_instant()) is not None and instant < self.end:
            self.log.now = max(self.log.now, instant)
            self._arrive()
            for _ in range(self.random.randint(1, MAX_STEPS)):
                self._one_step()
            self._watch()
        self.log.now = self.end.astimezone(UTC)

    def _next_instant(self) -> datetime | None:
        instants = [self._outside[0][0]] if self._outside else []
        if (act := self._players.next_instant()) is not None:
            instants.append(act)
        for owned in self._owned:
            due = owned.runner.timer.next_instant() if owned.runner else None
            instants += [due] if due is not None else []
        return min(instants, default=None)

    def _arrive(self) -> None:
        while self._outside and self._outside[0][0] <= self.log.now:
            self.log.append(heappop(self._outside)[2])
        for act in self._players.due(self.log.now):
            self._send(self.log.now, self._edge.command(act))
        self._ask_due()

    def _ask_due(self) -> bool:
        asks = [
            ask
            for owned in self._owned
            if owned.runner is not None and owned.runner.is_settled
            for ask in owned.runner.due()
        ]
        for ask in asks:
            self.log.append(ask.record(PARTITIONS))
        return bool(asks)

    def _one_step(self) -> None:
        if self.random.random() < FAULT_SHARE:
            self._fault()
        agent = self._projector if self.random.random() < PROJECTOR_SHARE else self.random.choice(self._agents)
        agent.step()

    def _fault(self) -> None:
        kind = self.random.choice(("crash", "crash", "freeze", "wake", "lose", "lose", "double"))
        owned = self.random.choice(self._owned)
        match kind:
            case "crash":
                agent = self.random.choice([*self._agents, self._projector])
                agent.crash()
                self.faults[f"crash {agent.name}"] += 1
            case "freeze":
                self.faults[kind] += owned.freeze()
            case "wake":
                self.faults[kind] += owned.wake()
            case "lose":
                self.faults[kind] += owned.lose()
            case "double":
                self.faults[kind] += owned.double()

    def _watch(self) -> None:
        """People see what is true: valid commits only."""
        for number, (offset, commits) in self._feed.items():
            records = self.log.read(Topic.CASE_EVENTS, number, offset, 1000)
            for record in records:
                if commits.admit(record)[0] is Verdict.APPLIED:
                    for event in events_of(record):
                        self._players.see(event)
                        for at, meant in self._meddlers.see(event):
                            self._send(at, meant)
            self._feed[number] = (offset + len(records), commits)

    def _settle(self) -> None:
        """No more faults: the frozen wake a last time, then everything comes to rest."""
        for owned in self._owned:
            while owned.wake():
                self.faults["wake"] += 1
        for _ in range(MAX_SETTLING_ROUNDS):
            busy = [agent for agent in (*self._agents, self._projector) if agent.step()]
            if not busy and not self._ask_due():
                return
        raise RuntimeError(f"seed {self.seed} does not come to rest")

    # -- afterwards ------------------------------------------------------------

    def _result(self, stopped: list[AuditFinding]) -> SimulationResult:
        audit = Audit()
        for topic in (Topic.REPORT_EVENTS, Topic.CASE_EVENTS, Topic.RIDER_EVENTS, Topic.DIRECTORY_EVENTS):
            for record in self.log.all(topic):
                audit.see(record)
        result = audit.result(self.log.now)
        return SimulationResult(
            seed=self.seed,
            days=self.days,
            events=result.events,
            faults=dict(sorted(self.faults.items())),
            void_records=result.void_records,
            findings=(*stopped, *result.findings, *self._unanswered(), *self._read_models()),
            digest=self.log.digest(),
        )

    def _unanswered(self) -> Iterator[AuditFinding]:
        for owned in self._owned:
            end = self.log.end(owned.processor.commands, owned.partition)
            answered = owned.runner.owner.state.filter.expected if owned.runner else 0
            if answered != end:
                where = f"{owned.processor.commands}[{owned.partition}]"
                yield AuditFinding(3, f"{where}: {answered} of {end} commands have been answered")

    def _read_models(self) -> Iterator[AuditFinding]:
        fresh = open_engine(None)
        create_tables(fresh)
        until = {where: place.next_record for where, place in self._projector.places.items()}
        fold(self.log.read, fresh.begin, beginning(self.log), until)
        with self._engine.begin() as live, fresh.begin() as rebuilt:
            before, after = digest(live), digest(rebuilt)
        self._engine.dispose()
        fresh.dispose()
        for name in differing(before, after):
            yield AuditFinding(3, f"the read model {name} is not what a fold of the log gives")


def simulate(seed: int, days: float = 2.0, *, defect: Defect | None = None) -> SimulationResult:
    """Let a seeded city live for ``days``; the same arguments give the same log, byte by byte.

    With a ``defect`` the product is wrong on purpose, and the findings must say so.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # thousands of void records are the point here, not news
    try:
        return Simulation(seed, days, defect).run()
    finally:
        logging.disable(level)
