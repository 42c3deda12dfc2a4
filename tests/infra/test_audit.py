"""The audit: what it finds, by number, and that it says where. Histories are forged: sealed as ours, and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

import pytest

from domain.case import events as e
from domain.case.events import Stage
from domain.decision import Fact
from domain.message import Envelope, Event
from domain.report import ReportSubmitted
from domain.rider import PointsAwarded, PointsClawedBack, Reversal, RewardKind
from infra.audit import Audit, AuditResult, differing
from streams.commit import CommitHead, Kind, Outcome, commit_record
from streams.processor import StreamHead
from streams.record import NewRecord, Record, Topic
from tests.domain.smallville import CASE, CELL, COMMUNITY, DISTRICT, GRID_A, INSPECTOR, RIDER, SECOND_CASE, WORKER
from tests.domain.specification import (
    ACCEPT,
    DONE,
    FIRST,
    HANDLE_DUE,
    IN_HAND,
    IN_QUEUE,
    SECOND,
    accepted,
    attached,
    closed,
    completed,
    deadline,
    escalated,
    filed,
    held,
    minute,
    missed,
)

LADDER = deadline(Stage.ACCEPT, 3, minute(400))
AWARDED = ("filing", 2), ("resolution", 8)
NOTICE = e.NoticeIssued(unit=GRID_A, number=2, deadlines=())


class Forger:
    """Writes commits that are whole and sealed, whatever they say."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._heads: dict[str, StreamHead] = {}
        self._ends: dict[Topic, int] = {}
        for topic in (Topic.CASE_EVENTS, Topic.RIDER_EVENTS):
            self._append(NewRecord(topic, 0, "owner", b"[]", {"kind": Kind.OWNER_OPENED, "owner": "owner"}))

    def report(self, of: e.ReportOnCase) -> Forger:
        """The edge has accepted it."""
        data = ReportSubmitted(
            report=of.report, reporter=of.reporter, category="hazard", edition="t", occurred_at=of.received_at
        )
        envelope = Envelope(of.report, "/test", of.report, of.received_at, data, of.report)
        self._append(NewRecord(Topic.REPORT_EVENTS, 0, CELL, envelope.encode(), {"id": of.report}))
        return self

    def case(self, *data: Event, subject: str = CASE, at: datetime | None = None) -> Forger:
        """One commit about a case."""
        return self._commit(Topic.CASE_EVENTS, CELL, [Fact(subject, each) for each in data], at or minute(0))

    def rider(self, *data: Event, rider: str = RIDER.person) -> Forger:
        """One commit about an account."""
        return self._commit(Topic.RIDER_EVENTS, rider, [Fact(rider, each) for each in data], minute(0))

    def audited(self, now: datetime | None = None) -> AuditResult:
        """What the audit says, topic by topic."""
        audit = Audit()
        for topic in (Topic.REPORT_EVENTS, Topic.CASE_EVENTS, Topic.RIDER_EVENTS):
            for record in self.records:
                if record.topic is topic:
                    audit.see(record)
        return audit.result(now)

    def _commit(self, topic: Topic, key: str, facts: Sequence[Fact], at: datetime) -> Forger:
        number, encoded = self._ends[topic] - 1, []
        for fact in facts:
            last = self._heads.get(fact.subject, StreamHead())
            event = Envelope(f"{topic}{number}", "/test", fact.subject, at, fact.data, "c", sequence=last.sequence + 1)
            raw = replace(event, previoushash=last.hash).encode()
            self._heads[fact.subject] = StreamHead(event.sequence, raw[-66:-2].decode())
            encoded.append(raw)
        head = CommitHead("owner", number, f"command-{number}", "c", Outcome.APPLIED, at, "t")
        self._append(commit_record(topic, 0, key, head, encoded))
        return self

    def _append(self, new: NewRecord) -> None:
        offset = self._ends.get(new.topic, 0)
        self._ends[new.topic] = offset + 1
        self.records.append(Record(new.topic, 0, offset, minute(0), new.key, new.value, new.headers))


