"""The one filter, shared by every reader of a processor's output: owner, projector, rewarder, HTTP, audit.

A commit counts if it is the latest owner's and answers the next command. After a hole the rest of that owner is void until
the next owner opens. So a frozen owner that wakes changes nothing, two owners never mix, and a hole heals or is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from streams.commit import CommitHead, Kind, head_of, kind_of, next_command_of, owner_of
from streams.record import Record


class Verdict(StrEnum):
    """What a reader does with a record of a processor's output."""

    APPLIED = "applied"
    OWNER_OPENED = "owner opened"
    REOPENED = "log reopened"
    FORMER_OWNER = "void: of a former owner"
    DOUBLED = "void: answers a command that has been answered"
    HOLE = "void: a commit before it is missing"
    AFTER_HOLE = "void: stands after a hole"


FAULTS = frozenset({Verdict.FORMER_OWNER, Verdict.DOUBLED, Verdict.HOLE, Verdict.AFTER_HOLE})


@dataclass(frozen=True, slots=True)
class Finding:
    """A record that does not count, with where it lies and why."""

    verdict: Verdict
    topic: str
    partition: int
    offset: int
    stream: str
    detail: str

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}, stream {self.stream}: {self.verdict} ({self.detail})"


@dataclass(slots=True)
class CommitFilter:
    """Where a reader stands in one partition; these fields are its whole memory, and can be stored with its position."""

    owner: str = ""
    expected: int = 0
    """Offset of the next command to be answered."""
    suspended: bool = False
    """After a hole, until the next owner opens."""

    def admit(self, record: Record) -> tuple[Verdict, CommitHead | None]:
        """Judge the next record; only with `Verdict.APPLIED` do its events count. Raises `CorruptCommit`."""
        kind = kind_of(record)
        if kind is Kind.OWNER_OPENED:
            self.owner, self.suspended = owner_of(record), False
            return Verdict.OWNER_OPENED, None
        if kind is Kind.REOPENED:
            self.owner, self.suspended, self.expected = "", False, next_command_of(record)
            return Verdict.REOPENED, None
        head = head_of(record)
        if head.owner != self.owner:
            return Verdict.FORMER_OWNER, head
        if self.suspended:
            return Verdict.AFTER_HOLE, head
        if head.command_offset < self.expected:
            return Verdict.DOUBLED, head
        if head.command_offset > self.expected:
            self.suspended = True
            return Verdict.HOLE, head
        self.expected += 1
        return Verdict.APPLIED, head

    def explain(self, record: Record, verdict: Verdict, head: CommitHead | None) -> Finding:
        """What to tell an operator about a void record."""
        detail = f"owner {head.owner}, command {head.command_offset}" if head else ""
        expected = f"expected owner {self.owner or '(none)'}, command {self.expected}"
        return Finding(
            verdict, record.topic, record.partition, record.offset, record.key, f"{detail}; {expected}".lstrip("; ")
        )
