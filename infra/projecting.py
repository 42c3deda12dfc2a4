"""From records of the log to batches of the read models: the same for a running host, a rebuild and the simulation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from domain.message import Envelope, UndecodableMessage
from projections.outcomes import OutcomeRow
from projections.projector import Move, Position, apply_batch, position
from streams.commit import CommitHead, events_of
from streams.filter import FAULTS, CommitFilter, Verdict
from streams.record import Record, Topic

logger = logging.getLogger(__name__)

SOURCES = (Topic.DIRECTORY_EVENTS, Topic.REPORT_EVENTS, Topic.CASE_EVENTS, Topic.RIDER_EVENTS)
"""The topics that the read models are computed from."""

FOLD_BATCH = 4000
"""Records of one transaction of a rebuild: a case that is in many of them is read and written once."""

COMMANDS_OF = {
    Topic.DIRECTORY_EVENTS: Topic.DIRECTORY_COMMANDS,
    Topic.CASE_EVENTS: Topic.CASE_COMMANDS,
    Topic.RIDER_EVENTS: Topic.RIDER_COMMANDS,
}


@dataclass(frozen=True, slots=True)
class Batch:
    """What some records of one partition amount to."""

    move: Move
    events: tuple[Envelope, ...]
    answers: tuple[OutcomeRow, ...]


def apply(connection: Connection, batches: Sequence[Batch]) -> None:
    """Fold batches of several partitions into the read models at once; raises `PositionMoved`."""
    events = [event for batch in batches for event in batch.events]
    answers = [answer for batch in batches for answer in batch.answers]
    apply_batch(connection, [batch.move for batch in batches], events, answers)


def batch_of(before: Position, records: Sequence[Record]) -> Batch:
    """Decode records (at least one) that begin at ``before``; says of void ones that they are. Raises `CorruptCommit`."""
    first = records[0]
    commits = CommitFilter(before.owner, before.expected, before.suspended)
    events: list[Envelope] = []
    answers: list[OutcomeRow] = []
    for record in records:
        if record.topic is Topic.REPORT_EVENTS:
            events += _facts(record)
            continue
        verdict, head = commits.admit(record)
        if verdict in FAULTS:
            logger.warning("%s", commits.explain(record, verdict, head))
        if verdict is Verdict.APPLIED and head is not None:
            happened = events_of(record)
            events += happened
            answers.append(_answer(record, head, happened))
    after = Position(records[-1].offset + 1, commits.owner, commits.expected, commits.suspended)
    return Batch(Move(first.topic, first.partition, before, after), tuple(events), tuple(answers))


Places = dict[tuple[Topic, int], Position]
"""Where somebody stands in each partition."""
Ends = Mapping[tuple[Topic, int], int]
"""Where each partition ends, or where to stop in it."""
Begin = Callable[[], AbstractContextManager[Connection]]
"""Opens a transaction."""
Read = Callable[[Topic, int, int, int], list[Record]]


class Partitioned(Protocol):
    """A log that knows how many partitions its topics have."""

    def partitions_of(self, topic: Topic) -> int:
        """How many."""


def beginning(log: Partitioned) -> Places:
    """The first record of each partition that the read models are computed from."""
    return {(source, number): Position() for source in SOURCES for number in range(log.partitions_of(source))}


def positions(connection: Connection, log: Partitioned) -> Places:
    """Where the read models stand."""
    return {where: position(connection, *where) for where in beginning(log)}


Progress = Callable[[int, int], None]
"""Told (records done, of all) as the work goes on."""


def fold(read: Read, begin: Begin, places: Places, until: Ends, progress: Progress | None = None) -> Places:
    """Apply the log's records from ``places`` up to ``until``, a partition at a time; where that leads to."""
    places, of_all = dict(places), sum(until.values())
    for (source, partition), end in until.items():
        place = places[source, partition]
        while place.next_record < end:
            limit = min(FOLD_BATCH, end - place.next_record)
            batch = batch_of(place, read(source, partition, place.next_record, limit))
            with begin() as connection:
                apply(connection, [batch])
            place = places[source, partition] = batch.move.after
            if progress is not None:
                progress(sum(each.next_record for each in places.values()), of_all)
    return places


class Reading(Partitioned, Protocol):
    """A log that can be read, and knows where its partitions end."""

    def end(self, topic: Topic, partition: int) -> int:
        """The offset that the next record will have."""

    def read(self, topic: Topic, partition: int, offset: int, limit: int) -> list[Record]:
        """Up to ``limit`` records from ``offset`` on, in order."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The log at the instant ``now``, and where its topics end. Facts from before ``until`` are all in the read models."""

    now: datetime
    until: datetime
    ends: Ends


def cut_of(log: Reading, places: Places, now: datetime) -> Cut:
    """The log and the read models at ``now``, up to which the log must be in sight: an input without a projected outcome
    may become a fact of its own time, and of no earlier one."""
    until = now
    for (source, number), place in places.items():
        commands = COMMANDS_OF.get(source)
        topic, offset = (source, place.next_record) if commands is None else (commands, place.expected)
        if offset < log.end(topic, number):
            (waiting,) = log.read(topic, number, offset, 1)
            until = min(until, waiting.time)
    return Cut(now, until, {where: log.end(*where) for where in places})


def _facts(record: Record) -> list[Envelope]:
    """A report, dated by the log. What cannot be read has gone to the dead letters by the router's hand."""
    try:
        return [replace(record.message, time=record.time)]
    except UndecodableMessage:
        return []


def _answer(record: Record, head: CommitHead, events: Sequence[Envelope]) -> OutcomeRow:
    return OutcomeRow(
        command_id=head.command_id,
        correlation_id=head.correlation_id,
        topic=COMMANDS_OF[record.topic],
        partition=record.partition,
        offset=head.command_offset,
        outcome=head.outcome,
        reason=head.reason,
        detail=head.detail,
        events=tuple((event.type, event.subject) for event in events),
        at=head.effective_at,
    )
