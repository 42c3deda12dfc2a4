"""Taking a report in: checked against the catalogue and the log's clock, sealed, and in the log before anybody says yes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from domain.case.state import REPORT_MEMORY
from domain.crs import Crs, to_wgs84
from domain.ids import NOWHERE, cell_at, cell_of, report_id
from domain.message import Actor, Envelope, Role
from domain.place import Place as PlaceSeen
from domain.report import ReportSubmitted
from domain.sealing import Sealed
from infra.http.edge import Edge
from infra.http.problems import Problem, invalid, unavailable
from infra.sealing import seal
from projections.reports import ReportView, content_of, report
from streams.record import NewRecord, Topic, partition_of

FUTURE_TOLERANCE = timedelta(seconds=60)
OLDEST_SIGHTING = timedelta(days=7)
UUID_AHEAD = timedelta(days=1)
MAX_REMEMBERED = 50_000
"""Reports taken in lately, whose rows may not be in the read model yet."""
MAX_DESCRIPTION = 4000


def client_uuid(value: str) -> str:
    """A UUIDv7 in its canonical form; raises `ValueError`."""
    try:
        parsed = UUID(value)
    except ValueError as error:
        raise ValueError("give a UUIDv7 (RFC 9562) that your client made") from error
    if parsed.version != 7 or str(parsed) != value.lower():
        raise ValueError(f"give a UUIDv7 in its canonical form; this is version {parsed.version or 'unknown'}")
    return str(parsed)


ClientUuid = Annotated[str, AfterValidator(client_uuid)]


class Input(BaseModel):
    """A part of a request: unknown fields are mistakes, and no number is infinite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class PlaceIn(Input):
    """Where it was, as the phone says."""

    lon: float = Field(ge=-180, le=180, examples=[114.0579])
    lat: float = Field(ge=-90, le=90, examples=[22.5431])
    crs: Crs = Crs.WGS84


class ContactIn(Input):
    """How the reporter can be reached; sealed before it is stored."""

    name: str | None = Field(default=None, max_length=100)
    phone: str | None = Field(default=None, max_length=40)


class ReportIn(Input):
    """上报 — what a rider saw."""

    id: ClientUuid = Field(description="UUIDv7 made by the client: the same id is the same report")
    category: str = Field(max_length=32, examples=["H-0101"])
    place: PlaceIn | None = Field(default=None, description="null where the phone knows no place")
    occurred_at: AwareDatetime = Field(examples=["2026-03-02T12:00:00+08:00"])
    description: str | None = Field(default=None, max_length=MAX_DESCRIPTION)
    contact: ContactIn | None = None
    media: tuple[Annotated[str, Field(max_length=200)], ...] = Field(default=(), max_length=9)
    inspection_round: str | None = Field(default=None, max_length=64)


@dataclass(frozen=True, slots=True)
class Taken:
    """A report that the log has."""

    report: str
    uuid: str
    received_at: datetime
    topic: Topic
    partition: int
    offset: int | None
    """None for one that was taken in earlier."""


