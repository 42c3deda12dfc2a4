"""Keeps the read models up with the log, on a thread of its own."""

from __future__ import annotations

import asyncio
from typing import Protocol

from infra.database import ReadModels
from infra.embedded.log import EmbeddedLog
from infra.projecting import COMMANDS_OF, Places, apply, batch_of, positions
from projections.projector import Move, Position, PositionMoved
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

    def __init__(self, log: EmbeddedLog, models: ReadModels) -> None:
        self._log, self._models = log, models
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

        Begins where the database says: after a failure, or a batch that outlived its task, memory may say otherwise; and
        so it does when another generation of the read models has come in between.
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
            try:
                moves = await asyncio.to_thread(self._project, news)
            except PositionMoved:
                self.positions = await asyncio.to_thread(self._stored)
            else:
                for move in moves:
                    self.positions[Topic(move.source), move.partition] = move.after
            listener.moved()

    def _project(self, news: list[tuple[Position, list[Record]]]) -> list[Move]:
        batches = [batch_of(before, records) for before, records in news]
        with self._models.writing() as connection:
            apply(connection, batches)
        return [batch.move for batch in batches]

    def _stored(self) -> Places:
        with self._models.reading() as connection:
            return positions(connection, self._log)
