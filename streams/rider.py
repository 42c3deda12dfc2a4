"""The rider processor: `domain.rider` as a step."""

from __future__ import annotations

from datetime import datetime

from domain.decision import Decision
from domain.directory import Directory
from domain.message import Envelope
from domain.rider import Account, decide, evolve
from streams.record import Topic


class RiderProcessor:
    """The only writer of rider events; its keys are riders."""

    name = "rider"
    commands = Topic.RIDER_COMMANDS
    events = Topic.RIDER_EVENTS
    state_type = Account

    def new(self, key: str) -> Account:
        """An empty account."""
        return Account(key)

    def decide(self, state: Account, command: Envelope, at: datetime, directory: Directory) -> Decision:
        """See `domain.rider`."""
        return decide(state, command, at, directory)

    def evolve(self, state: Account, event: Envelope) -> None:
        """See `domain.rider`."""
        evolve(state, event)

    def ended(self, _: Envelope) -> tuple[str, ...]:
        """An account stays."""
        return ()

    def next_instant(self, _: Account) -> None:
        """Nothing in an account has a deadline yet: reservations come with redemption."""

    def due(self, _: Account, __: datetime) -> list[Envelope]:
        """Nothing in an account has a deadline yet."""
        return []
