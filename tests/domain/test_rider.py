"""The rider's account: what is paid, what is not, and what goes back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.calendar import WorkingCalendar
from domain.catalogue import Edition
from domain.decision import NOTHING, Fact, Refusal
from domain.directory import UNPUBLISHED
from domain.message import Actor, Envelope, Event, Role, derived_id
from domain.rider import (
    Account,
    AwardPoints,
    ClawBackPoints,
    ClawBackReason,
    CutReason,
    PointsAwarded,
    PointsClawedBack,
    Reversal,
    RewardKind,
    RewardsSettled,
    RiderCommand,
    SettleRewards,
    decide,
    evolve,
)

RIDER, CASE, ELSEWHERE = "rider-7", "ws10k8-412", "ws10k9-3"
FIRST, SECOND = "ws10k8-01", "ws10k8-02"
CAP = 60
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
"""12:00 in Shenzhen."""
SHENZHEN = timezone(timedelta(hours=8))
TODAY = date(2026, 3, 2)
DIRECTORY = replace(
    UNPUBLISHED,
    edition=Edition(version="t.1", daily_cap_points=CAP, families=(), rewards=(), categories=()),
    calendar=WorkingCalendar(version="t.1", last_year=2026),
)


def asked(data: RiderCommand, identity: str = "command", at: datetime = NOON) -> Envelope:
    """A command as the account receives it."""
    return Envelope(
        id=identity, source="/beeline/rewarder", subject=RIDER, time=at, data=data, correlationid="correlation"
    )


def happened(data: Event, command: Envelope, at: datetime) -> Envelope:
    """An event as the account folds it."""
    return Envelope(
        id=derived_id(command.id, 0),
        source="/beeline/rider",
        subject=RIDER,
        time=at,
        data=data,
        correlationid=command.correlationid,
        causationid=command.id,
    )


def award(kind: RewardKind, points: int, report: str = FIRST, case: str = CASE) -> AwardPoints:
    """The rewarder's request to pay."""
    return AwardPoints(rider=RIDER, case_id=case, report=report, kind=kind, points=points)


def claw_back(reason: ClawBackReason, report: str | None = None) -> ClawBackPoints:
    """The rewarder's request to take back."""
    return ClawBackPoints(rider=RIDER, case_id=CASE, report=report, reason=reason)


SETTLE = SettleRewards(rider=RIDER, case_id=CASE)


def awarded(
    kind: RewardKind,
    points: int,
    report: str = FIRST,
    *,
    case: str = CASE,
    asked: int | None = None,
    reason: CutReason = "",
    day: date = TODAY,
) -> PointsAwarded:
    """An entry; what was asked is what was paid unless it says otherwise."""
    wanted = points if asked is None else asked
    return PointsAwarded(case_id=case, report=report, kind=kind, asked=wanted, points=points, reason=reason, day=day)


def clawed_back(reason: ClawBackReason, reversals: dict[str, int], day: date = TODAY) -> PointsClawedBack:
    """A compensating entry."""
    taken = tuple(Reversal(report=report, points=points) for report, points in reversals.items())
    total = sum(reversals.values())
    return PointsClawedBack(case_id=CASE, points=total, reason=reason, day=day, reversals=taken)


@dataclass
class Spec:
    """given(events).when(command).then(events)."""

    account: Account = field(default_factory=lambda: Account(RIDER))
    decision: tuple[Fact, ...] | Refusal = NOTHING
    folded: int = 0

    def given(self, *events: Event) -> Self:
        for event in events:
            self.folded += 1
            evolve(self.account, happened(event, asked(SETTLE, f"earlier-{self.folded}"), NOON))
        return self

    def when(self, command: RiderCommand, *, identity: str = "command", at: datetime = NOON) -> Self:
        self.decision = decide(self.account, asked(command, identity, at), at, DIRECTORY)
        return self

    def then(self, *events: Event) -> None:
        assert self.decision == tuple(Fact(RIDER, event) for event in events)

    def refused(self, reason: str) -> None:
        assert isinstance(self.decision, Refusal)
        assert self.decision.reason == reason

    def nothing_happens(self) -> None:
        assert self.decision == NOTHING


