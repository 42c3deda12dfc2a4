"""What runs in a node, one small step at a time: owners, reactors and the projector, each of which may die between two writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from typing import Any, Protocol

from sqlalchemy import Engine

from domain.directory import Directory
from domain.message import decode_bytes
from infra.embedded.snapshots import Snapshots
from infra.projecting import SOURCES, Batch, apply, batch_of
from infra.simulator.log import MemoryLog
from projections.projector import Position, create_tables, position
from streams.commit import CommitHead, events_of
from streams.filter import CommitFilter, Verdict
from streams.processor import Processor
from streams.protocol import PartitionOwner, PartitionState
from streams.reactor import Ask, Reactor
from streams.record import NewRecord, Record, Topic
from streams.timer import Timer

MAX_BATCH = 8
"""Records that an agent takes at once: small, so that faults find every seam."""


STEPS_AFTER_LOSS = 16
MAX_PROJECTED = 60
"""Records of one partition in one transaction of the read models."""
FORGETTING_SHARE = 0.2
SNAPSHOT_SHARE = 0.02
"""Of the steps after which nothing is in flight."""
FROM_SNAPSHOT_SHARE = 0.75
"""Of the take-overs; the others fold the partition from its first record."""


class Defect(StrEnum):
    """A mistake that is made on purpose, to see that the audit would find it."""

    NO_FILTER = "owners believe every commit, a former owner's too"
    POSITION_FIRST = "reactors move their position before they send"
    ROWS_FORGOTTEN = "the projector moves its position without its rows, once in a while"


class World(Protocol):
    """What an agent sees of the simulation."""

    log: MemoryLog
    random: Random
    directory: Directory
    snapshots: Snapshots
    defect: Defect | None


class NoFilter(CommitFilter):
    """`Defect.NO_FILTER`."""

    def admit(self, record: Record) -> tuple[Verdict, CommitHead | None]:
        """Whatever it is, it counts."""
        verdict, head = super().admit(record)
        if head is None:
            return verdict, None
        self.expected = max(self.expected, head.command_offset + 1)
        return Verdict.APPLIED, head


class Agent(Protocol):
    """Something that works in small steps and can die."""

    @property
    def name(self) -> str:
        """What is counted when it dies."""

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
        self._steps_left: int | None = None
        """Until the owner hears that a write of its was lost."""
        self.name = f"{processor.name} owner"

    def step(self) -> bool:
        """Open an owner where there is none; let it work."""
        if self.runner is None:
            self._opened += 1
            self.runner = Runner(self._world, self.processor, self.partition, self._opened)
            return True
        worked = self.runner.step()
        if self._steps_left is not None:
            self._steps_left -= 1
            if not self._steps_left:
                self.crash()
            return True
        if worked and self.runner.is_settled and self._world.random.random() < SNAPSHOT_SHARE:
            self.runner.save()
        return worked

    def crash(self) -> None:
        """The owner dies with its batch half written."""
        self.runner = self._steps_left = None

    def lose(self) -> bool:
        """One record is lost on its way; the owner writes on for a while until it hears of it, and dies."""
        if self.runner is None or not self.runner.pending:
            return False
        del self.runner.pending[0]
        self._steps_left = STEPS_AFTER_LOSS
        return True

    def double(self) -> bool:
        """One record arrives twice."""
        if self.runner is None or not self.runner.pending:
            return False
        self.runner.pending.insert(0, self.runner.pending[0])
        return True

    def freeze(self) -> bool:
        """The owner stops in the middle of its work, and does not know it."""
        if self.runner is None:
            return False
        self.frozen.append(self.runner)
        self.crash()
        return True

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
        name, partitions = f"{processor.name}-{partition}-{number}", world.log.partitions_of(processor.commands)
        self.owner = PartitionOwner(processor, partition, partitions, name, self._known())
        self.pending: list[NewRecord] = []
        self._changed: set[str] = set()
        world.log.append(self.owner.opening())
        self._fold()
        place = self.owner.state.filter.expected
        before = world.log.read(processor.commands, partition, place - 1, 1) if place else []
        end = world.log.end(processor.commands, partition)
        self.following = self.owner.resume(end, before[0] if before else None)
        self.owner.touched.update(self.owner.state.keys)
        self._touch()

    def _known(self) -> PartitionState[Any]:
        if self._world.defect is Defect.NO_FILTER:
            return PartitionState(filter=NoFilter())
        if self._world.random.random() < FROM_SNAPSHOT_SHARE:
            return self._world.snapshots.load(self._processor, self._partition)
        return PartitionState()

    def _fold(self) -> None:
        while True:
            records = self._world.log.read(
                self._processor.events, self._partition, self.owner.state.next_record, MAX_BATCH
            )
            if any(self.owner.fold(record) for record in records):
                return

    def step(self) -> bool:
        """Write one record of the batch, or decide the next batch."""
        if self.pending:
            written = self._world.log.append(self.pending.pop(0))
            if written.topic is self._processor.events:
                self.owner.state.next_record = written.offset + 1
            return True
        commands = self._world.log.read(self._processor.commands, self._partition, self.following, MAX_BATCH)
        for command in commands:
            commitment = self.owner.answer(command, self._world.directory)
            self.pending.append(commitment.commit)
            if commitment.dead_letter is not None:
                self.pending.append(commitment.dead_letter)
        self.following += len(commands)
        self._touch()
        return bool(commands)

    def _touch(self) -> None:
        for key in sorted(self.owner.touched):
            self.timer.touch(key, self.owner.next_instant(key))
        self._changed |= self.owner.touched
        self.owner.touched.clear()

    def save(self) -> None:
        """Take a snapshot; nothing may be in flight."""
        self._world.snapshots.save(self.owner, self._changed)
        self._changed.clear()

    @property
    def is_settled(self) -> bool:
        """Whether all that was decided is written: only then does the timer look."""
        return not self.pending

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

    @property
    def name(self) -> str:
        """See `Agent`."""
        return self.reactor.name

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
        if self.world.defect is Defect.POSITION_FIRST:
            (self.position, self.commits), self._after = self._after, None
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

    name = "projector"

    def __init__(self, world: World, engine: Engine) -> None:
        self._world, self._engine = world, engine
        create_tables(engine)
        self.places = {
            (source, number): Position() for source in SOURCES for number in range(world.log.partitions_of(source))
        }

    def step(self) -> bool:
        """Project a few records of every partition that has news."""
        batches = self._batches()
        if not batches:
            return False
        with self._engine.begin() as connection:
            apply(connection, batches)
        self.places |= {(Topic(batch.move.source), batch.move.partition): batch.move.after for batch in batches}
        return True

    def crash(self) -> None:
        """Die in the middle of a transaction, and begin again where the database says."""
        with self._engine.connect() as connection:
            transaction = connection.begin()
            apply(connection, self._batches())
            transaction.rollback()
        with self._engine.begin() as connection:
            self.places = {where: position(connection, *where) for where in self.places}

    def _batches(self) -> list[Batch]:
        random, log = self._world.random, self._world.log
        batches = [
            batch_of(place, log.read(*where, place.next_record, random.randint(1, MAX_PROJECTED)))
            for where, place in self.places.items()
            if place.next_record < log.end(*where)
        ]
        if self._world.defect is Defect.ROWS_FORGOTTEN and random.random() < FORGETTING_SHARE:
            batches = [replace(batch, events=(), answers=()) for batch in batches]
        return batches
