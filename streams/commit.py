"""A commit: the whole outcome of one command as one record of the log, written whole or not at all.

Its value is a CloudEvents JSON batch; its headers say who answered which command, when and how, so that whoever waits for
an outcome reads headers only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.message import CommandRefused, Envelope, UndecodableMessage, decode, hash_of, instant_text, split_batch
from streams.record import NewRecord, Record, Topic


class Kind(StrEnum):
    """What a record on a processor's output is."""

    OWNER_OPENED = "owner-opened"
    """A new owner writes from here on."""
    REOPENED = "log-reopened"
    """The command log was made anew: counting goes on at ``next-command``."""
    COMMIT = "commit"


class Outcome(StrEnum):
    """How a command was answered."""

    APPLIED = "applied"
    REFUSED = "refused"
    EMPTY = "empty"
    """There was nothing left to do."""
    POISON = "poison"
    """The command could not be read; it lies in the dead letters."""


@dataclass(frozen=True, slots=True)
class CommitHead:
    """The headers of a commit."""

    owner: str
    command_offset: int
    command_id: str
    correlation_id: str
    outcome: Outcome
    effective_at: datetime
    """The command's received-at, made monotonous within the partition: the instant of the decision."""
    directory: str
    """The versions of net, catalogue and calendar under which it was decided."""
    reason: str = ""
    detail: str = ""

    def headers(self) -> dict[str, str]:
        """As the log carries them."""
        return {
            "kind": Kind.COMMIT,
            "owner": self.owner,
            "command-offset": str(self.command_offset),
            "command-id": self.command_id,
            "correlation-id": self.correlation_id,
            "outcome": self.outcome,
            "effective-time": instant_text(self.effective_at),
            "directory": self.directory,
            **({"reason": self.reason, "detail": self.detail} if self.reason else {}),
        }


class CorruptCommit(ValueError):
    """A record of the log is not what was written: the reader stops, because skipping would hide it."""

    def __init__(self, record: Record, stream: str, what: str) -> None:
        self.topic, self.partition, self.offset, self.stream = record.topic, record.partition, record.offset, stream
        super().__init__(f"{record.topic}[{record.partition}]@{record.offset}, stream {stream or '?'}: {what}")


def kind_of(record: Record) -> Kind:
    """What the record is; raises `CorruptCommit` for anything else."""
    try:
        return Kind(record.headers.get("kind", ""))
    except ValueError as error:
        raise CorruptCommit(record, record.key, f"unknown kind of record {error}") from error


def owner_of(opening: Record) -> str:
    """Who opens; raises `CorruptCommit`."""
    owner = opening.headers.get("owner", "")
    if not owner:
        raise CorruptCommit(opening, opening.key, "an opening without an owner")
    return owner


def next_command_of(reopening: Record) -> int:
    """Where counting goes on in a command log that was made anew; raises `CorruptCommit`."""
    offset = reopening.headers.get("next-command", "")
    if not offset.isdecimal():
        raise CorruptCommit(reopening, reopening.key, f"{offset!r} is no offset of a command")
    return int(offset)


def head_of(record: Record) -> CommitHead:
    """The headers of a commit; raises `CorruptCommit`."""
    headers = record.headers
    try:
        return CommitHead(
            owner=headers["owner"],
            command_offset=int(headers["command-offset"]),
            command_id=headers["command-id"],
            correlation_id=headers["correlation-id"],
            outcome=Outcome(headers["outcome"]),
            effective_at=datetime.fromisoformat(headers["effective-time"]),
            directory=headers["directory"],
            reason=headers.get("reason", ""),
            detail=headers.get("detail", ""),
        )
    except (KeyError, ValueError) as error:
        raise CorruptCommit(record, record.key, f"the headers of a commit are damaged: {error!r}") from error


def events_of(record: Record) -> tuple[Envelope, ...]:
    """The events of a commit, each checked against its own hash; raises `CorruptCommit`.

    An unknown type raises it too: readers are upgraded first. Only a refusal bears no hash.
    """
    if record.messages:
        return record.messages
    events, stream = [], record.key
    try:
        for raw, document in split_batch(record.value):
            stream = str(document.get("subject", record.key))
            if hash_of(raw) is None and document.get("type") != CommandRefused.wire_type:
                raise UndecodableMessage(f"event {document.get('id')} does not have the hash that it bears")
            events.append(decode(document))
    except ValueError as error:
        raise CorruptCommit(record, stream, str(error)) from error
    return tuple(events)


def commit_record(
    topic: Topic,
    partition: int,
    key: str,
    head: CommitHead,
    encoded: Iterable[bytes],
    events: tuple[Envelope, ...] = (),
) -> NewRecord:
    """The record of a commit whose ``events`` are already ``encoded``; a refusal has no event, but is encoded too."""
    return NewRecord(topic, partition, key, b"[" + b",".join(encoded) + b"]", head.headers(), events)
