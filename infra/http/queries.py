"""What workers, riders and the curious ask: cases, queues, points, the catalogue, units."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from domain.case.events import NoteAdded, OutcomeRated
from domain.catalogue import Visibility
from domain.message import Role
from domain.policy import QUERIES, may_ask, reaches
from infra.http.edge import Edge, FreshRead, TheActor, TheEdge, require
from infra.http.intake import in_utc
from infra.http.lookup import case_row, may_see_case
from infra.http.problems import Problem, invalid, refused
from infra.sealing import unseal
from projections.cases import CaseView, TimelineEntry, timeline
from projections.points import Balance, Entry, Place, balance, board, ledger
from projections.queues import Cursor, QueueItem, cursor_of, queue
from projections.reports import reporters_of

router = APIRouter(tags=["queries"])

MAX_SEQUENCE = 2**53
PERIOD = re.compile(r"([0-9]{4})-(?:(0[1-9]|1[0-2])|Q([1-4]))")
CURSOR = re.compile(r"([0-9T:.+-]{20,32})~(-[1-4])~([0-9a-z-]{8,50})")
BY_REPORTERS = frozenset({OutcomeRated.wire_type, NoteAdded.wire_type})
"""Public entries whose author may be a reporter of the case: nobody is told who it was."""


class TimelineOut(BaseModel):
    """One thing that happened to a case."""

    sequence: int
    time: datetime
    type: str
    zh: str
    en: str
    by: str | None = None
    note: str | None = None


class CaseOut(BaseModel):
    """A case with its timeline; handlers never see who reported it."""

    case: CaseView
    synthetic: bool
    timeline: list[TimelineOut]


class QueueOut(BaseModel):
    """A page of a queue, the most urgent first; ``next`` goes into `after`."""

    unit: str
    name_zh: str
    name_en: str
    synthetic: bool
    items: list[QueueItem]
    next: str | None = None


class PointsOut(BaseModel):
    """A rider's account, newest entries first."""

    balance: Balance
    entries: list[Entry]
    next: int | None = None


class BoardOut(BaseModel):
    """排行榜."""

    period: str
    riders: list[Place]


class UnitOut(BaseModel):
    """A unit, what stands above it, and what stands under it."""

    code: str
    kind: str
    level: str
    name_zh: str
    name_en: str
    parent: str | None
    ancestors: tuple[str, ...]
    children: tuple[str, ...]
    synthetic: bool


@router.get("/v1/cases/{case_id}", dependencies=[FreshRead])
async def get_case(case_id: str, actor: TheActor, edge: TheEdge) -> CaseOut:
    """案卷 — for its reporters (the public part) and for staff in whose units it stands."""
    require(actor, QUERIES["Case"], "Case")
    row = await case_row(edge, case_id)
    whole = await may_see_case(edge, actor, row)
    entries = await edge.reads.read(timeline, row.case_id)
    hidden = await edge.reads.read(reporters_of, row.case_id)
    shown = [_entry(edge, entry, whole, hidden) for entry in entries if whole or entry.public]
    seen = row if whole else row.model_copy(update={"holder": None})
    return CaseOut(case=seen, synthetic=edge.node.directory.net.synthetic, timeline=shown)


def _entry(edge: Edge, entry: TimelineEntry, whole: bool, hidden: frozenset[str]) -> TimelineOut:
    """A reporter is not told who worked on the case, and staff are not told who reported it."""
    by = None if entry.by in hidden or (entry.public and entry.type in BY_REPORTERS) else entry.by
    note = unseal(edge.keys, entry.note, subject=entry.command_id, name="text") if entry.note else None
    return TimelineOut(
        sequence=entry.sequence,
        time=entry.time,
        type=entry.type,
        zh=entry.text_zh,
        en=entry.text_en,
        by=by if whole else None,
        note=note,
    )


