"""积分账户 — a rider's account: points come from filed cases, and every balance is the sum of its ledger.

An entry is never edited: what has to go back goes back by a compensating entry (docs/reference/rules.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from domain.decision import NOTHING, Decision, Fact, Refusal
from domain.directory import Directory
from domain.message import Command, Envelope, Event, Role, Value

RewardKind = Literal["filing", "resolution", "co_report"]
ClawBackReason = Literal["false_report", "unfounded", "withdrawn", "detached"]
CutReason = Literal["", "daily_cap", "same_matter"]


# -- commands --------------------------------------------------------------------------------------------------------


class RiderCommand(Command):
    """A request to one rider's account."""

    abstract: ClassVar[bool] = True
    noun: ClassVar[str] = "rider"
    rider: str
    case_id: str


class AwardPoints(RiderCommand):
    """发放积分 — for a report of a filed case."""

    report: str
    kind: RewardKind
    points: int = Field(ge=0)


class ClawBackPoints(RiderCommand):
    """扣回积分 — what one report of a case has paid, or where ``report`` is None all that the case has paid."""

    report: str | None = None
    reason: ClawBackReason


class SettleRewards(RiderCommand):
    """结清 — the case is archived: nothing can follow, and the account forgets it."""


# -- events ----------------------------------------------------------------------------------------------------------


class Reversal(Value):
    """What a claw-back takes from one report's entries."""

    report: str
    points: int


class PointsAwarded(Event):
    """发放积分 — an entry of ``points``; ``reason`` says why they are fewer than the ``asked``."""

    case_id: str
    report: str
    kind: RewardKind
    asked: int
    points: int
    reason: CutReason = ""
    day: date
    """The local day of the award, which the daily cap counts by."""


class PointsClawedBack(Event):
    """扣回积分 — a compensating entry of ``-points``."""

    case_id: str
    points: int
    reason: ClawBackReason
    day: date
    """The local day of the claw-back."""
    reversals: tuple[Reversal, ...]


class RewardsSettled(Event):
    """结清 — the account no longer remembers what the case paid."""

    case_id: str


# -- state -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paid:
    """What one report has brought in one case: the kinds it was paid for, and the points that are left of them."""

    kinds: frozenset[RewardKind] = frozenset()
    net: int = 0
    withdrawn: bool = False
    """Its reporter took it back: it earns no more, and is no longer *the same matter* for another report."""


@dataclass(slots=True)
class CaseRewards:
    """What one case has brought, until it is settled."""

    reports: dict[str, Paid] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    """Ids of the commands that produced entries here."""


@dataclass(slots=True)
class Account:
    """The state of one rider, changed only by `evolve`. Bounded: a case leaves it when it is settled, a day with the next."""

    rider: str
    balance: int = 0
    day: date | None = None
    """The last local day on which something was awarded, and how much."""
    awarded_today: int = 0
    cases: dict[str, CaseRewards] = field(default_factory=dict)


def evolve(account: Account, event: Envelope) -> None:
    """Fold one event of this rider."""
    match event.data:
        case PointsAwarded() as entry:
            _credit(account, entry, event.causationid)
        case PointsClawedBack() as entry:
            _debit(account, entry, event.causationid)
        case RewardsSettled(case_id=case_id):
            account.cases.pop(case_id, None)
        case _:
            raise TypeError(f"{event.type} is no event of a rider")


def _credit(account: Account, entry: PointsAwarded, command: str) -> None:
    if entry.day != account.day:
        account.day, account.awarded_today = entry.day, 0
    account.awarded_today += entry.points
    account.balance += entry.points
    rewards = account.cases.setdefault(entry.case_id, CaseRewards())
    rewards.answered.add(command)
    paid = rewards.reports.get(entry.report, Paid())
    rewards.reports[entry.report] = replace(paid, kinds=paid.kinds | {entry.kind}, net=paid.net + entry.points)


def _debit(account: Account, entry: PointsClawedBack, command: str) -> None:
    """A detached report leaves no trace: should it ever come back to this case, it is paid as any other."""
    account.balance -= entry.points
    rewards = account.cases.setdefault(entry.case_id, CaseRewards())
    rewards.answered.add(command)
    for reversal in entry.reversals:
        paid = rewards.reports.pop(reversal.report, Paid())
        if entry.reason != "detached":
            left = replace(paid, net=paid.net - reversal.points, withdrawn=entry.reason == "withdrawn")
            rewards.reports[reversal.report] = left


# -- decide ----------------------------------------------------------------------------------------------------------


def decide(account: Account, command: Envelope, at: datetime, directory: Directory) -> Decision:
    """Decide one command of the rewarder at the instant ``at`` (its received-at)."""
    ask = command.data
    if not isinstance(ask, RiderCommand) or Role.SYSTEM not in ask.actor.roles:
        return Refusal("RoleNotAllowed", type(ask).__name__)
    rewards = account.cases.get(ask.case_id, CaseRewards())
    if command.id in rewards.answered:
        return NOTHING
    day = at.astimezone(ZoneInfo(directory.calendar.zone)).date()
    entry: Event | None
    match ask:
        case AwardPoints():
            awarded = account.awarded_today if day == account.day else 0
            entry = _award(rewards, ask, day, room=max(0, directory.edition.daily_cap_points - awarded))
        case ClawBackPoints():
            entry = _claw_back(rewards, ask, day)
        case SettleRewards(case_id=case_id):
            entry = RewardsSettled(case_id=case_id) if case_id in account.cases else None
        case _:
            raise TypeError(f"{command.type} is no command of a rider")
    return NOTHING if entry is None else (Fact(account.rider, entry),)


def _award(rewards: CaseRewards, ask: AwardPoints, day: date, *, room: int) -> PointsAwarded | None:
    """A report is paid once for each kind; what is not paid in full is an entry all the same, with the reason."""
    paid = rewards.reports.get(ask.report, Paid())
    if ask.kind in paid.kinds or paid.withdrawn:
        return None
    points, reason = _payable(rewards, ask, room)
    return PointsAwarded(
        case_id=ask.case_id, report=ask.report, kind=ask.kind, asked=ask.points, points=points, reason=reason, day=day
    )


def _payable(rewards: CaseRewards, ask: AwardPoints, room: int) -> tuple[int, CutReason]:
    """One person reporting the same matter again counts once; what exceeds the daily cap is not paid.

    ``room`` is what the cap still allows on the local day: it counts what was awarded, so a claw-back makes no room.
    """
    if ask.kind == "co_report" and any(not paid.withdrawn for paid in rewards.reports.values()):
        return 0, "same_matter"
    return (room, "daily_cap") if ask.points > room else (ask.points, "")


def _claw_back(rewards: CaseRewards, ask: ClawBackPoints, day: date) -> PointsClawedBack | None:
    """Take back what is left of the case's points, or of one report's in it; the balance may fall below zero."""
    reversals = tuple(
        Reversal(report=report, points=paid.net)
        for report, paid in rewards.reports.items()
        if ask.report in (None, report) and paid.net
    )
    if not reversals:
        return None
    total = sum(reversal.points for reversal in reversals)
    return PointsClawedBack(case_id=ask.case_id, points=total, reason=ask.reason, day=day, reversals=reversals)
