"""全部日志的小结 — what happened, in counts: what the demo prints at its end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, case, func, select

from domain.message import Value
from projections.facts import escalation_table, fact_table, miss_table
from projections.points import ledger_table
from projections.reports import report_table


class Summary(Value):
    """What happened, in counts. ``escalated``: cases that reached a level; ``missed``: deadlines by stage."""

    reports: int
    filed: int
    attached: int
    held: int
    declined: int
    withdrawn: int
    unmapped: int
    closed: int
    closed_on_time: int
    missed: dict[str, int]
    escalated: dict[str, int]
    points_issued: int


def summary(connection: Connection) -> Summary:
    """The whole log in counts: what the demo prints at its end."""

    def count(query: Any) -> int:
        return int(connection.execute(query).scalar_one() or 0)

    fates = {
        str(status): int(number)
        for status, number in connection.execute(
            select(report_table.c.status, func.count()).group_by(report_table.c.status)
        )
    }
    facts, reached = fact_table.c, escalation_table.c
    stages = select(miss_table.c.stage, func.count()).group_by(miss_table.c.stage).order_by(miss_table.c.stage)
    awarded = select(func.sum(case((ledger_table.c.points > 0, ledger_table.c.points), else_=0)))
    return Summary(
        reports=count(select(func.count(report_table.c.content))),
        filed=count(select(func.count()).select_from(fact_table)),
        attached=count(select(func.sum(facts.attached))),
        held=fates.get("held", 0),
        declined=fates.get("declined", 0),
        withdrawn=fates.get("withdrawn", 0),
        unmapped=count(select(func.count()).where(facts.unmapped.is_(True))),
        closed=count(select(func.count()).where(facts.closed_at.is_not(None))),
        closed_on_time=count(select(func.count()).where(facts.closed_at.is_not(None), facts.on_time.is_(True))),
        missed={str(stage): int(number) for stage, number in connection.execute(stages)},
        escalated={
            level: count(select(func.count(func.distinct(reached.case_id))).where(reached.level == level))
            for level in ("community", "street", "district", "city")
        },
        points_issued=count(awarded),
    )
