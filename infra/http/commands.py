"""Asking something of a case or a report, and waiting for the answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, ValidationError

from domain.case import commands as c
from domain.ids import cell_of
from domain.message import Actor, Envelope, Role
from domain.policy import COMMANDS
from domain.routing import NoSuchUnit, Route, route, route_to
from domain.sealing import Sealed
from infra.embedded.log import Place
from infra.http.edge import (
    CATCH_UP_SECONDS,
    DEFAULT_WAIT_SECONDS,
    TRACE,
    Edge,
    TheActor,
    TheEdge,
    TheWait,
    key_ready,
    position_text,
    require,
)
from infra.http.intake import ClientUuid, Input
from infra.http.lookup import report_row
from infra.http.problems import Problem, fields_of, invalid, refused, unavailable
from infra.sealing import seal
from projections.outcomes import OutcomeView, outcome_of
from projections.reports import ReportView
from streams.commit import Outcome, events_of, head_of
from streams.reactor import Ask
from streams.record import Record, Topic

router = APIRouter(tags=["commands"])

CASE_ID = re.compile(r"[0-9a-z]{6}-[0-9]{1,12}")
MAX_NOTE = 2000
MAX_EVIDENCE = 20
ShortText = Annotated[str, Field(min_length=1, max_length=200)]


class CommandIn(Input):
    """A command: the same id is the same command."""

    id: ClientUuid = Field(description="UUIDv7 made by the client")
    type: str = Field(max_length=40, examples=["AcceptDispatch"])
    data: dict[str, Any] = Field(default_factory=dict)


class EventOut(BaseModel):
    """An event that a command produced."""

    type: str
    subject: str


class CommandOut(BaseModel):
    """How a command was answered. ``empty``: there was nothing left to do; ``pending``: nobody knows yet."""

    command_id: str
    outcome: Literal["applied", "empty", "refused", "poison", "pending"]
    reason: str | None = None
    detail: str | None = None
    events: list[EventOut] = []
    status_url: str


# -- what the client says, and what the edge adds --------------------------------------------------------------------


class Nothing(Input):
    """The command says all."""


class Reasoned(Input):
    """A command with a reason."""

    reason: ShortText


class DispatchIn(Input):
    """To which unit's queue, or to which of its workers."""

    unit: str = Field(max_length=40)
    worker: str | None = Field(default=None, max_length=80)


class DetachIn(Reasoned):
    """Which report leaves, and why."""

    report: str = Field(max_length=60)


class CompleteIn(Input):
    """Evidence by kind, and a remark."""

    evidence: dict[ShortText, ShortText] = Field(default_factory=dict, max_length=MAX_EVIDENCE)
    note: str | None = Field(default=None, max_length=MAX_NOTE)


class InspectIn(Input):
    """What the inspection found."""

    outcome: Literal["resolved", "mediated"] = "resolved"


class CloseIn(Reasoned):
    """How it ends without an inspection."""

    outcome: Literal["unfounded", "referred"]


class VoidIn(Reasoned):
    """Whether somebody made it up."""

    false_report: bool = False


class RateIn(Input):
    """1 to 5."""

    score: int = Field(ge=1, le=5, strict=True)


class NoteIn(Input):
    """Who may read it."""

    text: str = Field(min_length=1, max_length=MAX_NOTE)
    audience: Literal["reporter", "staff"] = "staff"


ON_CASE: Mapping[str, tuple[type[c.OnCase], type[Input]]] = MappingProxyType(
    {
        "DispatchCase": (c.DispatchCase, DispatchIn),
        "AcceptDispatch": (c.AcceptDispatch, Nothing),
        "ReleaseDispatch": (c.ReleaseDispatch, Nothing),
        "ReturnDispatch": (c.ReturnDispatch, Reasoned),
        "CompleteHandling": (c.CompleteHandling, CompleteIn),
        "PassInspection": (c.PassInspection, InspectIn),
        "FailInspection": (c.FailInspection, Reasoned),
        "CloseCase": (c.CloseCase, CloseIn),
        "VoidCase": (c.VoidCase, VoidIn),
        "ReopenCase": (c.ReopenCase, Reasoned),
        "RequestShelving": (c.RequestShelving, Reasoned),
        "ApproveShelving": (c.ApproveShelving, Nothing),
        "RejectShelving": (c.RejectShelving, Reasoned),
        "ResumeCase": (c.ResumeCase, Nothing),
        "DetachReport": (c.DetachReport, DetachIn),
        "RateOutcome": (c.RateOutcome, RateIn),
        "AddNote": (c.AddNote, NoteIn),
    }
)
ON_REPORT: Mapping[str, tuple[type[c.CaseCommand], type[Input]]] = MappingProxyType(
    {
        "AdmitReport": (c.AdmitReport, Nothing),
        "DeclineReport": (c.DeclineReport, Reasoned),
        "WithdrawReport": (c.WithdrawReport, Nothing),
    }
)


