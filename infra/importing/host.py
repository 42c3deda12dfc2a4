"""The same processors and reactors in one thread, over a log that is filled in bulk: for histories that are replayed.

Between two things that happen outside, everything runs until it is idle; so does the stepped clock of a demo, but here nobody
waits for anybody and the disk hears of thousands of records at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from domain.case.clocks import next_instant
from domain.case.events import Stage
from domain.case.state import Case, Cell
from domain.directory import KEY, Directory, Documents
from domain.ids import cell_of
from domain.message import Envelope
from infra.embedded.bulk import BulkLog
from infra.embedded.log import Position
from infra.embedded.reactors import memo_of
from infra.embedded.snapshots import Snapshots
from streams.case import CaseProcessor, proposals
from streams.directory import DirectoryProcessor
from streams.filter import CommitFilter
from streams.processor import Processor
from streams.protocol import PartitionOwner
from streams.reactor import Ask
from streams.record import NewRecord, Record, Topic, partition_of
from streams.rewarder import Rewarder
from streams.rider import RiderProcessor
from streams.router import Router
from streams.timer import Timer

FLUSH_RECORDS = 20_000
"""Records of one transaction; an interruption loses no more than these."""
READ_BATCH = 1000
NOTICES = frozenset({Stage.NOTICE})


class WithoutNotices(CaseProcessor):
    """The case processor, whose timer does not propose the daily notices at the top of the ladder.

    It remembers when each case has something due: of the thousands of cases that a history leaves in a cell, most have nothing.
    """

    def __init__(self) -> None:
        self._agendas: dict[str, dict[str, datetime]] = {}
        """Of each cell the cases that have something to come, and when."""

    def evolve(self, state: Cell, event: Envelope) -> None:
        """Fold one event, and note when its case is due next."""
        super().evolve(state, event)
        _note(self._agenda(state), event.subject, state.cases.get(event.subject))

    def next_instant(self, state: Cell) -> datetime | None:
        """The earliest open deadline, but for notices, or end of a window in the cell."""
        return min(self._agenda(state).values(), default=None)

    def due(self, state: Cell, now: datetime) -> list[Envelope]:
        """What is due, but for notices."""
        due = sorted(case for case, instant in self._agenda(state).items() if instant <= now)
        return [command for case in due for command in proposals(state.cases[case], now, but=NOTICES)]

    def _agenda(self, state: Cell) -> dict[str, datetime]:
        agenda = self._agendas.get(state.cell)
        if agenda is None:
            agenda = self._agendas[state.cell] = {}
            for case in state.cases.values():
                _note(agenda, case.id, case)
        return agenda


def _note(agenda: dict[str, datetime], case_id: str, case: Case | None) -> None:
    instant = next_instant([case], but=NOTICES) if case else None
    if instant is None:
        agenda.pop(case_id, None)
    else:
        agenda[case_id] = instant


class UnfinishedLog(RuntimeError):
    """A server was stopped in the midst of its work."""


_UNFINISHED = "日志中有未处理完的命令 · the log holds work that is not done: run `beeline audit` first, then import"


class ReplayHost:
    """Owns every partition of a log; what is appended has been answered, and reacted to, once `settle` returns."""

    def __init__(
        self, log: BulkLog, snapshots: Snapshots, *, notices: bool, watch: Callable[[Envelope], None] = lambda _: None
    ) -> None:
        self.log, self._snapshots, self._watch = log, snapshots, watch
        self.directory: Directory = Documents().view()
        self._router, self._rewarder = Router(), Rewarder()
        self._queue: deque[Record] = deque()
        cases = CaseProcessor() if notices else WithoutNotices()
        self._check_reactors()
        processors: tuple[Processor[Any], ...] = (DirectoryProcessor(), cases, RiderProcessor())
        self._timers: dict[tuple[Topic, int], Timer] = {}
        self._owners: dict[tuple[Topic, int], PartitionOwner[Any]] = {}
        for processor in processors:
            for number in range(log.partitions_of(processor.commands)):
                self._open(processor, number)
        self._see_directory()

    def _open(self, processor: Processor[Any], partition: int) -> None:
        """Steps 1 and 2 of the protocol of a partition. Raises `CommandLogMismatch`, `CorruptCommit`."""
        log, where = self.log, (processor.commands, partition)
        state = self._snapshots.load(processor, partition)
        owner = PartitionOwner(processor, partition, log.partitions_of(processor.commands), str(uuid4()), state)
        while records := log.reader.read(processor.events, partition, owner.state.next_record, READ_BATCH):
            for record in records:
                owner.fold(record)
        owner.fold(log.append(owner.opening()))
        before = log.reader.read(*where, owner.state.filter.expected - 1, 1) if owner.state.filter.expected else []
        place = owner.resume(log.end(*where), before[0] if before else None)
        self._owners[where], self._timers[where] = owner, Timer()
        for key in owner.state.keys:
            self._timers[where].touch(key, owner.next_instant(key))
        if place < log.end(*where):
            raise UnfinishedLog(_UNFINISHED)

    def _check_reactors(self) -> None:
        reader = self.log.reader
        for reactor in (self._router, self._rewarder):
            for number in range(self.log.partitions_of(reactor.source)):
                if reader.position(reactor.name, reactor.source, number)[0] < reader.end(reactor.source, number):
                    raise UnfinishedLog(_UNFINISHED)

    def cells(self) -> Iterable[Cell]:
        """The state of every cell."""
        for owner in self._owners.values():
            if owner.processor.commands is Topic.CASE_COMMANDS:
                yield from (keyed.state for keyed in owner.state.keys.values())

    def find_case(self, case_id: str) -> Case | None:
        """A case that is not archived."""
        cell = cell_of(case_id)
        owner = self._owners[Topic.CASE_COMMANDS, partition_of(cell, self.log.partitions)]
        keyed = owner.state.keys.get(cell)
        return keyed.state.cases.get(case_id) if keyed else None

    # -- what happens ------------------------------------------------------------

    def report(self, new: NewRecord) -> None:
        """A report comes in from outside, now."""
        self._queue.append(self.log.append(new))

    def ask(self, asks: Iterable[Ask]) -> None:
        """Somebody asks for something, now."""
        for each in asks:
            self._queue.append(self.log.append(each.record(self.log.partitions_of(each.topic))))

    def settle(self) -> None:
        """Answer and react until nothing is left to do."""
        while self._queue:
            record = self._queue.popleft()
            if record.topic is Topic.REPORT_EVENTS:
                self.ask(self._router.react(record.message, record.time, self.directory))
            else:
                self._answer(record)

    def _answer(self, record: Record) -> None:
        owner = self._owners[record.topic, record.partition]
        commitment = owner.answer(record, self.directory)
        committed = self.log.append(commitment.commit)
        owner.state.next_record = committed.offset + 1
        self._timers[record.topic, record.partition].touch(record.key, owner.next_instant(record.key))
        for event in commitment.events:
            self._watch(event)
            if record.topic is Topic.CASE_COMMANDS:
                self.ask(self._rewarder.react(event, committed.time, self.directory))
        if record.topic is Topic.DIRECTORY_COMMANDS and commitment.events:
            self._see_directory()

    def _see_directory(self) -> None:
        documents = self._owners[Topic.DIRECTORY_COMMANDS, 0].state.keys.get(KEY)
        if documents is not None and isinstance(documents.state, Documents):
            self.directory = documents.state.view()

    # -- the clock ----------------------------------------------------------------

    def step_to(self, instant: datetime) -> None:
        """Move the clock to ``instant``, stopping at every due instant on the way until all is idle again."""
        self.settle()
        while (due := self._next_due()) is not None and due <= instant:
            self.log.step_to(due)
            self._fire()
            self.settle()
            self.flush_if_full()
        self.log.step_to(instant)

    def _next_due(self) -> datetime | None:
        return min(filter(None, (timer.next_instant() for timer in self._timers.values())), default=None)

    def _fire(self) -> None:
        now = self.log.now
        for where, timer in self._timers.items():
            owner = self._owners[where]
            self.ask([Ask(where[0], key, command) for key in timer.due(now) for command in owner.due(key, now)])

    # -- the disk ----------------------------------------------------------------

    def flush_if_full(self) -> None:
        """Write where much waits; only when nothing is left to do, for an interruption goes on from here."""
        if self.log.waiting >= FLUSH_RECORDS:
            self.flush()

    def flush(self) -> None:
        """Write everything that has happened."""
        self.log.flush(self._positions())

    def save(self) -> None:
        """Leave snapshots behind, after the last flush."""
        for owner in self._owners.values():
            self._snapshots.save(owner, set(owner.state.keys))

    def _positions(self) -> list[Position]:
        """Where the reactors stand: at the end, because everything has been reacted to."""
        positions = []
        for number in range(self.log.partitions):
            reports, cases = self._router.source, self._rewarder.source
            memo = memo_of(CommitFilter())
            positions.append(Position(self._router.name, reports, number, self.log.end(reports, number), memo))
            memo = memo_of(self._owners[Topic.CASE_COMMANDS, number].state.filter)
            positions.append(Position(self._rewarder.name, cases, number, self.log.end(cases, number), memo))
        return positions
