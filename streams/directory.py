"""The directory processor: `domain.directory` as a step."""

from __future__ import annotations

from datetime import datetime

from domain.decision import Decision
from domain.directory import Directory, Documents, decide, evolve
from domain.message import Envelope
from streams.record import Topic


class DirectoryProcessor:
    """The only writer of directory events; one key, one partition."""

    name = "directory"
    commands = Topic.DIRECTORY_COMMANDS
    events = Topic.DIRECTORY_EVENTS
    state_type = Documents

    def new(self, _: str) -> Documents:
        """An empty directory."""
        return Documents()

    def decide(self, state: Documents, command: Envelope, at: datetime, _: Directory) -> Decision:
        """See `domain.directory`; what is current does not matter to what may become current."""
        return decide(state, command, at)

    def evolve(self, state: Documents, event: Envelope) -> None:
        """See `domain.directory`."""
        evolve(state, event)

    def ended(self, _: Envelope) -> tuple[str, ...]:
        """Documents stay."""
        return ()

    def next_instant(self, _: Documents) -> None:
        """Nothing in the directory has a deadline."""

    def due(self, _: Documents, __: datetime) -> list[Envelope]:
        """Nothing in the directory has a deadline."""
        return []