@router.post("/v1/cases/{case_id}/commands", responses={202: {"model": CommandOut}})
async def command_case(
    case_id: str, said: CommandIn, actor: TheActor, edge: TheEdge, wait: TheWait, response: Response
) -> CommandOut:
    """对案件操作 — ask something of a case; answers with the outcome, or with 202 and where to look for it."""
    case_id = case_id.lower()
    kind, shape = _kind(said, ON_CASE)
    require(actor, COMMANDS[said.type], said.type, at="/type")
    if not CASE_ID.fullmatch(case_id):
        raise refused("NoSuchCase", case_id)
    fields = {"actor": actor, "case_id": case_id, **await _completed(edge, actor, said, _data(said, shape))}
    return await _ask(edge, said, kind.model_validate(fields), case_id, wait, response)


@router.post("/v1/reports/{report_id}/commands", responses={202: {"model": CommandOut}})
async def command_report(
    report_id: str, said: CommandIn, actor: TheActor, edge: TheEdge, wait: TheWait, response: Response
) -> CommandOut:
    """对上报操作 — admit, decline or withdraw a report."""
    kind, shape = _kind(said, ON_REPORT)
    require(actor, COMMANDS[said.type], said.type, at="/type")
    data = _data(said, shape)
    row = await report_row(edge, report_id)
    if said.type == "WithdrawReport" and actor.person != row.reporter:
        raise refused("NotYourReport", row.report)
    fields: dict[str, Any] = {"actor": actor, "report": row.report, **data.model_dump(exclude_none=True)}
    if kind is c.AdmitReport:
        fields["route"] = _route_of(edge, row)
    return await _ask(edge, said, kind.model_validate(fields), row.report, wait, response)


@router.get("/v1/commands/{command_id}", responses={202: {"model": CommandOut}})
async def command_outcome(command_id: ClientUuid, edge: TheEdge, _: TheActor, response: Response) -> CommandOut:
    """结果查询 — how a command was answered, also where it was refused; 202 while nobody knows, 404 for one never asked."""
    known: OutcomeView | None = await edge.reads.read(outcome_of, command_id)
    if known is not None:
        return _known(known)
    caught_up = await edge.node.caught_up(CATCH_UP_SECONDS)
    known = await edge.reads.read(outcome_of, command_id)
    if known is not None:
        return _known(known)
    if caught_up:
        raise Problem(404, "not-found", f"no command {command_id} was ever taken")
    response.status_code = 202
    return _pending(command_id)


def _kind(said: CommandIn, known: Mapping[str, tuple[Any, type[Input]]]) -> tuple[Any, type[Input]]:
    if said.type not in known:
        raise invalid(("/type", f"there is no command {said.type!r} here; there are {', '.join(sorted(known))}"))
    return known[said.type]


def _data(said: CommandIn, shape: type[Input]) -> Input:
    try:
        return shape.model_validate(said.data)
    except ValidationError as error:
        raise invalid(*fields_of(error.errors(), ("data",))) from error


