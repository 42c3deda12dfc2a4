"""Runs one processor's partition under the protocol of `streams.protocol`, on the embedded log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from domain.directory import Directory
from infra.embedded.log import EmbeddedLog, Place
from infra.embedded.snapshots import Snapshots
from streams.processor import Processor
from streams.protocol import Commitment, PartitionOwner, StepFailed
from streams.record import NewRecord, Record
from streams.timer import Timer

K = TypeVar("K")

logger = logging.getLogger(__name__)

MAX_BATCH = 200
"""Commands decided into one append."""
FOLD_BATCH = 1000
"""Records folded before other tasks get their turn."""
SNAPSHOT_EVERY = 5000
"""Commands answered between two snapshots of a partition."""


class Listener(Protocol):
    """Who wants to know what has become true."""

    directory: Directory

    def answered(self, commitment: Commitment, place: Place) -> None:
        """A commit is in the log."""

    def moved(self) -> None:
        """A position has moved."""


class OwnedPartition:
    """A partition in this process's hands: opened, folded, served, until stopped or until a write fails."""

    def __init__(
        self,
        log: EmbeddedLog,
        snapshots: Snapshots,
        processor: Processor[Any],
        partition: int,
        listener: Listener,
        poisonous: frozenset[str],
    ) -> None:
        self.processor, self.partition = processor, partition
        self.timer = Timer()
        self.position = 0
        """Offset of the next command without an acknowledged answer."""
        self.owner: PartitionOwner[Any] | None = None
        self._log, self._snapshots, self._listener = log, snapshots, listener
        self._poisonous = poisonous
        self._changed: set[str] = set()
        self._unsaved = 0

    @property
    def is_idle(self) -> bool:
        """Whether every command in the log has its answer in the log."""
        return self.owner is not None and self.position >= self._log.end(self.processor.commands, self.partition)

    async def open(self) -> None:
        """Steps 1 and 2 of the protocol. Raises `CommandLogMismatch`, `CorruptCommit`, `LogUnavailable`."""
        state = self._snapshots.load(self.processor, self.partition)
        owner = PartitionOwner(
            self.processor,
            self.partition,
            self._log.partitions_of(self.processor.commands),
            str(uuid4()),
            state,
            poisonous=self._poisonous,
        )
        await self._log.append([owner.opening()])
        await self._fold(owner)
        end = self._log.end(self.processor.commands, self.partition)
        place = owner.state.filter.expected
        before = self._log.read(self.processor.commands, self.partition, place - 1, 1) if place else []
        self.position = owner.resume(end, before[0] if before else None)
        self.owner = owner
        self._unsaved, self._changed = 0, set(owner.touched)
        for key in owner.state.keys:
            self.timer.touch(key, owner.next_instant(key))
        self._listener.moved()

    async def _fold(self, owner: PartitionOwner[Any]) -> None:
        while True:
            records = self._log.read(self.processor.events, self.partition, owner.state.next_record, FOLD_BATCH)
            if any(owner.fold(record) for record in records):
                return
            await asyncio.sleep(0)

    async def serve(self) -> None:
        """Step 3: answer commands in order, one batch in flight, the next built meanwhile."""
        if (owner := self.owner) is None:
            raise RuntimeError("serve follows open")
        following, writing = self.position, None
        try:
            while True:
                caught_up = self._log.end(self.processor.commands, self.partition) <= following
                if writing is not None and (caught_up or self._unsaved >= SNAPSHOT_EVERY):
                    await writing
                    writing = None
                if writing is None and self._unsaved >= SNAPSHOT_EVERY:
                    self.save()
                await self._log.wait_beyond(self.processor.commands, self.partition, following)
                commands = self._log.read(self.processor.commands, self.partition, following, MAX_BATCH)
                batch, failure = self._decide(owner, commands)
                following += len(batch)
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(self._write(owner, batch)) if batch else None
                if failure is not None:
                    raise failure
        finally:
            self.owner = None
            if writing is not None:
                await writing

    def _decide(
        self, owner: PartitionOwner[Any], commands: Iterable[Record]
    ) -> tuple[list[Commitment], StepFailed | None]:
        batch = []
        for command in commands:
            try:
                batch.append(owner.answer(command, self._listener.directory))
            except StepFailed as failure:
                return batch, failure
        return batch, None

    async def _write(self, owner: PartitionOwner[Any], batch: list[Commitment]) -> None:
        """Only now, with the log's word, is a command answered."""
        records: list[NewRecord] = [item.commit for item in batch]
        records += [item.dead_letter for item in batch if item.dead_letter is not None]
        places = await self._log.append(records)
        owner.state.next_record = places[len(batch) - 1].offset + 1
        self.position = batch[-1].command.offset + 1
        for item, place in zip(batch, places, strict=False):
            self.timer.touch(item.command.key, owner.next_instant(item.command.key))
            self._listener.answered(item, place)
        self._changed |= {item.command.key for item in batch}
        self._unsaved += len(batch)
        self._listener.moved()

    def save(self) -> None:
        """Take a snapshot, unless nothing has changed or something is in flight."""
        if self.owner is not None and self._unsaved and self.owner.state.filter.expected == self.position:
            self._snapshots.save(self.owner, self._changed)
            self._unsaved, self._changed = 0, set()
