"""审计 — the invariants of the product, proven from the log: the same list for the simulation, the tests and production.

From the log alone:

1. Every accepted report is in exactly one case, or held, declined or withdrawn.
2. Every open case is owned by one unit; every missed deadline is recorded once, and escalates or is noticed once.
4. Every entry has its cause in a case, once and in its amount; the first reporter earns the main reward; what is forfeited is
   taken back. A balance is the sum of these entries, and what is outstanding the sum of the balances.
5. Nobody handles or inspects their own report, or inspects what they handled.
7. Every stream's hash chain is unbroken.

That read models equal a fold of the log (3) is `differing`'s to say; that past numbers do not change (6) is
`infra.statements.changed`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.case import events as e
from domain.case.state import Case, Cell, evolve
from domain.ids import cell_of, uuid_of
from domain.message import CommandRefused, Envelope, UndecodableMessage, decode_bytes
from domain.report import ReportSubmitted
from domain.rider import PointsAwarded, PointsClawedBack
from streams.commit import CorruptCommit, events_of
from streams.filter import FAULTS, CommitFilter, Verdict
from streams.processor import StreamHead
from streams.record import Record, Topic
from streams.rewarder import ANONYMOUS, CO_REPORT_POINTS

Cause = tuple[str, str, str, str]
"""What pays: (kind, case, report, rider)."""

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
    _causes: dict[Cause, int] = field(default_factory=dict)
    """What may pay, and how much."""
    _owed: set[Cause] = field(default_factory=set)
    """What must have paid."""
    _paid: set[Cause] = field(default_factory=set)
    _forfeits: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """By case: what must be taken back, as (rider, report), of all reports where that is empty."""
    _balances: Counter[str] = field(default_factory=Counter)
    _net: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """What (rider, case, report) has brought."""

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
                self._entry(event, _where(record))

    def result(self, now: datetime | None = None) -> AuditResult:
        """What is wrong now that everything has been seen; with ``now``, also what should have been missed by then."""
        for uuid, report in self._expected.items():
            if uuid not in self._fates:
                self._find(1, f"report {report} was accepted, and nothing became of it")
        self._settle_points()
        for (topic, partition), commits in sorted(self._filters.items()):
            if commits.suspended:
                self._find(3, f"{topic}[{partition}]: command {commits.expected} has no valid answer after a hole")
        for case in (case for cell in self._cells.values() for case in cell.open_cases()):
            if not (case.owner.unit and case.deadlines):
                self._find(2, f"open case {case.id} has no owner or no clock")
            for late in (each for each in case.deadlines if now is not None and each.due <= now):
                self._find(2, f"case {case.id}: deadline {late.number} ({late.stage}) is over and was never recorded")
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
            self._find(1, f"{_where(record)}: report {record.headers.get('id')} cannot be read: {error}")
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
            self._find(
                7, f"{_where(record)}, stream {event.subject}: event {event.sequence} does not follow {head.sequence}"
            )
        self._heads[event.subject] = StreamHead(event.sequence, event.hash)

    # -- cases ---------------------------------------------------------------

    def _case_commit(self, record: Record, happened: Sequence[Envelope], expected: bool) -> None:
        where, cell = _where(record), self._cells.setdefault(record.key, Cell(record.key))
        missed = [event for event in happened if isinstance(event.data, e.DeadlineMissed)]
        lifted = [event for event in happened if isinstance(event.data, e.CaseEscalated)]
        noticed = [event for event in happened if isinstance(event.data, e.NoticeIssued)]
        if len(lifted) + len(noticed) != max(len(missed), len(noticed)):
            self._find(2, f"{where}: a missed deadline without its one escalation, or the other way round")
        for event in happened:
            if cell_of(event.subject) != record.key:
                self._find(2, f"{where}: {event.subject} stands under the key {record.key}")
            case = cell.cases.get(event.subject)
            self._fate(event, where)
            if case is not None:
                self._deadline(case, event, where)
                self._conduct(case, event, where)
            self._earn(case, event, expected, where)
            evolve(cell, event)

    def _fate(self, event: Envelope, where: str) -> None:
        data = event.data
        match data:
            case e.CaseFiled() | e.ReportAttached():
                self._settle(uuid_of(data.report.report), event.subject, where)
            case e.ReportHeld():
                self._settle(uuid_of(data.report.report), "held", where)
            case e.ReportDeclined():
                self._fates[uuid_of(data.report)] = "declined"
            case e.ReportWithdrawn():
                self._fates[uuid_of(data.report)] = "withdrawn"
            case e.ReportDetached():
                self._fates.pop(uuid_of(data.report.report), None)

    def _settle(self, uuid: str, fate: str, where: str) -> None:
        known = self._fates.get(uuid)
        if not (known in (None, "withdrawn") or (known == "held" and fate != "held")):
            self._find(1, f"{where}: report {uuid} is in {known} and in {fate}")
        if uuid not in self._accepted:
            self._find(1, f"{where}: report {uuid} is in {fate}, but was never accepted")
        self._fates[uuid] = fate

    def _deadline(self, case: Case, event: Envelope, where: str) -> None:
        data = event.data
        if isinstance(data, e.DeadlineMissed):
            if (case.id, data.number) in self._missed:
                self._find(2, f"{where}: case {case.id}: deadline {data.number} was missed twice")
            elif not any(each.number == data.number and each.due <= event.time for each in case.deadlines):
                self._find(2, f"{where}: case {case.id}: deadline {data.number} was not over, or not there")
            self._missed.add((case.id, data.number))
        if isinstance(data, e.CaseEscalated) and data.to_unit != case.route.above(case.owner.unit):
            self._find(2, f"{where}: case {case.id} climbed from {case.owner.unit} to {data.to_unit.unit}")

    def _conduct(self, case: Case, event: Envelope, where: str) -> None:
        data = event.data
        if not isinstance(data, e.HandlingCompleted | e.InspectionPassed | e.InspectionFailed):
            return
        if data.by in case.reporters:
            self._find(5, f"{where}: case {case.id}: {data.by} reported it, and {data.wire_type} is theirs")
        if not isinstance(data, e.HandlingCompleted) and data.by in case.handlers:
            self._find(5, f"{where}: case {case.id}: {data.by} handled it and inspected it")

    # -- points --------------------------------------------------------------

    def _earn(self, case: Case | None, event: Envelope, expected: bool, where: str) -> None:
        data, subject = event.data, event.subject
        match data:
            case e.CaseFiled():
                self._may_pay("filing", subject, data.report, data.terms.reward.filing, must=expected)
            case e.ReportAttached(rewarded=True):
                self._may_pay("co_report", subject, data.report, CO_REPORT_POINTS, must=expected)
            case e.CaseClosed(outcome="unfounded") | e.CaseVoided(false_report=True):
                self._forfeit(subject, [(reporter, "") for reporter in data.reporters], expected)
            case e.CaseClosed() if data.first is not None and data.reward_points:
                if case is None or data.first != case.reports[0]:
                    self._find(4, f"{where}: case {subject}: {data.first.report} is not its first report")
                self._may_pay("resolution", subject, data.first, data.reward_points, must=expected)
            case e.CaseReopened():
                self._forfeits[subject] = {each for each in self._forfeits.get(subject, ()) if each[1]}
            case e.ReportWithdrawn():
                self._forfeit(subject, [(data.reporter, data.report)], expected)

    def _may_pay(self, kind: str, case: str, report: e.ReportOnCase, points: int, *, must: bool) -> None:
        cause = (kind, case, report.report, report.reporter)
        self._causes[cause] = points
        if must and not (report.anonymous or report.reporter.startswith(ANONYMOUS)):
            self._owed.add(cause)

    def _forfeit(self, case: str, what: list[tuple[str, str]], expected: bool) -> None:
        if expected:
            self._forfeits.setdefault(case, set()).update(what)

    def _entry(self, event: Envelope, where: str) -> None:
        rider, data = event.subject, event.data
        match data:
            case PointsAwarded():
                self._award(rider, data, where)
            case PointsClawedBack():
                self._balances[rider] -= data.points
                if data.points != sum(reversal.points for reversal in data.reversals):
                    self._find(4, f"{where}: rider {rider}: {data.points} is not the sum of what it reverses")
                for reversal in data.reversals:
                    self._net[rider, data.case_id, reversal.report] -= reversal.points
                    if self._net[rider, data.case_id, reversal.report] < 0:
                        self._find(4, f"{where}: rider {rider}: {reversal.report} had not brought {reversal.points}")

    def _award(self, rider: str, data: PointsAwarded, where: str) -> None:
        cause = (data.kind, data.case_id, data.report, rider)
        what = f"{data.points} points of {data.kind} for {data.report} in case {data.case_id}"
        if not 0 <= data.points <= data.asked == self._causes.get(cause, -1):
            self._find(4, f"{where}: rider {rider}: {what} have no cause, or another amount")
        if cause in self._paid and self._net[rider, data.case_id, data.report]:
            self._find(4, f"{where}: rider {rider}: {what} were paid before")
        self._paid.add(cause)
        self._balances[rider] += data.points
        self._net[rider, data.case_id, data.report] += data.points

    def _settle_points(self) -> None:
        for kind, case, report, rider in sorted(self._owed - self._paid):
            if (rider, report) not in self._forfeits.get(case, ()):
                self._find(4, f"nothing was booked for {kind} of case {case}, report {report} to {rider}")
        for (rider, case, report), points in sorted(self._net.items()):
            if points and not self._forfeits.get(case, set()).isdisjoint({(rider, ""), (rider, report)}):
                self._find(4, f"rider {rider} keeps {points} points for {report} of case {case}, which are forfeited")


def differing(stored: Mapping[str, str], rebuilt: Mapping[str, str]) -> list[str]:
    """不变量 3 — the read models whose digest is not that of a fold of the log from its first record."""
    return sorted(name for name in stored.keys() | rebuilt.keys() if stored.get(name) != rebuilt.get(name))


def _where(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"