async def _completed(edge: Edge, actor: Actor, said: CommandIn, data: Input) -> dict[str, Any]:
    """What the client said, with the route, the place and the sealing that are the edge's to add."""

    async def sealed(text: str) -> Sealed:
        await key_ready(edge, actor.person)
        return seal(edge.keys, text, person=actor.person, subject=said.id, name="text")

    match data:
        case DispatchIn():
            try:
                return {"route": route_to(edge.node.directory, data.unit, "dispatcher"), "worker": data.worker}
            except NoSuchUnit as error:
                raise invalid(("/data/unit", f"the net has no unit {data.unit!r}")) from error
        case DetachIn():
            row = await report_row(edge, data.report)
            return {
                "report": row.report,
                "reason": data.reason,
                "occurred_at": row.occurred_at,
                "place": row.place,
                "route": _route_of(edge, row),
            }
        case CompleteIn():
            return {"evidence": data.evidence, "note": await sealed(data.note) if data.note else None}
        case NoteIn():
            only_reporter = set(actor.roles) <= {Role.REPORTER, Role.ANONYMOUS}
            return {"text": await sealed(data.text), "audience": "reporter" if only_reporter else data.audience}
        case _:
            return data.model_dump(exclude_none=True)


def _route_of(edge: Edge, row: ReportView) -> Route:
    """The router's own rule, under the net of today."""
    directory = edge.node.directory
    if row.category is None or row.edition is None:
        raise unavailable("the report itself has not been projected yet")
    return route(directory, row.place, directory.terms(row.category, row.edition))


async def _ask(
    edge: Edge, said: CommandIn, command: c.CaseCommand, subject: str, wait: float | None, response: Response
) -> CommandOut:
    """Append the command and wait for its commit; a command that was answered before gets its first answer."""
    node = edge.node
    if problems := node.problems():
        raise unavailable("; ".join(problems))
    known: OutcomeView | None = await edge.reads.read(outcome_of, said.id)
    if known is not None and known.outcome == Outcome.APPLIED:
        if subject not in {about for _, about in known.events} and isinstance(command, c.OnCase):
            raise Problem(
                409, "contradiction", f"command {said.id} was about another case", errors=[("/id", "make a new UUIDv7")]
            )
        return _known(known)
    envelope = Envelope(
        id=said.id,
        source="/beeline/http",
        subject=subject,
        time=node.now(),
        data=command,
        correlationid=said.id,
        traceparent=TRACE.get(),
    )
    with node.expect(said.id) as answer:
        (place,) = await node.append([Ask(Topic.CASE_COMMANDS, cell_of(subject), envelope).record(node.partitions)])
        response.headers["Beeline-Position"] = position_text(place)
        seconds = DEFAULT_WAIT_SECONDS if wait is None else wait
        if wait is not None:
            response.headers["Preference-Applied"] = f"wait={seconds:g}" if seconds else "respond-async"
        try:
            commit = await asyncio.wait_for(asyncio.shield(answer), seconds)
        except TimeoutError:
            response.status_code = 202
            response.headers["Location"] = _status_url(said.id)
            return _pending(said.id)
    return await _answered(edge, said.id, commit, place)


async def _answered(edge: Edge, command_id: str, commit: Record, place: Place) -> CommandOut:
    """The outcome, once whoever reads sees it too; of a command that was repeated, the first one."""
    head, events = head_of(commit), events_of(commit)
    if head.outcome in (Outcome.APPLIED, Outcome.EMPTY):
        await edge.node.projected(place.topic, place.partition, place.offset, DEFAULT_WAIT_SECONDS)
    match head.outcome:
        case Outcome.REFUSED:
            raise refused(head.reason, head.detail)
        case Outcome.POISON:
            raise Problem(422, "invalid", f"the command could not be read: {head.reason}")
        case Outcome.EMPTY:
            first: OutcomeView | None = await edge.reads.read(outcome_of, command_id)
            if first is not None:
                return _known(first)
    return CommandOut(
        command_id=command_id,
        outcome=head.outcome.value,
        events=[EventOut(type=event.type, subject=event.subject) for event in events],
        status_url=_status_url(command_id),
    )


def _known(known: OutcomeView) -> CommandOut:
    return CommandOut(
        command_id=known.command_id,
        outcome=Outcome(known.outcome).value,
        reason=known.reason or None,
        detail=known.detail or None,
        events=[EventOut(type=kind, subject=subject) for kind, subject in known.events if known.outcome != "refused"],
        status_url=_status_url(known.command_id),
    )


def _pending(command_id: str) -> CommandOut:
    return CommandOut(command_id=command_id, outcome="pending", status_url=_status_url(command_id))


def _status_url(command_id: str) -> str:
    return f"/v1/commands/{command_id}"
