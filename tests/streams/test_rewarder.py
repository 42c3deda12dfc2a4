"""The rewarder: what happened to a case, and whose account is asked for what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.case import events as e
from domain.catalogue import USUAL_LADDER, CategoryTerms, Filing, Reward, StageLimits, Visibility
from domain.directory import UNPUBLISHED
from domain.limits import Limit, LimitKind
from domain.message import Envelope, Event
from domain.net import Level
from domain.rider import AwardPoints, ClawBackPoints, RiderCommand, SettleRewards
from domain.routing import Route, Rung
from streams.reactor import Ask
from streams.record import Topic
from streams.rewarder import Rewarder

RECEIVED = datetime(2026, 3, 2, 4, tzinfo=UTC)
CASE, REPORT = "ws10k8-412", "ws10k8-0190"
MINUTES = Limit(kind=LimitKind.MINUTES, amount=15)
TERMS = CategoryTerms(
    edition="t.1",
    code="H-1",
    family="hazard",
    name_zh="路灯不亮",
    name_en="Street lamp out",
    severity=2,
    limits=StageLimits(dispatch=MINUTES, accept=MINUTES, handle=MINUTES, inspect=MINUTES),
    ladder=USUAL_LADDER,
    evidence=(),
    reward=Reward(filing=2, resolution=20),
    duplicate_radius_metres=50,
    duplicate_window_hours=72,
    filing=Filing.AUTOMATIC,
    visibility=Visibility.PUBLIC,
)
ROUTE = Route(unit=Rung(unit="G", level=Level.GRID), ladder=(), ancestors=(), how="inside", net="t")


def report(reporter: str = "ann", *, anonymous: bool = False) -> e.ReportOnCase:
    """A report as its case knows it."""
    return e.ReportOnCase(report=REPORT, reporter=reporter, anonymous=anonymous, received_at=RECEIVED)


def filed(of: e.ReportOnCase) -> e.CaseFiled:
    """A new case."""
    return e.CaseFiled(
        report=of, occurred_at=RECEIVED, place=None, terms=TERMS, route=ROUTE, handling_due=RECEIVED, deadlines=()
    )


def attached(of: e.ReportOnCase, *, rewarded: bool = True) -> e.ReportAttached:
    """Another report of the same matter."""
    return e.ReportAttached(report=of, occurred_at=RECEIVED, place=None, rewarded=rewarded)


def closed(outcome: e.Outcome, points: int, *reporters: str, first: e.ReportOnCase | None = None) -> e.CaseClosed:
    """The end of a case."""
    return e.CaseClosed(
        outcome=outcome,
        by="inspector",
        on_time=True,
        first=first,
        reward_points=points,
        reporters=reporters,
        window_ends=RECEIVED,
    )


def voided(*reporters: str, false_report: bool) -> e.CaseVoided:
    """The end of a case that should never have been."""
    return e.CaseVoided(
        reason="r", false_report=false_report, by="dispatcher", reporters=reporters, window_ends=RECEIVED
    )


def asks(data: Event, subject: str = CASE) -> list[Ask]:
    """What the rewarder makes of one event."""
    event = Envelope(
        id="event-1",
        source="/beeline/case",
        subject=subject,
        time=RECEIVED,
        data=data,
        correlationid="correlation",
        causationid="command",
        traceparent="trace",
    )
    return list(Rewarder().react(event, RECEIVED + timedelta(seconds=1), UNPUBLISHED))


def asked(data: Event, subject: str = CASE) -> list[RiderCommand]:
    """The commands alone."""
    return [ask.command.data for ask in asks(data, subject) if isinstance(ask.command.data, RiderCommand)]


def award(rider: str, kind: str, points: int) -> AwardPoints:
    """The request to pay for the report."""
    return AwardPoints.model_validate(
        {"rider": rider, "case_id": CASE, "report": REPORT, "kind": kind, "points": points}
    )


def test_filing_pays_the_first_reporter_the_small_part() -> None:
    assert asked(filed(report("ann"))) == [award("ann", "filing", 2)]


def test_a_later_reporter_of_the_same_case_gets_one_point() -> None:
    assert asked(attached(report("bob"))) == [award("bob", "co_report", 1)]


def test_a_report_that_joins_the_reporters_own_work_pays_nothing() -> None:
    assert asked(attached(report("bob"), rewarded=False)) == []


@pytest.mark.parametrize("outcome", ["resolved", "mediated"])
def test_closing_pays_the_main_part_to_the_first_reporter_alone(outcome: e.Outcome) -> None:
    assert asked(closed(outcome, 20, "ann", "bob", first=report("ann"))) == [award("ann", "resolution", 20)]


def test_an_outcome_that_earns_nothing_asks_for_nothing() -> None:
    assert asked(closed("referred", 0, "ann", first=report("ann"))) == []


def test_a_case_that_closes_without_reports_pays_nobody() -> None:
    assert asked(closed("resolved", 20)) == []


def test_an_unfounded_case_takes_back_from_every_reporter() -> None:
    assert asked(closed("unfounded", 0, "ann", "bob", first=report("ann"))) == [
        ClawBackPoints(rider="ann", case_id=CASE, reason="unfounded"),
        ClawBackPoints(rider="bob", case_id=CASE, reason="unfounded"),
    ]


def test_a_false_report_takes_back_from_every_reporter() -> None:
    assert asked(voided("ann", "bob", false_report=True)) == [
        ClawBackPoints(rider="ann", case_id=CASE, reason="false_report"),
        ClawBackPoints(rider="bob", case_id=CASE, reason="false_report"),
    ]


def test_a_case_voided_for_another_reason_takes_nothing_back() -> None:
    assert asked(voided("ann", false_report=False)) == []


def test_a_report_withdrawn_from_a_case_gives_its_points_back() -> None:
    withdrawn = e.ReportWithdrawn(report=REPORT, reporter="ann")
    assert asked(withdrawn) == [ClawBackPoints(rider="ann", case_id=CASE, report=REPORT, reason="withdrawn")]


def test_a_report_withdrawn_before_filing_never_earned_anything() -> None:
    assert asked(e.ReportWithdrawn(report=REPORT, reporter="ann"), subject=REPORT) == []


def test_a_detached_report_gives_its_points_back_to_be_paid_in_its_new_case() -> None:
    detached = e.ReportDetached(report=report("ann"), reason="another lamp", by="dispatcher")
    assert asked(detached) == [ClawBackPoints(rider="ann", case_id=CASE, report=REPORT, reason="detached")]


def test_an_archived_case_is_settled_with_every_reporter() -> None:
    assert asked(e.CaseArchived(reporters=("ann", "bob"))) == [
        SettleRewards(rider="ann", case_id=CASE),
        SettleRewards(rider="bob", case_id=CASE),
    ]


@pytest.mark.parametrize("of", [report("anonymous-1"), report("ann", anonymous=True)])
def test_anonymous_reporters_earn_nothing(of: e.ReportOnCase) -> None:
    assert asked(filed(of)) == asked(attached(of)) == asked(closed("resolved", 20, of.reporter, first=of)) == []


def test_nobody_asks_for_the_account_of_somebody_anonymous() -> None:
    assert [ask.key for ask in asks(e.CaseArchived(reporters=("anonymous-1", "bob")))] == ["bob"]


def test_events_of_the_handling_move_no_points() -> None:
    assert asked(e.DispatchAccepted(holder="worker", deadlines=())) == []


def test_a_command_goes_to_the_riders_key_and_names_its_cause() -> None:
    (ask,) = asks(filed(report("ann")))
    command = ask.command
    assert (ask.topic, ask.key, command.subject) == (Topic.RIDER_COMMANDS, "ann", "ann")
    assert (command.causationid, command.correlationid, command.traceparent) == ("event-1", "correlation", "trace")
    assert (command.source, command.time) == ("/beeline/rewarder", RECEIVED + timedelta(seconds=1))


def test_the_same_event_gives_the_same_command_ids_and_every_rider_another() -> None:
    archived = e.CaseArchived(reporters=("ann", "bob", "cao"))
    once, again = ([ask.command.id for ask in asks(archived)] for _ in range(2))
    assert once == again
    assert len(set(once)) == 3
