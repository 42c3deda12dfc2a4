"""积分账户 — a rider's account: points come from filed cases, and every balance is the sum of its ledger.

An entry is never edited: what has to go back goes back by a compensating entry (DOMAIN: points).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from domain.decision import NOTHING, Decision, Fact, Refusal
from domain.directory import Directory
from domain.message import Command, Envelope, Event, Role, Value

RewardKind = Literal["filing", "resolution", "co_report"]
ClawBackReason = Literal["false_report", "unfounded", "withdrawn", "detached"]


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
    reason: Literal["", "daily_cap", "same_matter"] = ""
    day: date
    """The local day of the award, which the daily cap counts by."""


class PointsClawedBack(Event):
    """扣回积分 — a compensating entry of ``-points``."""

    case_id: str
    points: int
    reason: ClawBackReason
    day: date
    reversals: tuple[Reversal, ...]


class RewardsSettled(Event):
    """结清 — the account no longer remembers what the case paid."""

    case_id: str


# -- state -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paid:
    """What one report has brought in one case."""

    kinds: frozenset[RewardKind] = frozenset()
    net: int = 0
    barred: bool = False
    """Clawed back for cause: no later award revives it."""


@dataclass(slots=True)
class Account:
    """The state of one rider, changed only by `evolve`. Bounded: a case leaves it when it is settled, a day with the next."""

    rider: str
    balance: int = 0
    day: date | None = None
    awarded_today: int = 0
    cases: dict[str, dict[str, Paid]] = field(default_factory=dict)
    """By case and report."""


def evolve(account: Account, event: Envelope) -> None:
    """Fold one event of this rider."""
    match event.data:
        case PointsAwarded() as entry:
            if entry.day != account.day:
                account.day, account.awarded_today = entry.day, 0
            account.awarded_today += entry.points
            account.balance += entry.points
            reports = account.cases.setdefault(entry.case_id, {})
            paid = reports.get(entry.report, Paid())
            reports[entry.report] = Paid(paid.kinds | {entry.kind}, paid.net + entry.points, paid.barred)
        case PointsClawedBack() as entry:
            account.balance -= entry.points
            reports = account.cases.setdefault(entry.case_id, {})
            for reversal in entry.reversals:
                paid = reports.get(reversal.report, Paid())
                reports[reversal.report] = Paid(paid.kinds, paid.net - reversal.points, True)
        case RewardsSettled(case_id=case_id):
            account.cases.pop(case_id, None)
        case _:
            raise TypeError(f"{event.type} is no event of a rider")


# -- decide ----------------------------------------------------------------------------------------------------------


def decide(account: Account, command: Envelope, at: datetime, directory: Directory) -> Decision:
    """Decide one command of the rewarder at the instant ``at``."""
    ask = command.data
    if not isinstance(ask, RiderCommand) or Role.SYSTEM not in ask.actor.roles:
        return Refusal("RoleNotAllowed", type(ask).__name__)
    match ask:
        case AwardPoints():
            return _award(account, ask, at, directory)
        case ClawBackPoints():
            return _claw_back(account, ask, at, directory)
        case SettleRewards(case_id=case_id):
            known = case_id in account.cases
            return (Fact(account.rider, RewardsSettled(case_id=case_id)),) if known else NOTHING
        case _:
            raise TypeError(f"{command.type} is no command of a rider")


def _award(account: Account, ask: AwardPoints, at: datetime, directory: Directory) -> Decision:
    """A report is paid once for each kind; the same matter counts once; what exceeds the daily cap is not paid.

    The cap counts what was awarded on the local day; a claw-back makes no room under it.
    """
    reports = account.cases.get(ask.case_id, {})
    paid = reports.get(ask.report, Paid())
    if ask.kind in paid.kinds or paid.barred:
        return NOTHING
    day = _local_day(at, directory)
    awarded = account.awarded_today if day == account.day else 0
    points, reason = ask.points, ""
    if ask.kind == "co_report" and any(other.kinds and not other.barred for other in reports.values()):
        points, reason = 0, "same_matter"
    elif points > (room := max(0, directory.edition.daily_cap_points - awarded)):
        points, reason = room, "daily_cap"
    entry = PointsAwarded.model_validate(
        {
            "case_id": ask.case_id,
            "report": ask.report,
            "kind": ask.kind,
            "asked": ask.points,
            "points": points,
            "reason": reason,
            "day": day,
        }
    )
    return (Fact(account.rider, entry),)


def _local_day(at: datetime, directory: Directory) -> date:
    return at.astimezone(ZoneInfo(directory.calendar.zone)).date()


def _claw_back(account: Account, ask: ClawBackPoints, at: datetime, directory: Directory) -> Decision:
    """Take back what is still there of the case, or of one report in it; the balance may fall below zero."""
    reports = account.cases.get(ask.case_id, {})
    reversals = tuple(
        Reversal(report=report, points=paid.net)
        for report, paid in reports.items()
        if ask.report in (None, report) and not paid.barred and paid.kinds
    )
    if not reversals:
        return NOTHING
    total = sum(reversal.points for reversal in reversals)
    entry = PointsClawedBack(
        case_id=ask.case_id,
        points=total,
        reason=ask.reason,
        day=_local_day(at, directory),
        reversals=reversals,
    )
    return (Fact(account.rider, entry),)
