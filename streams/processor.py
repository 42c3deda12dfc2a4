"""A processor as a step: (message, state) → (new state, messages out), with no I/O and no host in sight."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from domain.decision import Decision, Refusal
from domain.directory import Directory
from domain.message import GENESIS, CommandRefused, Envelope, derived_id
from streams.commit import CorruptCommit, Outcome
from streams.record import Record, Topic

K = TypeVar("K")


class Processor(Protocol[K]):
    """The only writer of its events. ``K`` is the state of one key, changed only by `evolve`."""

    @property
    def name(self) -> str:
        """Names the processor in sources and snapshots."""

    @property
    def commands(self) -> Topic:
        """The one topic it reads."""

    @property
    def events(self) -> Topic:
        """The one topic it writes."""

    @property
    def state_type(self) -> type[K]:
        """The type of a key's state, for snapshots and their fingerprint."""

    def new(self, key: str) -> K:
        """The state of a key that nothing has happened to."""

    def decide(self, state: K, command: Envelope, at: datetime, directory: Directory) -> Decision:
        """What the state answers to a command; pure."""

    def evolve(self, state: K, event: Envelope) -> None:
        """Fold one event into the state; total."""

    def ended(self, event: Envelope) -> tuple[str, ...]:
        """The streams after which nothing follows once ``event`` has happened."""

    def next_instant(self, state: K) -> datetime | None:
        """When the timer has something to propose for this state; None: never."""

    def due(self, state: K, now: datetime) -> list[Envelope]:
        """超时 — the commands that the timer proposes at ``now``; pure, and named so that asking twice is asking once."""


@dataclass(frozen=True, slots=True)
class StreamHead:
    """The end of a stream: how many events it has, and the hash of the last."""

    sequence: int = 0
    hash: str = GENESIS


@dataclass(slots=True)
class Keyed(Generic[K]):
    """What a processor keeps of one key."""

    state: K
    heads: dict[str, StreamHead] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A command's outcome before it has a place in the log."""

    outcome: Outcome
    encoded: tuple[bytes, ...] = ()
    events: tuple[Envelope, ...] = ()
    refusal: Refusal | None = None


def step(processor: Processor[K], keyed: Keyed[K], command: Envelope, at: datetime, directory: Directory) -> Answer:
    """Decide one command and make its events: derived ids, sequence, time and hash chain. Changes nothing."""
    decision = processor.decide(keyed.state, command, at, directory)
    source = f"/beeline/{processor.name}"
    if isinstance(decision, Refusal):
        refused = Envelope(
            id=derived_id(command.id, "refused"),
            source=source,
            subject=command.subject,
            time=at,
            data=CommandRefused(reason=decision.reason, detail=decision.detail),
            correlationid=command.correlationid,
            causationid=command.id,
            traceparent=command.traceparent,
        )
        return Answer(Outcome.REFUSED, (refused.encode(),), (), decision)
    heads, encoded, events = dict[str, StreamHead](), [], []
    for index, fact in enumerate(decision):
        head = heads.get(fact.subject) or keyed.heads.get(fact.subject) or StreamHead()
        event = Envelope(
            id=derived_id(command.id, index),
            source=source,
            subject=fact.subject,
            time=at,
            data=fact.data,
            correlationid=command.correlationid,
            causationid=command.id,
            traceparent=command.traceparent,
            sequence=head.sequence + 1,
            previoushash=head.hash,
        )
        raw = event.encode()
        event = replace(event, hash=raw[-66:-2].decode())  # a sealed event ends in ,"hash":"…"}
        heads[fact.subject] = StreamHead(event.sequence, event.hash)
        encoded.append(raw)
        events.append(event)
    return Answer(Outcome.APPLIED if events else Outcome.EMPTY, tuple(encoded), tuple(events))


def fold(processor: Processor[K], keyed: Keyed[K], event: Envelope) -> None:
    """Apply one event of a valid commit."""
    keyed.heads[event.subject] = StreamHead(event.sequence, event.hash)
    processor.evolve(keyed.state, event)
    for stream in processor.ended(event):
        keyed.heads.pop(stream, None)


def check_chain(record: Record, keyed: Keyed[K], event: Envelope) -> None:
    """That ``event`` goes on where its stream ended; raises `CorruptCommit` with partition, offset and stream."""
    head = keyed.heads.get(event.subject, StreamHead())
    if (event.sequence, event.previoushash) != (head.sequence + 1, head.hash):
        raise CorruptCommit(
            record, event.subject, f"event {event.sequence} does not follow event {head.sequence} of its stream"
        )
