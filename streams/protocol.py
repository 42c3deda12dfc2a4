"""The protocol of a processor's output partition, without I/O: any host drives it, on SQLite, on Kafka, in the simulation.

1. A new owner appends `opening()`, waits until the log has it, and folds the partition up to that record.
2. `resume()` checks that the command log still has the place where the last owner stopped, and says where to go on.
3. `answer()` turns the next command into a commit and moves the state on. The host writes commits in order, one batch in
   flight; a command is acknowledged when its commit is. After any failed write the host drops the owner and opens anew.
4. What counts is `CommitFilter`'s to say, here as for every other reader.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

from domain.directory import Directory
from domain.message import CommandRefused, Envelope
from streams.commit import CommitHead, Kind, Outcome, commit_record, events_of
from streams.filter import FAULTS, CommitFilter, Finding, Verdict
from streams.processor import Answer, Keyed, Processor, check_chain, fold, step
from streams.record import NewRecord, Record, Topic, partition_of

K = TypeVar("K")

logger = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MAX_ERROR_CHARACTERS = 500
"""Of what a commit's headers and a dead letter say about a command that cannot be read."""


class CommandLogMismatch(RuntimeError):
    """The command log does not hold the place at which the output stopped: an operator has to look (`LogReopened`)."""


class StepFailed(RuntimeError):
    """A step raised: a defect of ours. The partition stops before the command; nothing is skipped."""

    def __init__(self, record: Record, command_id: str) -> None:
        self.command_id = command_id
        super().__init__(
            f"{record.topic}[{record.partition}]@{record.offset}: the step for command {command_id} raised; "
            "mend the defect, or declare the command poisonous by its id"
        )


