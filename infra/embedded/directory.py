"""名录 — what is current in a data folder, for whoever reads its log beside the process that writes it, or without one."""

from __future__ import annotations

from pathlib import Path

from domain.directory import Directory, Documents, evolve
from infra.embedded.log import LogReader
from streams.commit import events_of
from streams.filter import CommitFilter, Verdict
from streams.record import Topic

BATCH = 500


def directory_of(data: Path) -> Directory | None:
    """What is current; None where there is no log, or nothing can be routed by it yet.

    Raises `LogUnavailable`, `CorruptCommit`.
    """
    try:
        reader = LogReader(data)
    except FileNotFoundError:
        return None
    documents, commits, offset = Documents(), CommitFilter(), 0
    try:
        while records := reader.read(Topic.DIRECTORY_EVENTS, 0, offset, BATCH):
            for record in records:
                if commits.admit(record)[0] is Verdict.APPLIED:
                    for event in events_of(record):
                        evolve(documents, event)
            offset = records[-1].offset + 1
    finally:
        reader.close()
    directory = documents.view()
    return directory if directory.is_ready else None