@router.get("/v1/units/{code}/queue", dependencies=[FreshRead])
async def get_queue(
    code: str,
    actor: TheActor,
    edge: TheEdge,
    subtree: Annotated[bool, Query(description="for a supervisor: everything under the unit too")] = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str, Query(description="`next` of the page before")] = "",
) -> QueueOut:
    """待办 — what the unit has to deal with; a former owner keeps watching what was escalated."""
    org = edge.node.directory.org
    unit = org.unit(code)
    if unit is None:
        raise Problem(404, "not-found", f"the net has no unit {code!r}")
    over = may_ask(actor, QUERIES["QueueOfSubtree"]) and (
        Role.ADMINISTRATOR in actor.roles or reaches(actor, code, org.ancestors(code))
    )
    own = may_ask(actor, QUERIES["Queue"]) and code in actor.units
    if not (over or (own and not subtree)):
        require(actor, QUERIES["QueueOfSubtree" if subtree else "Queue"], "Queue")
        raise refused("OutsideYourUnit", code)
    items = await edge.reads.read(queue, code, subtree=subtree, limit=limit, after=_cursor(after))
    following = _cursor_text(cursor_of(items[-1])) if len(items) == limit else None
    return QueueOut(
        unit=code,
        name_zh=unit.name_zh,
        name_en=unit.name_en,
        synthetic=edge.node.directory.net.synthetic,
        items=items,
        next=following,
    )


def _cursor_text(cursor: Cursor) -> str:
    return f"{cursor[0].isoformat()}~{cursor[1]}~{cursor[2]}"


def _cursor(text: str) -> Cursor | None:
    if not text:
        return None
    found = CURSOR.fullmatch(text)
    if found is not None:
        with suppress(ValueError):
            return in_utc(datetime.fromisoformat(found[1])), int(found[2]), found[3]
    raise invalid(("/query/after", "give the `next` of the page before"))


@router.get("/v1/units/{code}")
async def get_unit(code: str, _: TheActor, edge: TheEdge) -> UnitOut:
    """单位."""
    org = edge.node.directory.org
    unit = org.unit(code)
    if unit is None:
        raise Problem(404, "not-found", f"the net has no unit {code!r}")
    return UnitOut(
        **unit.model_dump(exclude={"kind", "level"}),
        kind=unit.kind.value,
        level=unit.level.value,
        ancestors=org.ancestors(code),
        children=org.children(code),
        synthetic=edge.node.directory.net.synthetic,
    )


@router.get("/v1/riders/{rider}/points", dependencies=[FreshRead])
async def get_points(
    rider: str,
    actor: TheActor,
    edge: TheEdge,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Annotated[int | None, Query(ge=1, le=MAX_SEQUENCE, description="`next` of the page before")] = None,
) -> PointsOut:
    """积分 — a rider's balance and ledger; their own, or for an administrator."""
    require(actor, QUERIES["Points"], "Points")
    if actor.person != rider and Role.ADMINISTRATOR not in actor.roles:
        raise refused("RoleNotAllowed", "points are their rider's own")
    entries = await edge.reads.read(ledger, rider, limit, before)
    following = entries[-1].sequence if len(entries) == limit else None
    return PointsOut(balance=await edge.reads.read(balance, rider), entries=entries, next=following)


@router.get("/v1/points/board", dependencies=[FreshRead])
async def get_board(
    period: Annotated[str, Query(description="a month or a quarter", examples=["2026-11", "2026-Q4"])],
    _: TheActor,
    edge: TheEdge,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> BoardOut:
    """排行榜 — who earned most in a local month or quarter."""
    parsed = PERIOD.fullmatch(period)
    if parsed is None:
        raise invalid(("/query/period", "give a month such as 2026-11 or a quarter such as 2026-Q4"))
    year, month, quarter = parsed.groups()
    first = int(quarter) * 3 - 2 if quarter else int(month)
    months = [f"{year}-{number:02d}" for number in range(first, first + (3 if quarter else 1))]
    return BoardOut(period=period, riders=await edge.reads.read(board, months, limit))


@router.get("/v1/catalogue")
async def get_catalogue(edge: TheEdge) -> dict[str, Any]:
    """目录 — what can be reported, in the edition of today."""
    edition = edge.node.directory.edition
    return {
        "version": edition.version,
        "families": [family.model_dump(mode="json") for family in edition.families],
        "categories": [
            {
                **category.model_dump(mode="json", include={"code", "family", "severity", "evidence"}),
                "major_zh": category.major_zh,
                "major_en": category.major_en,
                "name_zh": category.minor_zh,
                "name_en": category.minor_en,
                "handle_zh": category.limits.handle.text_zh,
                "handle_en": category.limits.handle.text_en,
                "confidential": category.visibility is Visibility.CONFIDENTIAL,
            }
            for category in edition.categories
        ],
    }