def given_events(*events: Event) -> Spec:
    return Spec().given(*events)


# -- awards ----------------------------------------------------------------------------------------------------------


def test_a_filed_report_is_paid() -> None:
    given_events().when(award("filing", 2)).then(awarded("filing", 2))


def test_filing_and_resolution_of_one_report_are_both_paid() -> None:
    given_events(awarded("filing", 2)).when(award("resolution", 20)).then(awarded("resolution", 20))


def test_a_report_is_paid_once_for_a_kind_even_under_another_command_and_amount() -> None:
    given_events(awarded("filing", 2)).when(award("filing", 5), identity="other").nothing_happens()


def test_one_person_reporting_the_same_matter_again_gets_an_entry_of_zero() -> None:
    entry = awarded("co_report", 0, SECOND, asked=1, reason="same_matter")
    given_events(awarded("filing", 2)).when(award("co_report", 1, SECOND)).then(entry)


def test_another_matter_is_no_same_matter() -> None:
    spec = given_events(awarded("filing", 2, case=ELSEWHERE))
    spec.when(award("co_report", 1, SECOND)).then(awarded("co_report", 1, SECOND))


def test_a_matter_reported_again_after_a_withdrawal_is_paid() -> None:
    spec = given_events(awarded("filing", 2), clawed_back("withdrawn", {FIRST: 2}))
    spec.when(award("co_report", 1, SECOND)).then(awarded("co_report", 1, SECOND))


def test_a_negative_award_cannot_be_asked_for() -> None:
    with pytest.raises(ValidationError):
        award("filing", -1)


# -- the daily cap ---------------------------------------------------------------------------------------------------


def test_what_exceeds_the_daily_cap_is_cut_with_its_reason() -> None:
    entry = awarded("resolution", 5, asked=20, reason="daily_cap")
    given_events(awarded("filing", 55, case=ELSEWHERE)).when(award("resolution", 20)).then(entry)


def test_beyond_the_daily_cap_the_entry_is_zero_and_the_report_counts_as_paid() -> None:
    entry = awarded("filing", 0, asked=2, reason="daily_cap")
    spec = given_events(awarded("resolution", CAP, case=ELSEWHERE))
    spec.when(award("filing", 2)).then(entry)
    spec.given(entry).when(award("filing", 2), at=NOON + timedelta(days=1)).nothing_happens()


def test_an_award_that_just_fills_the_cap_is_paid_in_full() -> None:
    spec = given_events(awarded("filing", 40, case=ELSEWHERE))
    spec.when(award("resolution", 20)).then(awarded("resolution", 20))


def test_a_cap_that_an_edition_lowers_during_the_day_takes_nothing_away() -> None:
    spec = given_events(awarded("resolution", CAP + 10, case=ELSEWHERE))
    spec.when(award("filing", 2)).then(awarded("filing", 0, asked=2, reason="daily_cap"))


@pytest.mark.parametrize(
    ("at", "paid", "day"),
    [
        (datetime(2026, 3, 2, 15, 59, 59, tzinfo=UTC), 0, TODAY),  # 23:59:59 in Shenzhen
        (datetime(2026, 3, 2, 16, 0, tzinfo=UTC), 2, date(2026, 3, 3)),  # midnight in Shenzhen
    ],
)
def test_the_day_of_the_cap_begins_at_local_midnight(at: datetime, paid: int, day: date) -> None:
    reason: CutReason = "" if paid else "daily_cap"
    spec = given_events(awarded("resolution", CAP, case=ELSEWHERE))
    spec.when(award("filing", 2), at=at).then(awarded("filing", paid, asked=2, reason=reason, day=day))


def test_a_claw_back_makes_no_room_under_the_cap() -> None:
    spec = given_events(awarded("resolution", CAP), clawed_back("unfounded", {FIRST: CAP}))
    entry = awarded("filing", 0, SECOND, case=ELSEWHERE, asked=2, reason="daily_cap")
    spec.when(award("filing", 2, SECOND, ELSEWHERE)).then(entry)


