"""Finding a thing, and whether the one who asks may see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from domain.message import Actor, Role
from domain.policy import STAFF
from infra.http.edge import CATCH_UP_SECONDS, Edge
from infra.http.problems import refused
from projections.cases import CaseView, case_file
from projections.reports import ReportView, report, reporters_of

T = TypeVar("T")


async def found(edge: Edge, query: Callable[[Connection, str], T | None], identifier: str) -> T | None:
    """A row; where it is missing, the read models first catch up with the log, and one looks again."""
    row = await edge.reads.read(query, identifier)
    if row is None and await edge.node.caught_up(CATCH_UP_SECONDS):
        row = await edge.reads.read(query, identifier)
    return row


async def report_row(edge: Edge, identifier: str) -> ReportView:
    """A report by its UUID or full id; a 404 problem where there is none."""
    row = await found(edge, report, identifier.lower())
    if row is None:
        raise refused("NoSuchReport", identifier)
    return row


async def case_row(edge: Edge, identifier: str) -> CaseView:
    """A case; a 404 problem where there is none."""
    row = await found(edge, case_file, identifier.lower())
    if row is None:
        raise refused("NoSuchCase", identifier)
    return row


def stands_over(actor: Actor, *units: str | None) -> bool:
    """Whether the actor is staff of one of ``units``; an administrator's reach is the city."""
    if Role.ADMINISTRATOR in actor.roles:
        return True
    return not set(STAFF).isdisjoint(actor.roles) and not set(actor.units).isdisjoint(filter(None, units))


def works_on(actor: Actor, row: CaseView) -> bool:
    """Whether the case stands in the actor's units, or in the actor's hands."""
    return stands_over(actor, row.owner, row.route_unit, *row.ancestors) or actor.person == row.holder


async def may_see_report(edge: Edge, actor: Actor, row: ReportView) -> bool:
    """Its reporter may, and staff where its case stands; while it has none, where it waits."""
    if actor.person == row.reporter or stands_over(actor, row.route_unit, *row.route_ancestors):
        return True
    found = await edge.reads.read(case_file, row.case_id) if row.case_id else None
    return found is not None and works_on(actor, found)


async def may_see_case(edge: Edge, actor: Actor, row: CaseView) -> bool:
    """True for staff who see all of a case, False for its reporters, who see the public part; else a 403 problem."""
    if works_on(actor, row):
        return True
    if actor.person in await edge.reads.read(reporters_of, row.case_id):
        return False
    raise refused("OutsideYourUnit", row.case_id)
