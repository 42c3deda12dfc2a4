"""The directory processor: `domain.directory` as a step."""

from __future__ import annotations

from datetime import datetime

from domain.decision import Decision
from domain.directory import KEY, Directory, Documents, decide, due, evolve, next_instant
from domain.message import Envelope, derived_id
from streams.record import Topic

TIMER = "/beeline/timer"


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

    def next_instant(self, state: Documents) -> datetime | None:
        """The instant at which a scheduled net becomes current."""
        return next_instant(state)

    def due(self, state: Documents, now: datetime) -> list[Envelope]:
        """`ActivateScheduledNet` when the day of a net has begun."""
        ask = due(state, now)
        if ask is None:
            return []
        identity = derived_id("timer", KEY, ask.net, ask.valid_from)
        return [Envelope(id=identity, source=TIMER, subject=KEY, time=now, data=ask, correlationid=identity)]