# -- claw-backs ------------------------------------------------------------------------------------------------------


def test_a_false_report_gives_back_all_that_the_case_has_paid() -> None:
    spec = given_events(awarded("filing", 2), awarded("resolution", 20), awarded("resolution", 8, SECOND))
    spec.when(claw_back("false_report")).then(clawed_back("false_report", {FIRST: 22, SECOND: 8}))


def test_a_withdrawn_report_gives_back_its_own_points_only() -> None:
    spec = given_events(awarded("filing", 2), awarded("resolution", 8, SECOND))
    spec.when(claw_back("withdrawn", FIRST)).then(clawed_back("withdrawn", {FIRST: 2}))


def test_other_cases_are_left_alone() -> None:
    given_events(awarded("filing", 2, case=ELSEWHERE)).when(claw_back("unfounded")).nothing_happens()


def test_what_has_gone_back_does_not_go_back_again() -> None:
    spec = given_events(awarded("filing", 2), clawed_back("unfounded", {FIRST: 2}))
    spec.when(claw_back("false_report"), identity="other").nothing_happens()


def test_a_zero_entry_has_nothing_to_give_back() -> None:
    spec = given_events(awarded("co_report", 0, asked=1, reason="daily_cap"))
    spec.when(claw_back("unfounded")).nothing_happens()


def test_a_claw_back_may_take_the_balance_below_zero() -> None:
    spec = given_events(awarded("filing", 2))
    spec.account.balance -= 2  # spent in the meantime
    spec.given(clawed_back("unfounded", {FIRST: 2}))
    assert spec.account.balance == -2


def test_the_day_of_a_claw_back_is_local() -> None:
    late = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)
    spec = given_events(awarded("filing", 2)).when(claw_back("unfounded"), at=late)
    spec.then(clawed_back("unfounded", {FIRST: 2}, date(2026, 3, 3)))


@pytest.mark.parametrize("reason", ["false_report", "unfounded", "withdrawn"])
def test_a_kind_that_has_gone_back_is_not_paid_again(reason: ClawBackReason) -> None:
    spec = given_events(awarded("filing", 2), clawed_back(reason, {FIRST: 2}))
    spec.when(award("filing", 2), identity="other").nothing_happens()


def test_a_withdrawn_report_earns_nothing_more() -> None:
    spec = given_events(awarded("filing", 2), clawed_back("withdrawn", {FIRST: 2}))
    spec.when(award("resolution", 20)).nothing_happens()


def test_a_case_that_was_unfounded_and_is_reopened_still_pays_its_resolution() -> None:
    spec = given_events(awarded("filing", 2), clawed_back("unfounded", {FIRST: 2}))
    spec.when(award("resolution", 20)).then(awarded("resolution", 20))


def test_a_detached_report_that_comes_back_is_paid_as_any_other() -> None:
    spec = given_events(awarded("co_report", 1), clawed_back("detached", {FIRST: 1}))
    spec.when(award("co_report", 1), identity="other").then(awarded("co_report", 1))


def test_a_late_copy_of_an_award_changes_nothing_after_the_report_was_detached() -> None:
    spec = given_events(awarded("co_report", 1), clawed_back("detached", {FIRST: 1}))
    spec.when(award("co_report", 1), identity="earlier-1").nothing_happens()


# -- settling, roles -------------------------------------------------------------------------------------------------


def test_a_settled_case_is_forgotten_and_its_points_stay() -> None:
    spec = given_events(awarded("filing", 2)).when(SETTLE)
    spec.then(RewardsSettled(case_id=CASE))
    spec.given(RewardsSettled(case_id=CASE))
    assert (spec.account.cases, spec.account.balance) == ({}, 2)


def test_settling_a_case_that_the_account_does_not_know_is_nothing() -> None:
    given_events(awarded("filing", 2, case=ELSEWHERE)).when(SETTLE).nothing_happens()


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SYSTEM])
def test_nobody_but_the_system_moves_points(role: Role) -> None:
    ask = award("filing", 2).model_copy(update={"actor": Actor(person=RIDER, roles=(role,))})
    given_events().when(ask).refused("RoleNotAllowed")


