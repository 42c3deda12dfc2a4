"""From records of the log to batches of the read models: the same for a running host, a rebuild and the simulation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine

from domain.message import Envelope, UndecodableMessage, decode_bytes
from projections.outcomes import OutcomeRow
from projections.projector import Move, Position, apply_batch, create_tables
from streams.commit import CommitHead, events_of
from streams.filter import FAULTS, CommitFilter, Verdict
from streams.record import Record, Topic

logger = logging.getLogger(__name__)

SOURCES = (Topic.REPORT_EVENTS, Topic.CASE_EVENTS, Topic.RIDER_EVENTS)
"""The topics that the read models are computed from."""

REBUILD_BATCH = 1000
"""Records of one transaction of a rebuild."""

COMMANDS_OF = {Topic.CASE_EVENTS: Topic.CASE_COMMANDS, Topic.RIDER_EVENTS: Topic.RIDER_COMMANDS}


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


def rebuild(
    read: Callable[[Topic, int, int, int], list[Record]], engine: Engine, until: Mapping[tuple[Topic, int], Position]
) -> None:
    """Fill an empty database from the log's first record up to ``until``."""
    create_tables(engine)
    for (source, partition), end in until.items():
        place = Position()
        while place.next_record < end.next_record:
            limit = min(REBUILD_BATCH, end.next_record - place.next_record)
            batch = batch_of(place, read(source, partition, place.next_record, limit))
            with engine.begin() as connection:
                apply(connection, [batch])
            place = batch.move.after


def _facts(record: Record) -> list[Envelope]:
    """A report, dated by the log. What cannot be read has gone to the dead letters by the router's hand."""
    try:
        return [replace(decode_bytes(record.value), time=record.time)]
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
