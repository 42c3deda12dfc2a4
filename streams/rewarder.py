"""奖励 — the rewarder: what happened to a case becomes requests to its reporters' accounts. No state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from domain.case import events as e
from domain.directory import Directory
from domain.message import Envelope
from domain.rider import AwardPoints, ClawBackPoints, ClawBackReason, RewardKind, RiderCommand, SettleRewards
from streams.reactor import Ask, follow
from streams.record import Topic

CO_REPORT_POINTS = 1
"""What a later reporter of the same matter gets (docs/reference/rules.md)."""

ANONYMOUS = "anonymous"
"""Person ids that begin so belong to nobody who could have an account."""


class Rewarder:
    """Case events in, account commands out."""

    name = "rewarder"
    source = Topic.CASE_EVENTS

    def react(self, event: Envelope, received_at: datetime, _: Directory) -> Iterable[Ask]:
        """What the event earns, or takes back; a rider gets at most one command of a kind from it."""
        for command in _commands(event):
            if command.rider.startswith(ANONYMOUS):
                continue
            name = f"{type(command).__name__}:{command.rider}"
            envelope = follow(
                event, command, subject=command.rider, source="/beeline/rewarder", time=received_at, name=name
            )
            yield Ask(Topic.RIDER_COMMANDS, command.rider, envelope)


def _commands(event: Envelope) -> Iterator[RiderCommand]:
    case_id, data = event.subject, event.data
    match data:
        case e.CaseFiled():
            yield from _award(case_id, data.report, "filing", data.terms.reward.filing)
        case e.ReportAttached(rewarded=True):
            yield from _award(case_id, data.report, "co_report", CO_REPORT_POINTS)
        case e.CaseClosed(outcome="unfounded"):
            yield from _claw_back(case_id, data.reporters, "unfounded")
        case e.CaseClosed(first=e.ReportOnCase() as first) if data.reward_points:
            yield from _award(case_id, first, "resolution", data.reward_points)
        case e.CaseVoided(false_report=True):
            yield from _claw_back(case_id, data.reporters, "false_report")
        case e.ReportWithdrawn() if data.report != case_id:  # on its own stream it never was in a case
            yield from _claw_back(case_id, (data.reporter,), "withdrawn", data.report)
        case e.ReportDetached():
            yield from _claw_back(case_id, (data.report.reporter,), "detached", data.report.report)
        case e.CaseArchived():
            for rider in data.reporters:
                yield SettleRewards(rider=rider, case_id=case_id)
        case _:  # nothing else earns or costs points
            return


def _award(case_id: str, report: e.ReportOnCase, kind: RewardKind, points: int) -> Iterator[RiderCommand]:
    if not report.anonymous:
        yield AwardPoints(rider=report.reporter, case_id=case_id, report=report.report, kind=kind, points=points)


def _claw_back(
    case_id: str, riders: tuple[str, ...], reason: ClawBackReason, report: str | None = None
) -> Iterator[RiderCommand]:
    for rider in riders:
        yield ClawBackPoints(rider=rider, case_id=case_id, report=report, reason=reason)
