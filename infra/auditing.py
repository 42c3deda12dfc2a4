"""Runs the audit over a log on disk, at a cut that the processors have passed; also while a server writes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from infra.audit import Audit, AuditResult, differing
from infra.database import open_engine
from infra.embedded.log import LogReader
from infra.projecting import rebuild
from projections.projector import digest, position, position_table
from streams.filter import CommitFilter
from streams.record import Topic
from streams.rewarder import Rewarder
from streams.router import Router

BATCH = 1000
POLL_SECONDS = 0.05

Ends = dict[int, int]


class NotCaughtUp(RuntimeError):
    """The processors did not pass the cut in time."""


def audit(folder: Path, *, wait_seconds: float = 60.0) -> AuditResult:
    """Audit the log in ``folder``. Raises `FileNotFoundError`, `NotCaughtUp`."""
    reader = LogReader(folder)
    try:
        deadline = time.monotonic() + wait_seconds
        reports = _ends(reader, Topic.REPORT_EVENTS)
        _reacted(reader, Router(), reports, deadline)
        _answered(reader, Topic.CASE_COMMANDS, Topic.CASE_EVENTS, deadline)
        cases = _ends(reader, Topic.CASE_EVENTS)
        _reacted(reader, Rewarder(), cases, deadline)
        _answered(reader, Topic.RIDER_COMMANDS, Topic.RIDER_EVENTS, deadline)
        riders = _ends(reader, Topic.RIDER_EVENTS)
        # What is read may have its cause after the cut: so causes are read further than what follows from them.
        later_cases = _ends(reader, Topic.CASE_EVENTS)
        later_reports = _ends(reader, Topic.REPORT_EVENTS)
        checked = Audit()
        _feed(reader, checked, Topic.REPORT_EVENTS, later_reports, reports)
        _feed(reader, checked, Topic.CASE_EVENTS, later_cases, cases)
        _feed(reader, checked, Topic.RIDER_EVENTS, riders, riders)
        return checked.result()
    finally:
        reader.close()


def _ends(reader: LogReader, topic: Topic) -> Ends:
    return {number: reader.end(topic, number) for number in range(reader.partitions_of(topic))}


def _wait(condition: Callable[[], bool], deadline: float, what: str) -> None:
    while not condition():
        if time.monotonic() > deadline:
            raise NotCaughtUp(f"{what} has not passed the cut; is the server running, and is /readyz ok?")
        time.sleep(POLL_SECONDS)


def _reacted(reader: LogReader, reactor: Router | Rewarder, ends: Ends, deadline: float) -> None:
    def passed() -> bool:
        return all(reader.position(reactor.name, reactor.source, number)[0] >= end for number, end in ends.items())

    _wait(passed, deadline, f"the {reactor.name}")


def _answered(reader: LogReader, commands: Topic, events: Topic, deadline: float) -> None:
    for number, end in _ends(reader, commands).items():
        commits, offset = CommitFilter(), 0

        def passed(number: int = number, end: int = end, commits: CommitFilter = commits) -> bool:
            nonlocal offset
            while commits.expected < end and (records := reader.read(events, number, offset, BATCH)):
                for record in records:
                    commits.admit(record)
                offset = records[-1].offset + 1
            return commits.expected >= end

        _wait(passed, deadline, f"{events}[{number}]")


def _feed(reader: LogReader, checked: Audit, topic: Topic, ends: Ends, expected: Ends) -> None:
    for number, end in ends.items():
        offset = 0
        while offset < end and (records := reader.read(topic, number, offset, min(BATCH, end - offset))):
            for record in records:
                checked.see(record, expected=record.offset < expected[number])
            offset = records[-1].offset + 1


def differing_read_models(folder: Path) -> list[str]:
    """不变量 3 — the tables of the read models that are not what a fold of the log from its first event gives."""
    reader, live, fresh = LogReader(folder), open_engine(folder / "read.db"), open_engine(None)
    try:
        with live.begin() as connection:
            known = connection.execute(select(position_table.c.source, position_table.c.partition)).all()
            until = {(Topic(source), number): position(connection, source, number) for source, number in known}
            stored = digest(connection)
        rebuild(reader.read, fresh, until)
        with fresh.begin() as connection:
            rebuilt = digest(connection)
        return differing(stored, rebuilt)
    finally:
        reader.close()
        live.dispose()
        fresh.dispose()
