"""A record of the log, and the topics: the same on every host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from zlib import crc32

from domain.message import Envelope, decode_bytes


class Topic(StrEnum):
    """Every topic of the log. Only a breaking schema makes a new version of one."""

    REPORT_EVENTS = "beeline.report.events.v1"
    CASE_COMMANDS = "beeline.case.commands.v1"
    CASE_EVENTS = "beeline.case.events.v1"
    RIDER_COMMANDS = "beeline.rider.commands.v1"
    RIDER_EVENTS = "beeline.rider.events.v1"
    DIRECTORY_COMMANDS = "beeline.directory.commands.v1"
    DIRECTORY_EVENTS = "beeline.directory.events.v1"
    DEAD_LETTERS = "beeline.dead_letter.v1"


UNPARTITIONED = frozenset({Topic.DIRECTORY_COMMANDS, Topic.DIRECTORY_EVENTS, Topic.DEAD_LETTERS})
"""Topics with one partition whatever the size of the log."""


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: CRC-32 of its UTF-8 bytes, modulo the partitions; published, so it never changes."""
    return crc32(key.encode()) % partitions


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to append; the log gives it an offset and a time."""

    topic: Topic
    partition: int
    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    messages: tuple[Envelope, ...] = field(default=(), compare=False, repr=False)
    """What ``value`` is the encoding of, for who has it still in memory; it is no part of the record."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the log gives it back. ``time`` is the log's append time, never the producer's."""

    topic: Topic
    partition: int
    offset: int
    time: datetime
    key: str
    value: bytes
    headers: Mapping[str, str]
    messages: tuple[Envelope, ...] = field(default=(), compare=False, repr=False)
    """What ``value`` decodes to, where this process wrote it a moment ago; else empty, and to be decoded."""

    @property
    def message(self) -> Envelope:
        """The one message of a report or a command; raises `UndecodableMessage`."""
        return self.messages[0] if self.messages else decode_bytes(self.value)