@dataclass(slots=True)
class PartitionState(Generic[K]):
    """What a fold of an output partition up to ``next_record`` amounts to; the content of a snapshot."""

    keys: dict[str, Keyed[K]] = field(default_factory=dict)
    filter: CommitFilter = field(default_factory=CommitFilter)
    next_record: int = 0
    """Offset of the first output record that is not folded."""
    last_command: str = ""
    """Id of the last command answered; empty where none was since the command log was made."""
    effective_at: datetime = EPOCH
    """The instant of the last decision: received-at never goes back."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """A commit to write, with the dead letter that belongs to it and the events that it will have made true."""

    commit: NewRecord
    dead_letter: NewRecord | None
    command: Record
    head: CommitHead
    events: tuple[Envelope, ...]


class PartitionOwner(Generic[K]):
    """One owner of one output partition. It lives from its opening to the first failed write."""

    def __init__(
        self,
        processor: Processor[K],
        partition: int,
        partitions: int,
        owner: str,
        state: PartitionState[K] | None = None,
        *,
        poisonous: frozenset[str] = frozenset(),
        report: Callable[[Finding], None] = lambda finding: logger.warning("%s", finding),
    ) -> None:
        self.processor, self.partition, self.partitions, self.owner = processor, partition, partitions, owner
        self.state = state or PartitionState()
        self.touched: set[str] = set()
        """Keys that have changed since the host last looked."""
        self._poisonous, self._report = poisonous, report

    def opening(self) -> NewRecord:
        """Step 1: the record that voids every former owner's later writes."""
        headers = {"kind": Kind.OWNER_OPENED, "owner": self.owner}
        return NewRecord(self.processor.events, self.partition, self.owner, b"[]", headers)

    def fold(self, record: Record) -> bool:
        """Step 1: fold the next output record; True once it is this owner's own opening.

        Raises `CorruptCommit` for bytes that were not written so, naming partition, offset and stream.
        """
        state = self.state
        verdict, head = state.filter.admit(record)
        state.next_record = record.offset + 1
        if verdict in FAULTS:
            self._report(state.filter.explain(record, verdict, head))
        if verdict is Verdict.REOPENED:
            state.last_command = ""
        if verdict is Verdict.APPLIED and head is not None:
            state.last_command, state.effective_at = head.command_id, head.effective_at
            keyed = self._keyed(record.key)
            for event in events_of(record):
                if not isinstance(event.data, CommandRefused):
                    check_chain(record, keyed, event)
                    fold(self.processor, keyed, event)
            self.touched.add(record.key)
        return verdict is Verdict.OWNER_OPENED and record.headers["owner"] == self.owner

    def resume(self, command_end: int, before: Record | None) -> int:
        """Step 2: the offset of the next command. ``command_end`` is where the command log ends, ``before`` the record
        just before the place to go on at. Raises `CommandLogMismatch`."""
        place = self.state.filter.expected
        where = f"{self.processor.commands}[{self.partition}]"
        if command_end < place:
            raise CommandLogMismatch(f"{where} ends at {command_end}, but {place} commands have been answered")
        found = before.headers.get("id", "") if before else None
        if self.state.last_command and found != self.state.last_command:
            raise CommandLogMismatch(
                f"{where}@{place - 1} is command {found}, but the last one answered is {self.state.last_command}"
            )
        return place

    def answer(self, record: Record, directory: Directory) -> Commitment:
        """Step 3: decide the next command and move on. The commit must be written, or this owner dropped.

        Raises `StepFailed` with the state unchanged.
        """
        state = self.state
        if record.offset != state.filter.expected:
            raise CommandLogMismatch(f"handed command {record.offset}, but {state.filter.expected} is the next one")
        at = max(record.time, state.effective_at)
        command, error = self._read(record)
        answer = self._decide(record, command, at, directory) if command else Answer(Outcome.POISON)
        head = CommitHead(
            owner=self.owner,
            command_offset=record.offset,
            command_id=record.headers.get("id", ""),
            correlation_id=record.headers.get("correlation-id", ""),
            outcome=answer.outcome,
            effective_at=at,
            directory=directory.version,
            reason=answer.refusal.reason if answer.refusal else error,
            detail=answer.refusal.detail if answer.refusal else "",
        )
        keyed = self._keyed(record.key)
        for event in answer.events:
            fold(self.processor, keyed, event)
        self.touched.add(record.key)
        state.filter.expected += 1
        state.last_command, state.effective_at = head.command_id, at
        commit = commit_record(self.processor.events, self.partition, record.key, head, answer.encoded, answer.events)
        letter = dead_letter(record, error) if command is None else None
        return Commitment(commit, letter, record, head, answer.events)

    def due(self, key: str, now: datetime) -> list[Envelope]:
        """What the timer proposes for one key."""
        keyed = self.state.keys.get(key)
        return self.processor.due(keyed.state, now) if keyed else []

    def next_instant(self, key: str) -> datetime | None:
        """When the timer has something to propose for one key."""
        keyed = self.state.keys.get(key)
        return self.processor.next_instant(keyed.state) if keyed else None

    def _keyed(self, key: str) -> Keyed[K]:
        keyed = self.state.keys.get(key)
        if keyed is None:
            keyed = self.state.keys[key] = Keyed(self.processor.new(key))
        return keyed

    def _read(self, record: Record) -> tuple[Envelope | None, str]:
        if record.headers.get("id", "") in self._poisonous:
            return None, "declared poisonous by the operator"
        if partition_of(record.key, self.partitions) != record.partition:
            return None, f"key {record.key!r} does not belong in partition {record.partition}"
        try:
            command = record.message
        except ValueError as error:
            return None, str(error)[:MAX_ERROR_CHARACTERS]
        if command.id != record.headers.get("id"):
            return None, "the id in the headers is not the command's"
        if getattr(command.data, "noun", "") != self.processor.name:
            return None, f"{command.type} is no command of the {self.processor.name} processor"
        return command, ""

    def _decide(self, record: Record, command: Envelope, at: datetime, directory: Directory) -> Answer:
        try:
            return step(self.processor, self._keyed(record.key), command, at, directory)
        except Exception as error:
            raise StepFailed(record, command.id) from error


def dead_letter(record: Record, error: str) -> NewRecord:
    """死信 — a message that cannot be read, kept with where it came from and why."""
    headers = {
        **record.headers,
        "dead-topic": record.topic,
        "dead-partition": str(record.partition),
        "dead-offset": str(record.offset),
        "dead-error": error[:MAX_ERROR_CHARACTERS],
    }
    return NewRecord(Topic.DEAD_LETTERS, 0, record.key, record.value, headers)
