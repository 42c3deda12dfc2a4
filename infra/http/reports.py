"""上报 — send reports in, and see what became of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ValidationError

from domain.message import Actor, derived_id
from domain.place import Place
from domain.policy import COMMANDS, QUERIES
from infra.http.edge import Edge, FreshRead, TheActor, TheEdge, TheWait, edge_in, require
from infra.http.intake import ContactIn, Intake, ReportIn, Taken
from infra.http.lookup import may_see_report, report_row
from infra.http.problems import OUTAGES, Problem, fields_of, invalid, outage, refused, unavailable
from infra.keystore import KeyStore
from infra.sealing import ERASED, unseal
from projections.reports import ReportView, report, reports_of
from streams.commit import head_of
from streams.record import Topic

router = APIRouter(tags=["reports"])

MAX_BATCH = 100
REPORT_ID = "^[0-9a-z]{6}-[0-9a-f-]{36}$"
ROUTED = "file"
"""What the router calls the command that follows from a report."""
LOOK_AGAIN_SECONDS = 0.2
"""A report that is sent again may have been answered a moment before: then nobody will say so once more."""


class ReportTaken(BaseModel):
    """The log has it: ``id`` names it for ever. ``case_id`` is known once it is filed."""

    id: str
    uuid: str
    status: str
    received_at: datetime
    case_id: str | None = None
    url: str


class ReportOut(BaseModel):
    """A report, as the one who asks may see it: its reporter reads the text, staff do not see who it was."""

    id: str
    uuid: str
    category: str | None
    place: Place | None
    occurred_at: datetime | None
    received_at: datetime | None
    status: str
    status_at: datetime | None
    case_id: str | None
    reason: str | None
    description: str | None = None
    contact: ContactIn | None = None
    media: tuple[str, ...] = ()
    inspection_round: str | None = None


class BatchItem(BaseModel):
    """One report's answer: 202 with the report, or a problem."""

    status: int
    report: ReportTaken | None = None
    problem: dict[str, Any] | None = None


class BatchOut(BaseModel):
    """Answers in the order of the reports."""

    accepted: int
    rejected: int
    results: list[BatchItem]


class Reports(BaseModel):
    """A page of one's own reports; ``next`` goes into `before`."""

    reports: list[ReportOut]
    next: str | None = None


def intake_of(request: Request) -> Intake:
    """The application's one intake: it knows which ids are on their way."""
    state = request.app.state
    if not hasattr(state, "intake"):
        state.intake = Intake(edge_in(request))
    found = state.intake
    if not isinstance(found, Intake):
        raise TypeError("the application's intake is something else")
    return found


@router.post("/v1/reports", status_code=202)
async def submit_report(
    said: ReportIn, request: Request, response: Response, actor: TheActor, edge: TheEdge, wait: TheWait
) -> ReportTaken:
    """上报 — 202 once the log has the report. The same id with the same content is the same report; else 409.

    With `Prefer: wait=N` it answers when the report has been filed, attached or held.
    """
    require(actor, COMMANDS["SubmitReport"], "SubmitReport")
    if wait:
        taken, fate = await _and_fate(edge, said.id, intake_of(request).take(actor, said), wait)
        response.headers["Preference-Applied"] = f"wait={wait:g}"
    else:
        taken, fate = await intake_of(request).take(actor, said), None
    response.headers["Location"] = f"/v1/reports/{taken.report}"
    if taken.offset is not None:
        response.headers["Beeline-Position"] = f"{Topic.REPORT_EVENTS}/{taken.partition}/{taken.offset}"
    return _taken(taken, fate)


@router.post(
    "/v1/reports/batch",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "reports": {
                                "type": "array",
                                "maxItems": MAX_BATCH,
                                "items": {"$ref": "#/components/schemas/ReportIn"},
                            }
                        },
                        "required": ["reports"],
                    }
                }
            },
        }
    },
)
async def submit_batch(request: Request, actor: TheActor) -> BatchOut:
    """批量上报 — an offline outbox: at most 100 reports, each answered by itself; the good ones are taken.

    Takes `{"reports": […]}` or a bare array.
    """
    require(actor, COMMANDS["SubmitReport"], "SubmitReport")
    intake = intake_of(request)
    listed = await _listed(request)
    results = await asyncio.gather(*(_one(intake, actor, one, number) for number, one in enumerate(listed)))
    if all(item.status == 503 for item in results):
        raise unavailable("none of the reports could be taken now")
    accepted = sum(item.report is not None for item in results)
    return BatchOut(accepted=accepted, rejected=len(results) - accepted, results=results)


