"""The shape of a reactor: event in, commands out, no state, at-least-once; what it sends twice is empty the second time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.directory import Directory
from domain.message import Command, Envelope, derived_id
from streams.record import NewRecord, Topic, partition_of


@dataclass(frozen=True, slots=True)
class Ask:
    """A command for a processor, under the key that its topic is partitioned by."""

    topic: Topic
    key: str
    command: Envelope

    def record(self, partitions: int) -> NewRecord:
        """The record that carries the command."""
        return NewRecord(
            topic=self.topic,
            partition=partition_of(self.key, partitions),
            key=self.key,
            value=self.command.encode(),
            headers={"id": self.command.id, "correlation-id": self.command.correlationid},
            messages=(self.command,),
        )


def follow(cause: Envelope, data: Command, *, subject: str, source: str, time: datetime, name: str) -> Envelope:
    """The envelope of a command that follows from an event: its id is derived from the event's and ``name``."""
    return Envelope(
        id=derived_id(cause.id, name),
        source=source,
        subject=subject,
        time=time,
        data=data,
        correlationid=cause.correlationid,
        causationid=cause.id,
        traceparent=cause.traceparent,
    )


class Reactor(Protocol):
    """Reads one topic's events and asks others for something."""

    @property
    def name(self) -> str:
        """Names the reactor's position in the log."""

    @property
    def source(self) -> Topic:
        """The topic it reads."""

    def react(self, event: Envelope, received_at: datetime, directory: Directory) -> Iterable[Ask]:
        """What follows from ``event``, which the log received at ``received_at``."""
