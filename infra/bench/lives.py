"""Lives of cases, from the report to the archive, decided by the real processors: what generated logs are copies of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from domain.case import commands as c
from domain.case.state import Case, Cell
from domain.directory import Directory
from domain.message import Actor, Command, Envelope, Role, derived_id
from domain.net import Level
from domain.rider import Account
from infra.bench.city import Seen
from streams.case import CaseProcessor
from streams.commit import CommitHead
from streams.processor import Keyed, Processor, fold, step
from streams.reactor import Ask
from streams.record import Topic
from streams.rewarder import Rewarder
from streams.rider import RiderProcessor
from streams.router import Router

K = TypeVar("K")

BORN = datetime(2025, 3, 3, 1, tzinfo=UTC)
"""A Monday, 09:00 in Shenzhen: when the lives that are copied begin."""
LONGEST = timedelta(days=60)
OWNER = "bench"


@dataclass(frozen=True, slots=True)
class Step:
    """One record of a life, its events still apart."""

    at: datetime
    topic: Topic
    key: str
    events: tuple[bytes, ...]
    headers: Mapping[str, str]


class Life:
    """Plays one case. Raises `ValueError` where a script asks for what the case refuses."""

    def __init__(self, directory: Directory) -> None:
        self.steps: list[Step] = []
        self._directory, self._now = directory, BORN
        self._cases, self._riders = CaseProcessor(), RiderProcessor()
        self._cells: dict[str, Keyed[Cell]] = {}
        self._accounts: dict[str, Keyed[Account]] = {}
        self._holder: Actor | None = None

    @property
    def case(self) -> Case:
        """The one case."""
        (keyed,) = self._cells.values()
        (case,) = keyed.state.cases.values()
        return case

    # -- what happens --------------------------------------------------------

    def report(self, seen: Seen) -> None:
        """A rider reports the matter, now."""
        event = seen.event(self._directory.edition.version)
        headers = {"id": event.id, "correlation-id": event.correlationid}
        for ask in Router().react(event, self._now, self._directory):
            self.steps.append(Step(self._now, Topic.REPORT_EVENTS, ask.key, (event.encode(),), headers))
            self._ask_cell(ask.key, ask.command)

    def wait(self, minutes: float) -> None:
        """Time goes by, and the timer with it."""
        self._until(self._now + timedelta(minutes=minutes))

    def end(self) -> None:
        """Everything that still follows by itself: the archive, after the last window."""
        self._until(BORN + LONGEST)

    def ask(self, command: Command) -> None:
        """Somebody asks for something about the case."""
        name = f"{type(command).__name__} {len(self.steps)}"
        identity = derived_id("bench", name)
        envelope = Envelope(
            id=identity,
            source="/beeline/http",
            subject=self.case.id,
            time=self._now,
            data=command,
            correlationid=identity,
        )
        (cell,) = self._cells
        self._ask_cell(cell, envelope)

    # -- who asks ------------------------------------------------------------

    def accept(self) -> None:
        """By somebody of the unit that has it."""
        owner = self.case.owner
        role = Role.GRID_WORKER if owner.level is Level.GRID else Role.DISPATCHER
        if self.case.route.how == "team" and owner == self.case.route.unit:
            role = Role.ENFORCEMENT_OFFICER
        self._holder = Actor(person=f"{role.value}-{owner.unit}", roles=(role,), units=(owner.unit,))
        self.ask(c.AcceptDispatch(case_id=self.case.id, actor=self._holder))

    def complete(self) -> None:
        """By whoever accepted it last."""
        if self._holder is None:
            raise ValueError("nobody has accepted it")
        evidence = {kind: f"{kind}-1" for kind in self.case.terms.evidence}
        self.ask(c.CompleteHandling(case_id=self.case.id, actor=self._holder, evidence=evidence))

    def staff(self, role: Role) -> Actor:
        """An inspector, a dispatcher or a supervisor above the case."""
        above = next(rung.unit for rung in self.case.route.ladder if rung.level is not Level.COMMUNITY)
        unit = self.case.route.ancestors[0] if role is Role.INSPECTOR else above
        return Actor(person=f"{role.value}-{unit}", roles=(role,), units=(unit,))

    # -- the machinery -------------------------------------------------------

    def _until(self, instant: datetime) -> None:
        for cell, keyed in self._cells.items():
            while (due := self._cases.next_instant(keyed.state)) is not None and due <= instant:
                self._now = due
                for command in self._cases.due(keyed.state, due):
                    self._ask_cell(cell, command)
        self._now = instant

    def _ask_cell(self, cell: str, command: Envelope) -> None:
        keyed = self._cells.setdefault(cell, Keyed(self._cases.new(cell)))
        for event in self._commit(self._cases, keyed, cell, command):
            self._reward(Rewarder().react(event, self._now, self._directory))

    def _reward(self, asks: Iterable[Ask]) -> None:
        for ask in asks:
            keyed = self._accounts.setdefault(ask.key, Keyed(self._riders.new(ask.key)))
            self._commit(self._riders, keyed, ask.key, ask.command)

    def _commit(self, processor: Processor[K], keyed: Keyed[K], key: str, command: Envelope) -> tuple[Envelope, ...]:
        answer = step(processor, keyed, command, self._now, self._directory)
        if answer.refusal is not None:
            raise ValueError(f"{command.type} at {self._now}: {answer.refusal}")
        for event in answer.events:
            fold(processor, keyed, event)
        head = CommitHead(
            OWNER, 0, command.id, command.correlationid, answer.outcome, self._now, self._directory.version
        )
        self.steps.append(Step(self._now, processor.events, key, answer.encoded, head.headers()))
        return answer.events


Script = Callable[[Life, Seen, Seen], None]
"""Plays a life; the second is somebody else who saw the same matter."""


def _usual(life: Life, first: Seen, _: Seen) -> None:
    life.report(first)
    life.wait(8)
    life.accept()
    life.wait(75)
    life.complete()
    life.wait(12)
    _pass(life)


def _rated(life: Life, first: Seen, other: Seen) -> None:
    _usual(life, first, other)
    life.wait(45)
    person = Actor(person=first.rider, roles=(Role.REPORTER,))
    life.ask(c.RateOutcome(case_id=life.case.id, actor=person, score=2 + sum(first.category.encode()) % 4))


def _shared(life: Life, first: Seen, other: Seen) -> None:
    life.report(first)
    life.wait(5)
    life.report(other)
    life.accept()
    life.wait(60)
    life.complete()
    life.wait(20)
    _pass(life)


def _late(life: Life, first: Seen, _: Seen) -> None:
    """Nobody of the grid accepts it in time: it climbs, and the community deals with it."""
    life.report(first)
    life.wait(40)
    life.accept()
    life.wait(60)
    life.complete()
    life.wait(10)
    _pass(life)


def _slow(life: Life, first: Seen, _: Seen) -> None:
    """Accepted, and left lying for a day and a half."""
    life.report(first)
    life.wait(8)
    life.accept()
    life.wait(36 * 60)
    life.complete()
    life.wait(10)
    _pass(life)


def _reworked(life: Life, first: Seen, _: Seen) -> None:
    life.report(first)
    life.wait(6)
    life.accept()
    life.wait(50)
    life.complete()
    life.wait(10)
    life.ask(c.FailInspection(case_id=life.case.id, actor=life.staff(Role.INSPECTOR), reason="未处理到位 · not done"))
    life.wait(40)
    life.complete()
    life.wait(15)
    _pass(life)


def _reopened(life: Life, first: Seen, other: Seen) -> None:
    _usual(life, first, other)
    life.wait(24 * 60)
    life.ask(c.ReopenCase(case_id=life.case.id, actor=life.staff(Role.SUPERVISOR), reason="抽查 · spot check"))
    life.wait(7)
    life.accept()
    life.wait(60)
    life.complete()
    life.wait(10)
    _pass(life)


def _unfounded(life: Life, first: Seen, _: Seen) -> None:
    life.report(first)
    life.wait(10)
    dispatcher = life.staff(Role.DISPATCHER)
    life.ask(c.CloseCase(case_id=life.case.id, actor=dispatcher, outcome="unfounded", reason="不属实 · unfounded"))


def _shelved(life: Life, first: Seen, _: Seen) -> None:
    """Put off, and open until the log ends."""
    life.report(first)
    life.wait(8)
    life.accept()
    life.wait(30)
    dispatcher, supervisor = life.staff(Role.DISPATCHER), life.staff(Role.SUPERVISOR)
    life.ask(c.RequestShelving(case_id=life.case.id, actor=dispatcher, reason="待施工 · waits for works"))
    life.wait(10)
    life.ask(c.ApproveShelving(case_id=life.case.id, actor=supervisor))


def _pass(life: Life) -> None:
    life.ask(c.PassInspection(case_id=life.case.id, actor=life.staff(Role.INSPECTOR)))


SCRIPTS: tuple[tuple[Script, int], ...] = (
    (_usual, 44),
    (_rated, 14),
    (_shared, 10),
    (_late, 12),
    (_slow, 6),
    (_reworked, 6),
    (_reopened, 3),
    (_unfounded, 3),
    (_shelved, 2),
)
"""What happens to cases, and how often of a hundred."""


def play(directory: Directory, script: Script, first: Seen, other: Seen) -> tuple[Step, ...]:
    """The records of one life, in order of time."""
    life = Life(directory)
    script(life, first, other)
    life.end()
    return tuple(life.steps)
