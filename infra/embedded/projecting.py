"""Keeps the read models up with the log, on a thread of its own."""

from __future__ import annotations

import asyncio
from typing import Protocol

from sqlalchemy import Engine

from infra.embedded.log import EmbeddedLog
from infra.projecting import COMMANDS_OF, SOURCES, apply, batch_of
from projections.projector import Move, Position, create_tables, position
from streams.record import Record, Topic

MAX_BATCH = 250
"""Records of one partition in one transaction."""

LINGER_SECONDS = 0.005
"""How long news may gather: one transaction for many records costs little more than one for few."""


class Listener(Protocol):
    """Who wants to know that read models have moved."""

    def moved(self) -> None:
        """A position has moved."""


class Projector:
    """The one writer of the read models."""

    def __init__(self, log: EmbeddedLog, engine: Engine) -> None:
        self._log, self._engine = log, engine
        create_tables(engine)
        self.positions = self._stored()

    @property
    def is_idle(self) -> bool:
        """Whether the read models hold all that the log holds."""
        return all(place.next_record >= self._log.end(*where) for where, place in self.positions.items())

    def has_passed(self, topic: Topic, partition: int, offset: int) -> bool:
        """Whether the read models hold what the input record at ``offset`` (a report, a command) came to."""
        for source, commands in COMMANDS_OF.items():
            if commands is topic:
                return self.positions[source, partition].expected > offset
        return self.positions[topic, partition].next_record > offset

    async def serve(self, listener: Listener) -> None:
        """Project until cancelled. Raises `CorruptCommit` and stops there.

        Begins where the database says: after a failure, or a batch that outlived its task, memory may say otherwise.
        """
        self.positions = await asyncio.to_thread(self._stored)
        while True:
            await self._log.wait_for_news(lambda: not self.is_idle)
            await asyncio.sleep(LINGER_SECONDS)
            news = [
                (place, records)
                for (source, partition), place in self.positions.items()
                if (records := self._log.read(source, partition, place.next_record, MAX_BATCH))
            ]
            for move in await asyncio.to_thread(self._project, news):
                self.positions[Topic(move.source), move.partition] = move.after
            listener.moved()

    def _project(self, news: list[tuple[Position, list[Record]]]) -> list[Move]:
        batches = [batch_of(before, records) for before, records in news]
        with self._engine.begin() as connection:
            apply(connection, batches)
        return [batch.move for batch in batches]

    def _stored(self) -> dict[tuple[Topic, int], Position]:
        with self._engine.begin() as connection:
            return {
                (source, number): position(connection, source, number)
                for source in SOURCES
                for number in range(self._log.partitions_of(source))
            }
