"""The embedded host: processors, reactors, timer and projector of one process, on one SQLite log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from domain.directory import KEY, UNPUBLISHED, Directory, Documents
from infra.embedded.log import EmbeddedLog, LogUnavailable, Place
from infra.embedded.owners import OwnedPartition
from infra.embedded.projecting import Projector
from infra.embedded.reactors import ReactorTask
from infra.embedded.snapshots import Snapshots
from infra.projecting import Cut, cut_of
from streams.case import CaseProcessor
from streams.commit import CorruptCommit
from streams.directory import DirectoryProcessor
from streams.filter import Finding
from streams.protocol import CommandLogMismatch, Commitment, StepFailed
from streams.reactor import Ask
from streams.record import NewRecord, Record, Topic
from streams.rewarder import Rewarder
from streams.rider import RiderProcessor
from streams.router import Router

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
"""How often the timer looks, at the normal rate of the clock."""
MAX_BACKOFF_SECONDS = 10.0
MAX_STEP_FAILURES = 3
"""Tries of a step that raises, each after a new fold, before the partition stops and alarms."""


class HostStopped(RuntimeError):
    """A partition has stopped with an alarm: what waits for it would wait for ever."""


class Host:
    """Everything that turns the log's commands into events and its events into read models."""

    def __init__(
        self, log: EmbeddedLog, snapshots: Snapshots, projector: Projector, *, poisonous: frozenset[str] = frozenset()
    ) -> None:
        self.log, self.projector = log, projector
        self.directory: Directory = UNPUBLISHED
        self._problems: dict[str, str] = {"host": "启动中 · starting"}
        self._waiters: dict[str, list[asyncio.Future[Record]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._progress = asyncio.Condition()
        self._notify: asyncio.Task[None] | None = None

        def owned(processor: Any) -> list[OwnedPartition]:
            numbers = range(log.partitions_of(processor.commands))
            return [OwnedPartition(log, snapshots, processor, number, self, poisonous) for number in numbers]

        self._directory_owner = owned(DirectoryProcessor())[0]
        self._owners = [self._directory_owner, *owned(CaseProcessor()), *owned(RiderProcessor())]
        self._reactors = [
            ReactorTask(log, reactor, number, self)
            for reactor in (Router(), Rewarder())
            for number in range(log.partitions_of(reactor.source))
        ]

    # -- life ----------------------------------------------------------------

    async def start(self, *, timer: bool = True) -> None:
        """Fold the directory to its end, then everything else; returns when every partition is served."""
        self._spawn("directory", self._keep_owning(self._directory_owner))
        await self._until(lambda: self._directory_owner.is_idle)
        self._see_directory()
        for owner in self._owners[1:]:
            self._spawn(f"{owner.processor.name}[{owner.partition}]", self._keep_owning(owner))
        for reactor in self._reactors:
            name = f"{reactor.reactor.name}[{reactor.partition}]"
            self._spawn(name, self._keep(name, reactor.serve))
        self._spawn("projector", self._keep("projector", lambda: self.projector.serve(self)))
        if timer:
            self.start_timer()
        await self._until(lambda: self._stopped() or all(owner.owner is not None for owner in self._owners))
        self._problems.pop("host", None)

    def start_timer(self) -> None:
        """Watch the deadlines at the clock's normal rate."""
        self._spawn("timer", self._keep("timer", self._tick))

    async def stop(self) -> None:
        """Stop every task, and leave snapshots behind."""
        for owner in self._owners:
            owner.save()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def problems(self) -> list[str]:
        """What is wrong or not ready now; empty when all is well."""
        unready = [] if self.directory.is_ready else ["没有启用的网格 · no net, catalogue and calendar are current"]
        return [*(f"{where}: {what}" for where, what in sorted(self._problems.items())), *unready]

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    def _stopped(self) -> bool:
        return any(task.done() for task in self._tasks)

    async def _keep_owning(self, owned: OwnedPartition) -> None:
        failures = 0

        async def own() -> None:
            nonlocal failures
            await owned.open()
            try:
                await owned.serve()
            except StepFailed:
                failures += 1
                if failures >= MAX_STEP_FAILURES:
                    raise
            finally:
                owned.owner = None

        await self._keep(f"{owned.processor.name}[{owned.partition}]", own)

    async def _keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``work`` again after every outage, with bounded back-off; stop with an alarm on what only people can mend."""
        pause = 0.1
        while True:
            try:
                self._problems.pop(name, None)  # it is tried again: either it goes on, or it says so once more
                await work()
            except (CorruptCommit, CommandLogMismatch, StepFailed) as defect:
                self._alarm(name, f"已停止 · stopped: {defect}")
                return
            except LogUnavailable as outage:
                self._alarm(name, f"等待日志 · waiting for the log: {outage}")
            except Exception as defect:
                logger.exception("%s failed", name)
                self._alarm(name, f"出错, 重试 · failed, trying again: {defect!r}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_BACKOFF_SECONDS)

    def _alarm(self, name: str, what: str) -> None:
        logger.error("%s: %s", name, what)
        self._problems[name] = what
        self.moved()

    # -- what the tasks tell -----------------------------------------------------

    def answered(self, commitment: Commitment, place: Place) -> None:
        """A commit is in the log: whoever waits for the command's outcome has it."""
        if commitment.command.topic is Topic.DIRECTORY_COMMANDS and commitment.events:
            self._see_directory()
        commit = commitment.commit
        for waiter in self._waiters.pop(commitment.head.command_id, ()):
            if not waiter.done():
                answer = Record(
                    commit.topic, commit.partition, place.offset, place.time, commit.key, commit.value, commit.headers
                )
                waiter.set_result(answer)

    def moved(self) -> None:
        """A position has moved: wake who waits for that."""
        if self._notify is None or self._notify.done():
            self._notify = asyncio.get_running_loop().create_task(self._wake())

    async def _wake(self) -> None:
        async with self._progress:
            self._progress.notify_all()

    def found(self, finding: Finding) -> None:
        """A record that does not count."""
        logger.warning("%s", finding)

    def _see_directory(self) -> None:
        owner = self._directory_owner.owner
        documents = owner.state.keys.get(KEY) if owner else None
        if documents is not None and isinstance(documents.state, Documents):
            self.directory = documents.state.view()

    # -- asking and waiting --------------------------------------------------

    @property
    def partitions(self) -> int:
        """Partitions of the log's topics."""
        return self.log.partitions

    def now(self) -> datetime:
        """The log's clock."""
        return self.log.clock.now()

    def cut(self) -> Cut:
        """The log and the read models of this moment."""
        return cut_of(self.log, self.projector.positions, self.log.in_sight_until())

    def lag_records(self) -> int:
        """Records that the read models do not hold yet."""
        return sum(self.log.end(*where) - place.next_record for where, place in self.projector.positions.items())

    async def append(self, records: Sequence[NewRecord]) -> list[Place]:
        """Into the log, or `LogUnavailable`."""
        return await self.log.append(records)

    @contextmanager
    def expect(self, command_id: str) -> Iterator[asyncio.Future[Record]]:
        """A future of the commit that will answer a command; enter before the command is appended."""
        waiter: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(command_id, []).append(waiter)
        try:
            yield waiter
        finally:
            waiting = self._waiters.get(command_id, [])
            if waiter in waiting:
                waiting.remove(waiter)
            if not waiting:
                self._waiters.pop(command_id, None)

    async def ask(self, asks: Sequence[Ask]) -> None:
        """Append commands."""
        if asks:
            await self.log.append([ask.record(self.log.partitions_of(ask.topic)) for ask in asks])

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._progress:
            await self._progress.wait_for(condition)

    def is_idle(self) -> bool:
        """Whether every command has its answer and every event has been reacted to."""
        return all(reactor.is_idle for reactor in self._reactors) and all(owner.is_idle for owner in self._owners)

    async def quiesce(self) -> None:
        """Wait until the processors are idle. Raises `HostStopped` where one of them has stopped for good."""
        await self._until(lambda: self.is_idle() or self._stopped())
        if self._stopped():
            raise HostStopped("; ".join(self.problems()))

    async def caught_up(self, timeout_seconds: float) -> bool:
        """Wait until the processors are idle and the read models hold all that the log holds; False when time runs out."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._until(lambda: self.is_idle() and self.projector.is_idle)
        except TimeoutError:
            return False
        return True

    async def projected(self, topic: Topic, partition: int, offset: int, timeout_seconds: float) -> bool:
        """Wait until the read models have passed an input record; False when time runs out."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._until(lambda: self.projector.has_passed(topic, partition, offset))
        except TimeoutError:
            return False
        return True

    # -- the clock -----------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            await self._fire(self.log.clock.now())

    async def _fire(self, now: datetime) -> None:
        asks = [
            Ask(owned.processor.commands, key, command)
            for owned in self._owners
            if (owner := owned.owner) is not None
            for key in owned.timer.due(now)
            for command in owner.due(key, now)
        ]
        await self.ask(asks)

    async def step_to(self, instant: datetime) -> None:
        """Move the stepped clock to ``instant``, stopping at every due instant on the way until all is idle again."""
        while True:
            await self.quiesce()
            due = min(filter(None, (owned.timer.next_instant() for owned in self._owners)), default=None)
            if due is None or due > instant:
                break
            self.log.clock.step_to(max(due, self.log.clock.now()))
            await self._fire(self.log.clock.now())
        self.log.clock.step_to(instant)
