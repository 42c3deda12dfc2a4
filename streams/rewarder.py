"""奖励 — the rewarder: what happened to a case becomes requests to its reporters' accounts. No state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from domain.case import events as e
from domain.directory import Directory
from domain.message import Envelope
from domain.rider import AwardPoints, ClawBackPoints, RewardKind, RiderCommand, SettleRewards
from streams.reactor import Ask, follow
from streams.record import Topic

CO_REPORT_POINTS = 1
"""What a later reporter of the same matter gets (DOMAIN: points)."""

ANONYMOUS = "anonymous"
"""Person ids that begin so belong to nobody who could have an account."""


class Rewarder:
    """Case events in, account commands out."""

    name = "rewarder"
    source = Topic.CASE_EVENTS

    def react(self, event: Envelope, received_at: datetime, _: Directory) -> Iterable[Ask]:
        """What the event earns, or takes back."""
        for index, command in enumerate(commands_for(event)):
            if command.rider.startswith(ANONYMOUS):
                continue
            name = f"{index}:{type(command).__name__}:{command.rider}"
            envelope = follow(
                event, command, subject=command.rider, source="/beeline/rewarder", time=received_at, name=name
            )
            yield Ask(Topic.RIDER_COMMANDS, command.rider, envelope)


def commands_for(event: Envelope) -> Iterator[RiderCommand]:
    """The account commands that follow from one case event."""
    case_id, data = event.subject, event.data
    match data:
        case e.CaseFiled():
            yield _award(case_id, data.report, "filing", data.terms.reward.filing)
        case e.ReportAttached(rewarded=True):
            yield _award(case_id, data.report, "co_report", CO_REPORT_POINTS)
        case e.CaseClosed(outcome="unfounded") | e.CaseVoided(false_report=True):
            reason = "unfounded" if isinstance(data, e.CaseClosed) else "false_report"
            for rider in data.reporters:
                yield ClawBackPoints.model_validate({"rider": rider, "case_id": case_id, "reason": reason})
        case e.CaseClosed() if data.first is not None and data.reward_points:
            yield _award(case_id, data.first, "resolution", data.reward_points)
        case e.ReportWithdrawn() if data.report != case_id:
            yield ClawBackPoints(rider=data.reporter, case_id=case_id, report=data.report, reason="withdrawn")
        case e.ReportDetached():
            rider, report = data.report.reporter, data.report.report
            yield ClawBackPoints(rider=rider, case_id=case_id, report=report, reason="detached")
        case e.CaseArchived():
            for rider in data.reporters:
                yield SettleRewards(rider=rider, case_id=case_id)
        case _:
            return


def _award(case_id: str, report: e.ReportOnCase, kind: RewardKind, points: int) -> AwardPoints:
    return AwardPoints(rider=report.reporter, case_id=case_id, report=report.report, kind=kind, points=points)