# -- whatever comes --------------------------------------------------------------------------------------------------

cases = st.sampled_from([CASE, ELSEWHERE])
reports = st.sampled_from([FIRST, SECOND])
payments = st.builds(
    AwardPoints,
    rider=st.just(RIDER),
    case_id=cases,
    report=reports,
    kind=st.sampled_from(["filing", "resolution", "co_report"]),
    points=st.integers(0, CAP + 10),
) | st.builds(
    ClawBackPoints,
    rider=st.just(RIDER),
    case_id=cases,
    report=st.none() | reports,
    reason=st.sampled_from(["false_report", "unfounded", "withdrawn", "detached"]),
)
settlements = st.builds(SettleRewards, rider=st.just(RIDER), case_id=cases)
pauses = st.timedeltas(timedelta(), timedelta(hours=14))
History = list[tuple[RiderCommand, timedelta]]
unsettled: st.SearchStrategy[History] = st.lists(st.tuples(payments, pauses), max_size=25)
histories: st.SearchStrategy[History] = st.lists(st.tuples(payments | settlements, pauses), max_size=25)


def play(history: History) -> tuple[Account, list[Envelope], list[Envelope]]:
    """The account after ``history``, the commands that did something, and their events.

    On the way every command is asked for twice, and the second time is empty.
    """
    account, done, events, at = Account(RIDER), list[Envelope](), list[Envelope](), NOON
    for number, (data, pause) in enumerate(history):
        at += pause
        command = asked(data, f"command-{number}", at)
        decision = decide(account, command, at, DIRECTORY)
        assert isinstance(decision, tuple)
        for fact in decision:
            done.append(command)
            events.append(happened(fact.data, command, at))
            evolve(account, events[-1])
        assert decide(account, command, at, DIRECTORY) == NOTHING
    return account, done, events


@given(histories)
def test_the_balance_is_the_sum_of_the_ledger(history: History) -> None:
    account, _, events = play(history)
    entries = [event.data for event in events]
    paid = sum(entry.points for entry in entries if isinstance(entry, PointsAwarded))
    taken = sum(entry.points for entry in entries if isinstance(entry, PointsClawedBack))
    assert account.balance == paid - taken >= 0


@given(histories)
def test_the_cap_holds_on_every_local_day(history: History) -> None:
    _, _, events = play(history)
    by_day: defaultdict[date, int] = defaultdict(int)
    for event in events:
        if isinstance(entry := event.data, PointsAwarded):
            assert entry.day == event.time.astimezone(SHENZHEN).date()
            assert entry.points == entry.asked or entry.reason
            by_day[entry.day] += entry.points
    assert max(by_day.values(), default=0) <= CAP


@given(unsettled)
def test_a_claw_back_takes_all_that_its_reports_were_paid_and_no_more(history: History) -> None:
    _, _, events = play(history)
    left: defaultdict[tuple[str, str], int] = defaultdict(int)
    for event in events:
        match event.data:
            case PointsAwarded() as entry:
                left[entry.case_id, entry.report] += entry.points
            case PointsClawedBack() as entry:
                assert entry.points == sum(reversal.points for reversal in entry.reversals) > 0
                for reversal in entry.reversals:
                    assert left.pop((entry.case_id, reversal.report)) == reversal.points


@given(unsettled, st.timedeltas(timedelta(), timedelta(days=30)))
def test_a_command_that_did_something_does_nothing_when_it_comes_again_later(
    history: History, later: timedelta
) -> None:
    account, done, _ = play(history)
    for command in done:
        assert decide(account, command, NOON + timedelta(days=30) + later, DIRECTORY) == NOTHING


@given(histories)
def test_an_account_survives_its_snapshot(history: History) -> None:
    account, _, _ = play(history)
    adapter = TypeAdapter(Account)
    assert adapter.validate_json(adapter.dump_json(account)) == account