class Intake:
    """Takes reports in; an id counts once, whoever sends it, however often, before and after a restart."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._lately: OrderedDict[str, tuple[str, asyncio.Future[Taken]]] = OrderedDict()

    async def take(self, actor: Actor, said: ReportIn) -> Taken:
        """Check, seal, append. Raises `Problem` (422, 409, 503)."""
        node = self._edge.node
        if problems := node.problems():
            raise unavailable("; ".join(problems))
        if errors := self._mistakes(said, node.now()):
            raise invalid(*errors)
        submitted = self._event(actor, said)
        content = content_of(submitted)
        known = self._lately.get(said.id)
        if known is not None:
            if known[0] != content:
                raise _contradiction(said.id)
            return await asyncio.shield(known[1])
        future: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._lately[said.id] = (content, future)
        try:
            taken = await self._earlier(said.id, content) or await self._append(submitted, said.id)
        except BaseException as error:
            self._lately.pop(said.id, None)
            future.set_exception(error if isinstance(error, Exception) else unavailable("interrupted"))
            future.exception()  # nobody else may be waiting
            raise
        future.set_result(taken)
        self._forget()
        return taken

    async def _earlier(self, uuid: str, content: str) -> Taken | None:
        row: ReportView | None = await self._edge.reads.read(report, uuid)
        if row is None or row.content is None or row.received_at is None:
            return None
        if row.content != content:
            raise _contradiction(uuid)
        partition = partition_of(cell_of(row.report), self._edge.node.partitions)
        return Taken(row.report, uuid, row.received_at, Topic.REPORT_EVENTS, partition, None)

    async def _append(self, submitted: ReportSubmitted, uuid: str) -> Taken:
        node, cell = self._edge.node, cell_of(submitted.report)
        envelope = Envelope(
            id=uuid,
            source="/beeline/http",
            subject=submitted.report,
            time=node.now(),
            data=submitted,
            correlationid=uuid,
        )
        partition = partition_of(cell, node.partitions)
        headers = {"id": uuid, "correlation-id": uuid}
        record = NewRecord(Topic.REPORT_EVENTS, partition, cell, envelope.encode(), headers)
        (place,) = await node.append([record])
        return Taken(submitted.report, uuid, place.time, place.topic, place.partition, place.offset)

    def _forget(self) -> None:
        while len(self._lately) > MAX_REMEMBERED and next(iter(self._lately.values()))[1].done():
            self._lately.popitem(last=False)

    def _mistakes(self, said: ReportIn, now: datetime) -> list[tuple[str, str]]:
        """What only the catalogue and the clock can tell."""
        errors = []
        edition = self._edge.node.directory.edition
        if edition.category(said.category) is None:
            near = get_close_matches(said.category, [each.code for each in edition.categories], cutoff=0.4)
            hint = f"; did you mean {', '.join(near)}?" if near else "; see GET /v1/catalogue"
            errors.append(("/category", f"the catalogue {edition.version} has no {said.category!r}{hint}"))
        if said.occurred_at > now + FUTURE_TOLERANCE:
            errors.append(("/occurred_at", f"lies in the future; it is {now.isoformat()} now"))
        elif said.occurred_at < now - OLDEST_SIGHTING:
            errors.append(("/occurred_at", f"is older than {OLDEST_SIGHTING.days} days; it is {now.isoformat()} now"))
        made_at = datetime.fromtimestamp((UUID(said.id).int >> 80) / 1000, UTC) if _plausible(said.id) else None
        if made_at is None or made_at > now + UUID_AHEAD:
            errors.append(("/id", "the UUIDv7's time lies in the future"))
        elif made_at < now - REPORT_MEMORY:
            errors.append(("/id", f"the UUIDv7 is older than {REPORT_MEMORY.days} days: make a new one"))
        return errors

    def _event(self, actor: Actor, said: ReportIn) -> ReportSubmitted:
        place = _place(said.place) if said.place else None
        full = report_id(cell_at(place.lon, place.lat) if place else NOWHERE, said.id)
        anonymous = Role.ANONYMOUS in actor.roles
        person = f"anonymous-{actor.person}" if anonymous else actor.person

        def sealed(text: str | None, name: str) -> Sealed | None:
            return seal(self._edge.keys, text, person=person, subject=full, name=name) if text else None

        contact = said.contact.model_dump_json(exclude_none=True) if said.contact else None
        return ReportSubmitted(
            report=full,
            reporter=person,
            anonymous=anonymous,
            category=said.category,
            edition=self._edge.node.directory.edition.version,
            place=place,
            occurred_at=said.occurred_at.astimezone(UTC),
            description=sealed(said.description, "description"),
            contact=sealed(contact, "contact"),
            media=said.media,
            inspection_round=said.inspection_round,
        )


def _plausible(uuid: str) -> bool:
    return (UUID(uuid).int >> 80) < 253_402_300_799_000  # the end of the year 9999, in milliseconds


def _place(said: PlaceIn) -> PlaceSeen:
    if said.crs is Crs.WGS84:
        return PlaceSeen(lon=said.lon, lat=said.lat)
    lon, lat = to_wgs84(said.lon, said.lat, said.crs)
    return PlaceSeen(lon=round(lon, 7), lat=round(lat, 7), crs=said.crs, original_lon=said.lon, original_lat=said.lat)


def _contradiction(uuid: str) -> Problem:
    return Problem(
        409, "contradiction", f"report {uuid} is known with other content", errors=[("/id", "make a new UUIDv7")]
    )
