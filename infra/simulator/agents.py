"""What runs in a node, one small step at a time: owners, reactors and the projector, each of which may die between two writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Protocol

from sqlalchemy import Engine

from domain.directory import Directory
from domain.message import decode_bytes
from infra.projecting import SOURCES, apply, batch_of
from infra.simulator.log import MemoryLog
from projections.projector import Position, create_tables, position
from streams.commit import events_of
from streams.filter import CommitFilter, Verdict
from streams.processor import Processor
from streams.protocol import PartitionOwner
from streams.reactor import Ask, Reactor
from streams.record import NewRecord, Record, Topic
from streams.timer import Timer

MAX_BATCH = 8
"""Records that an agent takes at once: small, so that faults find every seam."""


class World(Protocol):
    """What an agent sees of the simulation."""

    log: MemoryLog
    random: Random
    directory: Directory


class Agent(Protocol):
    """Something that works in small steps and can die."""

    def step(self) -> bool:
        """Do one small thing; False where there was nothing to do."""

    def crash(self) -> None:
        """Lose everything that is not in the log."""


class Owned:
    """A partition of a processor, through all its owners: the one at work, and frozen ones that will wake."""

    def __init__(self, world: World, processor: Processor[Any], partition: int) -> None:
        self.processor, self.partition = processor, partition
        self.frozen: list[Runner] = []
        self.runner: Runner | None = None
        self._world, self._opened = world, 0

    def step(self) -> bool:
        """Open an owner where there is none; let it work."""
        if self.runner is None:
            self._opened += 1
            self.runner = Runner(self._world, self.processor, self.partition, self._opened)
            return True
        return self.runner.step()

    def crash(self) -> None:
        """The owner dies with its batch half written."""
        self.runner = None

    def freeze(self) -> None:
        """The owner stops in the middle of its work, and does not know it."""
        if self.runner is not None:
            self.frozen.append(self.runner)
            self.runner = None

    def wake(self) -> bool:
        """A frozen owner goes on as if nothing had happened: it writes what it had decided, and decides more."""
        if not self.frozen:
            return False
        zombie = self.frozen.pop()
        for _ in range(MAX_BATCH):
            zombie.step()
        return True


class Runner:
    """One owner at work, by the protocol."""

    def __init__(self, world: World, processor: Processor[Any], partition: int, number: int) -> None:
        self.timer = Timer()
        self._world, self._processor, self._partition = world, processor, partition
        name = f"{processor.name}-{partition}-{number}"
        self.owner = PartitionOwner(processor, partition, world.log.partitions_of(processor.commands), name)
        self._pending: list[NewRecord] = []
        world.log.append(self.owner.opening())
        self._fold()
        place = self.owner.state.filter.expected
        before = world.log.read(processor.commands, partition, place - 1, 1) if place else []
        end = world.log.end(processor.commands, partition)
        self.following = self.owner.resume(end, before[0] if before else None)
        self._touch()

    def _fold(self) -> None:
        while True:
            records = self._world.log.read(
                self._processor.events, self._partition, self.owner.state.next_record, MAX_BATCH
            )
            if any(self.owner.fold(record) for record in records):
                return

    def step(self) -> bool:
        """Write one record of the batch, or decide the next batch."""
        if self._pending:
            self._world.log.append(self._pending.pop(0))
            return True
        commands = self._world.log.read(self._processor.commands, self._partition, self.following, MAX_BATCH)
        for command in commands:
            commitment = self.owner.answer(command, self._world.directory)
            self._pending.append(commitment.commit)
            if commitment.dead_letter is not None:
                self._pending.append(commitment.dead_letter)
        self.following += len(commands)
        self._touch()
        return bool(commands)

    def _touch(self) -> None:
        for key in sorted(self.owner.touched):
            self.timer.touch(key, self.owner.next_instant(key))
        self.owner.touched.clear()

    @property
    def is_settled(self) -> bool:
        """Whether all that was decided is written: only then does the timer look."""
        return not self._pending

    def due(self) -> Iterator[Ask]:
        """What the timer proposes now."""
        now = self._world.log.now
        for key in self.timer.due(now):
            for command in self.owner.due(key, now):
                yield Ask(self._processor.commands, key, command)


@dataclass
class ReactorAgent:
    """A reactor on one partition: at least once, because its position is written after what it sends."""

    world: World
    reactor: Reactor
    partition: int
    position: int = 0
    commits: CommitFilter = field(default_factory=CommitFilter)
    _sending: list[NewRecord] = field(default_factory=list)
    _after: tuple[int, CommitFilter] | None = None

    def step(self) -> bool:
        """Send one command, or move the position, or take the next records."""
        if self._sending:
            self.world.log.append(self._sending.pop(0))
            return True
        if self._after is not None:
            (self.position, self.commits), self._after = self._after, None
            return True
        records = self.world.log.read(self.reactor.source, self.partition, self.position, MAX_BATCH)
        if not records:
            return False
        commits = replace(self.commits)
        for record in records:
            self._sending += self._react(record, commits)
        self._after = records[-1].offset + 1, commits
        return True

    def crash(self) -> None:
        """Some commands have been sent, and the position does not know it."""
        self._sending, self._after = [], None

    def _react(self, record: Record, commits: CommitFilter) -> Iterator[NewRecord]:
        if record.topic is Topic.REPORT_EVENTS:
            events = [decode_bytes(record.value)]
        elif commits.admit(record)[0] is Verdict.APPLIED:
            events = list(events_of(record))
        else:
            return
        for event in events:
            for ask in self.reactor.react(event, record.time, self.world.directory):
                yield ask.record(self.world.log.partitions_of(ask.topic))


class ProjectorAgent:
    """The read models in a database of their own; a crash loses what has not been committed."""

    def __init__(self, world: World, engine: Engine) -> None:
        self._world, self._engine = world, engine
        create_tables(engine)
        self.places = {
            (source, number): Position() for source in SOURCES for number in range(world.log.partitions_of(source))
        }

    def step(self) -> bool:
        """Project a few records of one partition."""
        behind = [where for where, place in self.places.items() if place.next_record < self._world.log.end(*where)]
        if not behind:
            return False
        where = self._world.random.choice(behind)
        limit = self._world.random.randint(1, 5 * MAX_BATCH)
        records = self._world.log.read(*where, self.places[where].next_record, limit)
        batch = batch_of(self.places[where], records)
        with self._engine.begin() as connection:
            apply(connection, [batch])
        self.places[where] = batch.move.after
        return True

    def crash(self) -> None:
        """Begin again where the database says."""
        with self._engine.begin() as connection:
            self.places = {where: position(connection, *where) for where in self.places}
