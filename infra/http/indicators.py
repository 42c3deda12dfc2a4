"""指标 — the numbers, each with what it takes to defend it."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from domain.message import Actor, Role
from domain.policy import QUERIES, reaches
from infra.http.edge import Edge, FreshRead, TheActor, TheEdge, require
from infra.http.problems import Problem, invalid, refused
from infra.indicators import Asked, CannotAnswer, Described, Told, described
from projections.indicators.period import EXAMPLES

router = APIRouter(tags=["indicators"])

NOT_FOUND = {"name": "/path/name", "unit": "/query/unit"}
"""Parts of a question that name a thing: where there is none, the answer is a 404."""
MAX_TEXT = 80

Text = Annotated[str, Query(max_length=MAX_TEXT)]


@router.get("/v1/indicators")
async def get_indicators(_: TheActor) -> list[Described]:
    """指标目录 — every definition with its versions."""
    return described()


@router.get("/v1/indicators/{name}", dependencies=[FreshRead])
async def get_indicator(
    name: str,
    actor: TheActor,
    edge: TheEdge,
    version: Text = "",
    period: Annotated[str, Query(max_length=MAX_TEXT, description=f"{EXAMPLES}; the current month")] = "",
    as_of: Annotated[str, Query(max_length=MAX_TEXT, description="what was known then; the period's end")] = "",
    unit: Annotated[str, Query(max_length=MAX_TEXT, description="only this unit and what stands under it")] = "",
    family: Text = "",
    category: Text = "",
    worker: Text = "",
    by: Annotated[list[str], Query(description="broken down by; repeatable")] = [],  # noqa: B006
) -> Told:
    """指标 — a period's number, as it was known when the period ended; administrators ask about all, staff about their units."""
    require(actor, QUERIES["Indicators"], "Indicators")
    within = _unit_of(edge, actor, unit)
    asked = Asked(name, version, period, as_of, within, family, category, worker, tuple(by))
    node = edge.node
    try:
        return await asyncio.to_thread(edge.numbers.told, asked, node.directory.calendar.zone, node.cut())
    except CannotAnswer as error:
        raise _problem(error) from error


def _unit_of(edge: Edge, actor: Actor, unit: str) -> str:
    """The unit that is asked about, which must be the actor's to ask about: their first own one where they name none."""
    if Role.ADMINISTRATOR in actor.roles:
        return unit
    within, org = unit or next(iter(actor.units), ""), edge.node.directory.org
    if within not in actor.units and org.unit(within) is None:
        raise _problem(CannotAnswer("unit", f"没有单位 · the net has no unit {within!r}"))
    if not reaches(actor, within, org.ancestors(within) if org.unit(within) else ()):
        raise refused("OutsideYourUnit", within, errors=[(NOT_FOUND["unit"], "ask about your own units")])
    return within


def _problem(error: CannotAnswer) -> Problem:
    pointer = NOT_FOUND.get(error.field)
    if pointer is not None:
        return Problem(404, "not-found", str(error), errors=[(pointer, str(error))])
    return invalid((f"/query/{error.field}", str(error)))
