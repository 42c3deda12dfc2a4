"""Runs the audit over a log on disk, at a cut that the processors have passed; also while a server writes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import select

from infra.audit import Audit, AuditResult, differing
from infra.database import ReadModels, open_engine
from infra.embedded.log import LogReader
from infra.projecting import Ends, beginning, fold
from infra.statements import Statements, changed
from projections.projector import create_tables, digest, position, position_table
from streams.filter import CommitFilter
from streams.record import Topic
from streams.rewarder import Rewarder
from streams.router import Router

BATCH = 1000
POLL_SECONDS = 0.05

Cut = dict[int, int]


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


def _ends(reader: LogReader, topic: Topic) -> Cut:
    return {number: reader.end(topic, number) for number in range(reader.partitions_of(topic))}


def _wait(condition: Callable[[], bool], deadline: float, what: str) -> None:
    while not condition():
        if time.monotonic() > deadline:
            raise NotCaughtUp(f"{what} has not passed the cut; is the server running, and is /readyz ok?")
        time.sleep(POLL_SECONDS)


def _reacted(reader: LogReader, reactor: Router | Rewarder, ends: Cut, deadline: float) -> None:
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


def _feed(reader: LogReader, checked: Audit, topic: Topic, ends: Cut, expected: Cut) -> None:
    for number, end in ends.items():
        offset = 0
        while offset < end and (records := reader.read(topic, number, offset, min(BATCH, end - offset))):
            for record in records:
                checked.see(record, expected=record.offset < expected[number])
            offset = records[-1].offset + 1


def differing_read_models(folder: Path) -> list[str]:
    """不变量 3 — the tables of the read models that are not what a fold of the log from its first event gives."""
    reader, models = LogReader(folder), ReadModels(folder)
    try:
        with models.reading() as connection:
            known = connection.execute(select(position_table.c.source, position_table.c.partition)).all()
            until = {
                (Topic(source), number): position(connection, source, number).next_record for source, number in known
            }
            stored = digest(connection)
        with TemporaryDirectory(dir=folder) as fresh:
            return differing(stored, _anew(reader, Path(fresh) / "fresh.db", until))
    finally:
        reader.close()
        models.close()


def _anew(reader: LogReader, file: Path, until: Ends) -> dict[str, str]:
    engine = open_engine(file, durable=False)
    try:
        create_tables(engine, indexes=False)
        fold(reader.read, engine.begin, beginning(reader), until)
        with engine.begin() as connection:
            return digest(connection)
    finally:
        engine.dispose()


def changed_statements(folder: Path) -> list[str]:
    """不变量 6 — the stored statements of ended periods that the facts of today would not give again."""
    models, statements = ReadModels(folder), Statements(folder)
    try:
        return changed(models, statements)
    finally:
        models.close()
        statements.close()