def award(kind: RewardKind = "filing", points: int = 2, *, report: str = FIRST.report, asked: int = 2) -> PointsAwarded:
    """An entry of an account."""
    day = date(2026, 3, 2)
    return PointsAwarded(case_id=CASE, report=report, kind=kind, asked=asked, points=points, day=day)


def claw_back(points: int, *, reversed_points: int | None = None) -> PointsClawedBack:
    """A compensating entry."""
    reversals = (Reversal(report=FIRST.report, points=points if reversed_points is None else reversed_points),)
    return PointsClawedBack(
        case_id=CASE, points=points, reason="false_report", day=date(2026, 3, 2), reversals=reversals
    )


def voided(*, false_report: bool) -> e.CaseVoided:
    """注销."""
    return e.CaseVoided(
        reason="r", false_report=false_report, by="d", reporters=(RIDER.person,), window_ends=HANDLE_DUE
    )


def whole() -> Forger:
    """A case from its report to its points, with nothing wrong."""
    forger = Forger().report(FIRST).case(*IN_QUEUE).case(accepted()).case(completed())
    forger.case(e.InspectionPassed(by=INSPECTOR.person), closed())
    return forger.rider(award()).rider(award("resolution", 8, asked=8))


def paid() -> Forger:
    """A filed case with its first points."""
    return Forger().report(FIRST).case(*IN_QUEUE).rider(award())


def numbers(result: AuditResult) -> list[int]:
    """The invariants that do not hold."""
    return [finding.invariant for finding in result.findings]


def test_a_whole_history_is_ok_and_counted() -> None:
    result = whole().audited(minute(10_000))
    assert result.ok, result.findings
    assert (result.reports, result.cases, result.outstanding_points) == (1, 1, 10)
    assert result.events["beeline.case.closed.v1"] == 1
    assert result.void_records == {}


@pytest.mark.parametrize(
    "forger",
    [
        pytest.param(Forger().report(FIRST), id="nothing became of a report"),
        pytest.param(Forger().case(*IN_QUEUE).rider(award()), id="a report that nobody sent"),
        pytest.param(paid().case(filed(), subject=SECOND_CASE).rider(award()), id="a report in two cases"),
        pytest.param(
            Forger().report(FIRST).case(held(), subject=FIRST.report).case(held(), subject=FIRST.report),
            id="held twice",
        ),
    ],
)
def test_invariant_1_a_report_has_one_fate(forger: Forger) -> None:
    assert 1 in numbers(forger.audited())


@pytest.mark.parametrize(
    "commit",
    [
        pytest.param([missed(ACCEPT)], id="missed without an escalation"),
        pytest.param([missed(ACCEPT), escalated(COMMUNITY, Stage.ACCEPT), NOTICE], id="escalated and noticed"),
        pytest.param([escalated(COMMUNITY, Stage.ACCEPT, LADDER)], id="escalated without a miss"),
        pytest.param([missed(ACCEPT), escalated(DISTRICT, Stage.ACCEPT, LADDER)], id="climbed past a unit"),
        pytest.param([missed(LADDER), escalated(COMMUNITY, Stage.ACCEPT, LADDER)], id="missed what was not there"),
    ],
)
def test_invariant_2_a_missed_deadline_escalates_once(commit: Sequence[Event]) -> None:
    result = paid().case(*commit, at=minute(20)).audited()
    assert set(numbers(result)) == {2}
    assert "beeline.case.events.v1[0]@2" in result.findings[0].text


def test_invariant_2_a_deadline_is_not_missed_before_it_is_due() -> None:
    forger = paid().case(missed(ACCEPT), escalated(COMMUNITY, Stage.ACCEPT, LADDER), at=minute(14))
    assert numbers(forger.audited()) == [2]


def test_invariant_2_a_deadline_is_missed_once() -> None:
    forger = paid().case(missed(ACCEPT), escalated(COMMUNITY, Stage.ACCEPT, ACCEPT), at=minute(20))
    assert forger.audited().ok
    again = forger.case(missed(ACCEPT), escalated("440305001000", Stage.ACCEPT, LADDER), at=minute(30))
    assert [finding.text for finding in again.audited().findings] == [
        f"beeline.case.events.v1[0]@3: case {CASE}: deadline 2 was missed twice"
    ]


