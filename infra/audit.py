"""审计 — the invariants of the product, proven from the log: the same list for the simulation, the tests and production.

1. Every accepted report is in exactly one case, or held, declined or withdrawn.
2. Every open case is owned by one unit; every missed deadline is recorded once, and escalates or is noticed once.
4. Every balance is the sum of its ledger, and every entry has its cause in a case.
5. Nobody handles or inspects their own report, or inspects what they handled.
7. Every stream's hash chain is unbroken.

(3, read models equal a fold of the log, and 6, past indicators do not change, are not the log's alone to prove.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.case import events as e
from domain.case.state import OPEN, Case, Cell, evolve
from domain.ids import cell_of, uuid_of
from domain.message import CommandRefused, Envelope, UndecodableMessage, decode_bytes
from domain.report import ReportSubmitted
from domain.rider import PointsAwarded, PointsClawedBack
from streams.commit import CorruptCommit, events_of
from streams.filter import FAULTS, CommitFilter, Verdict
from streams.processor import StreamHead
from streams.record import Record, Topic
from streams.rewarder import ANONYMOUS

MAX_FINDINGS = 200
"""Findings kept; the rest are counted."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that is wrong: which invariant, and what with which ids."""

    invariant: int
    text: str

    def __str__(self) -> str:
        return f"[{self.invariant}] {self.text}"


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What an audit found, and what it looked at."""

    findings: tuple[AuditFinding, ...]
    total_findings: int
    reports: int
    cases: int
    outstanding_points: int
    events: dict[str, int]
    void_records: dict[str, int]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.total_findings == 0


@dataclass
class Audit:
    """Feed it the log (reports, then cases, then riders; each partition in order), then ask for the result."""

    findings: list[AuditFinding] = field(default_factory=list)
    total_findings: int = 0
    events: Counter[str] = field(default_factory=Counter)
    void_records: Counter[str] = field(default_factory=Counter)
    _filters: dict[tuple[Topic, int], CommitFilter] = field(default_factory=dict)
    _heads: dict[str, StreamHead] = field(default_factory=dict)
    _cells: dict[str, Cell] = field(default_factory=dict)
    _expected: dict[str, str] = field(default_factory=dict)
    """Accepted reports that must have a fate, by UUID."""
    _accepted: set[str] = field(default_factory=set)
    _fates: dict[str, str] = field(default_factory=dict)
    """What became of a report, by UUID: a case id, or held, declined, withdrawn."""
    _missed: set[tuple[str, int]] = field(default_factory=set)
    _causes: set[tuple[str, str, str, str]] = field(default_factory=set)
    """What may pay: (kind, case, report, rider)."""
    _owed: set[tuple[str, str, str, str]] = field(default_factory=set)
    """What must have paid."""
    _paid: set[tuple[str, str, str, str]] = field(default_factory=set)
    _balances: Counter[str] = field(default_factory=Counter)
    _net: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """What a report has brought its rider in a case."""

    def see(self, record: Record, *, expected: bool = True) -> None:
        """Take in the next record; ``expected``: everything that follows from it must be there too."""
        if record.topic is Topic.REPORT_EVENTS:
            self._report(record, expected)
            return
        commits = self._filters.setdefault((record.topic, record.partition), CommitFilter())
        try:
            verdict, head = commits.admit(record)
            if verdict in FAULTS:
                self.void_records[verdict.value] += 1
            if verdict is not Verdict.APPLIED or head is None:
                return
            happened = [event for event in events_of(record) if not isinstance(event.data, CommandRefused)]
        except CorruptCommit as error:
            self._find(7, str(error))
            return
        for event in happened:
            self.events[event.type] += 1
            self._chain(record, event)
        if record.topic is Topic.CASE_EVENTS:
            self._case_commit(record, happened, expected)
        elif record.topic is Topic.RIDER_EVENTS:
            for event in happened:
                self._entry(event)

    def result(self) -> AuditResult:
        """What is wrong now that everything has been seen."""
        for uuid, report in self._expected.items():
            if uuid not in self._fates:
                self._find(1, f"report {report} was accepted, and nothing became of it")
        for missing in sorted(self._owed - self._paid):
            self._find(
                4, f"nothing was booked for {missing[0]} of case {missing[1]}, report {missing[2]} to {missing[3]}"
            )
        for (topic, partition), commits in sorted(self._filters.items()):
            if commits.suspended:
                self._find(3, f"{topic}[{partition}]: command {commits.expected} has no valid answer after a hole")
        cases = [case for cell in self._cells.values() for case in cell.cases.values()]
        for case in cases:
            if case.status in OPEN and not (case.owner.unit and case.deadlines):
                self._find(2, f"open case {case.id} has no owner or no clock")
        return AuditResult(
            findings=tuple(self.findings),
            total_findings=self.total_findings,
            reports=len(self._accepted),
            cases=self.events[e.CaseFiled.wire_type],
            outstanding_points=sum(self._balances.values()),
            events=dict(sorted(self.events.items())),
            void_records=dict(sorted(self.void_records.items())),
        )

    def _find(self, invariant: int, text: str) -> None:
        self.total_findings += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(AuditFinding(invariant, text))

    def _report(self, record: Record, expected: bool) -> None:
        try:
            data = decode_bytes(record.value).data
        except UndecodableMessage as error:
            where = f"{record.topic}[{record.partition}]@{record.offset}"
            self._find(1, f"{where}: report {record.headers.get('id')} cannot be read: {error}")
            return
        self.events[data.wire_type] += 1
        if isinstance(data, ReportSubmitted):
            uuid = uuid_of(data.report)
            self._accepted.add(uuid)
            if expected:
                self._expected[uuid] = data.report

    def _chain(self, record: Record, event: Envelope) -> None:
        head = self._heads.get(event.subject, StreamHead())
        if (event.sequence, event.previoushash) != (head.sequence + 1, head.hash):
            where = f"{record.topic}[{record.partition}]@{record.offset}"
            self._find(7, f"{where}, stream {event.subject}: event {event.sequence} does not follow {head.sequence}")
        self._heads[event.subject] = StreamHead(event.sequence, event.hash)

    # -- cases ---------------------------------------------------------------

    def _case_commit(self, record: Record, happened: Sequence[Envelope], expected: bool) -> None:
        missed = [event for event in happened if isinstance(event.data, e.DeadlineMissed)]
        answers = [event for event in happened if isinstance(event.data, e.CaseEscalated | e.NoticeIssued)]
        if missed and (len(missed), len(answers)) != (1, 1):
            self._find(
                2, f"{record.topic}[{record.partition}]@{record.offset}: a missed deadline without its one escalation"
            )
        cell = self._cells.setdefault(record.key, Cell(record.key))
        for event in happened:
            if cell_of(event.subject) != record.key:
                self._find(2, f"{event.subject} stands under the key {record.key}")
            case = cell.cases.get(event.subject)
            self._fate(event)
            self._conduct(case, event)
            self._earn(event, expected)
            evolve(cell, event)

    def _fate(self, event: Envelope) -> None:
        data = event.data
        match data:
            case e.CaseFiled() | e.ReportAttached():
                self._settle(uuid_of(data.report.report), event.subject)
            case e.ReportHeld():
                self._settle(uuid_of(data.report.report), "held")
            case e.ReportDeclined():
                self._fates[uuid_of(data.report)] = "declined"
            case e.ReportWithdrawn():
                self._fates[uuid_of(data.report)] = "withdrawn"
            case e.ReportDetached():
                self._fates.pop(uuid_of(data.report.report), None)
            case e.DeadlineMissed():
                if (event.subject, data.number) in self._missed:
                    self._find(2, f"case {event.subject}: deadline {data.number} was missed twice")
                self._missed.add((event.subject, data.number))

    def _settle(self, uuid: str, fate: str) -> None:
        known = self._fates.get(uuid)
        if known not in (None, "held", "withdrawn"):
            self._find(1, f"report {uuid} is in {known} and in {fate}")
        if uuid not in self._accepted:
            self._find(1, f"report {uuid} is in {fate}, but was never accepted")
        self._fates[uuid] = fate

    def _conduct(self, case: Case | None, event: Envelope) -> None:
        data = event.data
        if case is None or not isinstance(data, e.HandlingCompleted | e.InspectionPassed | e.InspectionFailed):
            return
        if data.by in case.reporters:
            self._find(5, f"case {case.id}: {data.by} reported it, and {data.wire_type} is theirs")
        if not isinstance(data, e.HandlingCompleted) and data.by in case.handlers:
            self._find(5, f"case {case.id}: {data.by} handled it and inspected it")

    # -- points --------------------------------------------------------------

    def _earn(self, event: Envelope, expected: bool) -> None:
        data, case = event.data, event.subject
        match data:
            case e.CaseFiled():
                self._may_pay("filing", case, data.report, must=expected)
            case e.ReportAttached(rewarded=True):
                self._may_pay("co_report", case, data.report, must=False)
            case e.CaseClosed() if data.first is not None and data.reward_points:
                self._may_pay("resolution", case, data.first, must=False)

    def _may_pay(self, kind: str, case: str, report: e.ReportOnCase, *, must: bool) -> None:
        cause = (kind, case, report.report, report.reporter)
        self._causes.add(cause)
        if must and not (report.anonymous or report.reporter.startswith(ANONYMOUS)):
            self._owed.add(cause)

    def _entry(self, event: Envelope) -> None:
        rider, data = event.subject, event.data
        match data:
            case PointsAwarded():
                cause = (data.kind, data.case_id, data.report, rider)
                if cause not in self._causes:
                    self._find(4, f"rider {rider}: {data.points} points of {data.kind} for {data.report} have no cause")
                self._paid.add(cause)
                self._balances[rider] += data.points
                self._net[rider, data.case_id, data.report] += data.points
            case PointsClawedBack():
                if data.points != sum(reversal.points for reversal in data.reversals):
                    self._find(4, f"rider {rider}: a claw-back of {data.points} is not the sum of what it reverses")
                self._balances[rider] -= data.points
                for reversal in data.reversals:
                    self._net[rider, data.case_id, reversal.report] -= reversal.points
                    if self._net[rider, data.case_id, reversal.report] < 0:
                        self._find(4, f"rider {rider}: more was taken for {reversal.report} than it had brought")