async def _and_fate(edge: Edge, uuid: str, taking: Awaitable[Taken], seconds: float) -> tuple[Taken, ReportView | None]:
    """Take a report in, and wait at most so long until the read model knows what became of it."""
    known: ReportView | None = None
    with edge.node.expect(derived_id(uuid, ROUTED)) as answer:
        taken = await taking
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    if decided := answer.done():
                        offset = head_of(answer.result()).command_offset
                        await edge.node.projected(Topic.CASE_COMMANDS, answer.result().partition, offset, seconds)
                    known = await edge.reads.read(report, uuid)
                    if decided or (known is not None and known.status != "received"):
                        break
                    await asyncio.wait((answer,), timeout=LOOK_AGAIN_SECONDS)
    return taken, known


async def _listed(request: Request) -> list[Any]:
    try:
        document = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Problem(400, "bad-request", f"JSON: {error}", errors=[("", f"not JSON: {error}")]) from error
    reports = document.get("reports") if isinstance(document, dict) else document
    if not isinstance(reports, list) or not reports:
        raise invalid(("/reports", "give a list with at least one report"))
    if len(reports) > MAX_BATCH:
        raise invalid(("/reports", f"at most {MAX_BATCH} reports in one batch; this has {len(reports)}"))
    return reports


async def _one(intake: Intake, actor: Actor, one: Any, number: int) -> BatchItem:
    where = f"/reports/{number}"
    try:
        said = ReportIn.model_validate(one)
        return BatchItem(status=202, report=_taken(await intake.take(actor, said), None))
    except ValidationError as error:
        problem = invalid(*fields_of(error.errors()))
    except Problem as raised:
        problem = raised
    except OUTAGES as error:
        problem = outage(error)
    return BatchItem(status=problem.status, problem=problem.under(where).document(f"/v1/reports/batch#{where}"))


def _taken(taken: Taken, fate: ReportView | None) -> ReportTaken:
    return ReportTaken(
        id=taken.report,
        uuid=taken.uuid,
        status=fate.status if fate else "received",
        received_at=taken.received_at,
        case_id=fate.case_id if fate else None,
        url=f"/v1/reports/{taken.report}",
    )


@router.get("/v1/reports", dependencies=[FreshRead])
async def my_reports(
    actor: TheActor,
    edge: TheEdge,
    before: Annotated[str | None, Query(pattern=REPORT_ID, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Reports:
    """我的上报 — one's own reports, newest first."""
    rows = await edge.reads.read(reports_of, actor.person, limit, before)
    shown = [_shown(edge.keys, row, actor) for row in rows]
    return Reports(reports=shown, next=rows[-1].report if len(rows) == limit else None)


@router.get("/v1/reports/{report_id}", dependencies=[FreshRead])
async def get_report(report_id: str, actor: TheActor, edge: TheEdge) -> ReportOut:
    """上报详情 — by the client's UUID or the full id; for its reporter, and for staff in whose units it stands."""
    require(actor, QUERIES["Report"], "Report")
    row = await report_row(edge, report_id)
    if not await may_see_report(edge, actor, row):
        raise refused("NotYourReport", row.report)
    return _shown(edge.keys, row, actor)


def _shown(keys: KeyStore, row: ReportView, actor: Actor) -> ReportOut:
    own = actor.person == row.reporter
    contact = unseal(keys, row.contact, subject=row.report, name="contact") if row.contact and own else None
    return ReportOut(
        id=row.report,
        uuid=row.uuid,
        category=row.category,
        place=row.place,
        occurred_at=row.occurred_at,
        received_at=row.received_at,
        status=row.status,
        status_at=row.status_at,
        case_id=row.case_id,
        reason=row.reason,
        description=unseal(keys, row.description, subject=row.report, name="description") if row.description else None,
        contact=_contact(contact),
        media=row.media,
        inspection_round=row.inspection_round,
    )


def _contact(text: str | None) -> ContactIn | None:
    if text is None:
        return None
    return ContactIn(name=text) if text == ERASED else ContactIn.model_validate_json(text)
