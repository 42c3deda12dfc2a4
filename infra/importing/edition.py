"""The catalogue that a history is imported under: the log's, and the seed's where there is no log yet."""

from __future__ import annotations

from pathlib import Path

from domain.catalogue import Edition
from domain.directory import UNPUBLISHED, Documents, evolve
from infra.embedded.log import LogReader
from infra.seed import seed_edition
from streams.commit import events_of
from streams.filter import CommitFilter, Verdict
from streams.record import Topic

BATCH = 100


def edition_in(data: Path) -> Edition:
    """The current edition of the log in ``data``. Raises `LogUnavailable`, `CorruptCommit`."""
    if not (data / "log.db").exists():
        return seed_edition()
    reader, documents, commits, offset = LogReader(data), Documents(), CommitFilter(), 0
    try:
        while records := reader.read(Topic.DIRECTORY_EVENTS, 0, offset, BATCH):
            for record in records:
                if commits.admit(record)[0] is Verdict.APPLIED:
                    for event in events_of(record):
                        evolve(documents, event)
            offset = records[-1].offset + 1
    finally:
        reader.close()
    current = documents.view().edition
    return seed_edition() if current is UNPUBLISHED.edition else current
