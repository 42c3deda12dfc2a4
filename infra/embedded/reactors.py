"""Runs a reactor over one partition of its source: what it sends and its position are one append."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from domain.directory import Directory
from domain.message import Envelope, UndecodableMessage
from infra.embedded.log import EmbeddedLog, Position
from streams.commit import events_of
from streams.filter import FAULTS, CommitFilter, Finding, Verdict
from streams.protocol import dead_letter
from streams.reactor import Reactor
from streams.record import NewRecord, Record, Topic

MAX_BATCH = 500
"""Source records of one append."""


class ReactorHost(Protocol):
    """What a reactor needs of its host."""

    @property
    def directory(self) -> Directory:
        """The directory of the moment."""

    def moved(self) -> None:
        """A position has moved."""

    def found(self, finding: Finding) -> None:
        """A record that does not count."""


class ReactorTask:
    """One reactor on one source partition."""

    def __init__(self, log: EmbeddedLog, reactor: Reactor, partition: int, host: ReactorHost) -> None:
        self.reactor, self.partition = reactor, partition
        self._log, self._host = log, host
        self.position, self._filter = 0, CommitFilter()

    @property
    def is_idle(self) -> bool:
        """Whether everything in the source has been reacted to."""
        return self.position >= self._log.end(self.reactor.source, self.partition)

    async def serve(self) -> None:
        """React until cancelled. Raises `CorruptCommit` and stops there: skipping would hide it.

        Begins where the log says: after an append that failed, what is in memory has gone too far.
        """
        self.position, memo = self._log.position(self.reactor.name, self.reactor.source, self.partition)
        self._filter = _restore(memo)
        while True:
            await self._log.wait_beyond(self.reactor.source, self.partition, self.position)
            records = self._log.read(self.reactor.source, self.partition, self.position, MAX_BATCH)
            out = [asked for record in records for asked in self._react(record)]
            following = records[-1].offset + 1
            position = Position(
                self.reactor.name, self.reactor.source, self.partition, following, memo_of(self._filter)
            )
            await self._log.append(out, [position])
            self.position = following
            self._host.moved()
            await asyncio.sleep(0)

    def _react(self, record: Record) -> Iterable[NewRecord]:
        if self.reactor.source is Topic.REPORT_EVENTS:
            return self._react_to_fact(record)
        verdict, head = self._filter.admit(record)
        if verdict in FAULTS:
            self._host.found(self._filter.explain(record, verdict, head))
        return self._asks(events_of(record), record) if verdict is Verdict.APPLIED else ()

    def _react_to_fact(self, record: Record) -> Iterable[NewRecord]:
        try:
            return list(self._asks((record.message,), record))
        except (UndecodableMessage, LookupError) as error:
            return (dead_letter(record, str(error)),)

    def _asks(self, events: Iterable[Envelope], record: Record) -> Iterable[NewRecord]:
        return (
            ask.record(self._log.partitions_of(ask.topic))
            for event in events
            for ask in self.reactor.react(event, record.time, self._host.directory)
        )


def memo_of(commits: CommitFilter) -> str:
    """How a reactor's filter is remembered beside its position."""
    return f"{commits.owner} {commits.expected} {int(commits.suspended)}"


def _restore(memo: str) -> CommitFilter:
    if not memo:
        return CommitFilter()
    owner, expected, suspended = memo.rsplit(" ", 2)
    return CommitFilter(owner, int(expected), suspended == "1")