def test_invariant_2_a_deadline_that_is_over_has_been_recorded() -> None:
    assert paid().audited(minute(14)).ok
    findings = paid().audited(minute(16)).findings
    assert [str(finding) for finding in findings] == [
        f"[2] case {CASE}: deadline 2 (accept) is over and was never recorded"
    ]


def test_invariant_2_an_open_case_has_a_clock() -> None:
    forger = Forger().report(FIRST).case(filed(deadlines=())).rider(award())
    assert numbers(forger.audited()) == [2]


def test_invariant_3_a_hole_that_nobody_healed_is_found() -> None:
    forger = whole()
    del forger.records[4]
    result = forger.audited()
    assert 3 in numbers(result)
    assert result.void_records["void: a commit before it is missing"] == 1


@pytest.mark.parametrize(
    "forger",
    [
        pytest.param(paid().rider(award("resolution", 8, asked=8)), id="no cause"),
        pytest.param(paid().rider(award()), id="paid twice"),
        pytest.param(Forger().report(FIRST).case(*IN_QUEUE).rider(award(points=3, asked=3)), id="another amount"),
        pytest.param(Forger().report(FIRST).case(*IN_QUEUE), id="never paid"),
        pytest.param(Forger().report(FIRST).case(*IN_QUEUE).rider(award(), rider="r-2"), id="paid to another"),
        pytest.param(paid().case(voided(false_report=True)), id="a false report keeps its points"),
        pytest.param(paid().case(voided(false_report=True)).rider(claw_back(5)), id="more taken than there was"),
        pytest.param(
            paid().case(voided(false_report=True)).rider(claw_back(5, reversed_points=2)), id="not the sum of its parts"
        ),
        pytest.param(
            Forger().report(FIRST).report(SECOND).case(*DONE, attached()).case(closed(first=SECOND)).rider(award()),
            id="the main reward to a later reporter",
        ),
    ],
)
def test_invariant_4_points_have_their_cause_once(forger: Forger) -> None:
    assert 4 in numbers(forger.audited())


def test_invariant_4_forfeited_points_that_were_taken_back_are_ok() -> None:
    result = paid().case(voided(false_report=True)).rider(claw_back(2)).audited()
    assert result.ok, result.findings
    assert result.outstanding_points == 0


@pytest.mark.parametrize(
    "done",
    [
        pytest.param([*IN_HAND, completed(RIDER)], id="handles their own report"),
        pytest.param([*DONE, e.InspectionPassed(by=RIDER.person)], id="inspects their own report"),
        pytest.param([*DONE, e.InspectionPassed(by=WORKER.person)], id="inspects what they handled"),
    ],
)
def test_invariant_5_nobody_judges_their_own(done: Sequence[Event]) -> None:
    assert numbers(Forger().report(FIRST).case(*done).rider(award()).audited()) == [5]


def test_invariant_7_a_changed_byte_is_named_with_its_place_and_stream() -> None:
    forger = whole()
    record = forger.records[3]
    forger.records[3] = replace(record, value=record.value.replace(b'"lon":113.942', b'"lon":113.943', 1))
    finding = forger.audited().findings[0]
    assert finding.invariant == 7
    assert finding.text.startswith(f"beeline.case.events.v1[0]@1, stream {CASE}:")


def test_invariant_7_a_commit_left_out_breaks_the_chain() -> None:
    forger = Forger().report(FIRST).case(*IN_QUEUE).case(accepted()).case(completed()).rider(award())
    with_number_of_the_lost = replace(
        forger.records[5],
        headers={**forger.records[5].headers, "command-offset": forger.records[4].headers["command-offset"]},
    )
    forger.records[4:6] = [with_number_of_the_lost]
    finding = forger.audited().findings[0]
    assert str(finding) == f"[7] beeline.case.events.v1[0]@3, stream {CASE}: event 4 does not follow 2"


def test_read_models_are_compared_by_their_digests() -> None:
    assert differing({"a": "1", "b": "2"}, {"a": "1", "b": "2"}) == []
    assert differing({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]
