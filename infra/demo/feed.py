"""What has become true since one last looked: the commits of a topic, through the shared filter."""

from __future__ import annotations

from collections.abc import Iterator

from domain.message import Envelope
from infra.embedded.log import EmbeddedLog
from streams.commit import events_of
from streams.filter import CommitFilter, Verdict
from streams.record import Topic

BATCH = 1000


class Feed:
    """Follows every partition of one processor's output."""

    def __init__(self, log: EmbeddedLog, topic: Topic) -> None:
        self._log, self._topic = log, topic
        self._places = {number: (0, CommitFilter()) for number in range(log.partitions_of(topic))}

    def news(self) -> Iterator[Envelope]:
        """The events since the last call, partition by partition."""
        for partition, (offset, commits) in self._places.items():
            while records := self._log.read(self._topic, partition, offset, BATCH):
                for record in records:
                    if commits.admit(record)[0] is Verdict.APPLIED:
                        yield from events_of(record)
                offset = records[-1].offset + 1
            self._places[partition] = (offset, commits)
