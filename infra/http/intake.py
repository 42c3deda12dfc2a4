"""Taking a report in: checked against the catalogue and the log's clock, sealed, and in the log before anybody says yes."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import Connection, func, select

from domain.case.state import REPORT_MEMORY
from domain.crs import Crs, to_wgs84
from domain.ids import NOWHERE, cell_at, cell_of, report_id
from domain.message import Actor, Envelope, Role
from domain.place import Place as PlaceSeen
from domain.report import ReportSubmitted
from domain.sealing import Sealed
from infra.http.edge import CATCH_UP_SECONDS, TRACE, Edge, key_ready
from infra.http.problems import Problem, invalid, unavailable
from infra.sealing import seal
from projections.reports import ReportView, content_of, report, report_table
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


def rfc3339(value: object) -> object:
    """A date and a time in words; bare numbers may mean anything. Raises `ValueError`."""
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE_AND_TIME.match(value)):
        return value
    raise ValueError("give date, time and zone (RFC 3339), such as 2026-03-02T12:00:00+08:00")


def in_utc(value: datetime) -> datetime:
    """The same instant in UTC; raises `ValueError` for the ends of the calendar."""
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies outside the calendar") from error


_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
InstantIn = Annotated[AwareDatetime, BeforeValidator(rfc3339), AfterValidator(in_utc)]


class Input(BaseModel):
    """A part of a request: unknown fields are mistakes, and no number is infinite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class PlaceIn(Input):
    """Where it was, as the phone says."""

    lon: float = Field(ge=-180, le=180, strict=True, examples=[114.0579])
    lat: float = Field(ge=-90, le=90, strict=True, examples=[22.5431])
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
    occurred_at: InstantIn = Field(examples=["2026-03-02T12:00:00+08:00"])
    description: str | None = Field(default=None, max_length=MAX_DESCRIPTION)
    contact: ContactIn | None = None
    media: tuple[Annotated[str, Field(max_length=200)], ...] = Field(default=(), max_length=9)
    inspection_round: str | None = Field(default=None, max_length=64)


@dataclass(frozen=True, slots=True)
class Taken:
    """A report that the log has, and since when."""

    report: str
    uuid: str
    received_at: datetime
    topic: Topic
    partition: int
    offset: int | None
    """None for one that was taken in earlier."""


class Intake:
    """Takes reports in; an id counts once, whoever sends it, however often, before and after a restart.

    What was taken in lately is remembered. An id that is not remembered, and sorts after every id that the log held
    at the start or that has been forgotten since, is new; any other is looked up in the read model.
    """

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._coming: dict[str, tuple[str, asyncio.Task[Taken]]] = {}
        self._lately: OrderedDict[str, tuple[str, Taken]] = OrderedDict()
        self._newest: str | None = None
        self._looking_back = asyncio.Lock()

    async def take(self, actor: Actor, said: ReportIn) -> Taken:
        """Check, seal, append. Raises `Problem` (422, 409, 503)."""
        if problems := self._edge.node.problems():
            raise unavailable("; ".join(problems))
        if said.description or said.contact:
            await key_ready(self._edge, actor.person)
        submitted = self._event(actor, said)
        content = content_of(submitted)
        if (lately := self._lately.get(said.id)) is not None:
            _same(said.id, lately[0], content)
            return lately[1]
        if (coming := self._coming.get(said.id)) is not None:
            _same(said.id, coming[0], content)
        else:
            coming = content, asyncio.create_task(self._settle(said, submitted, content))
            self._coming[said.id] = coming
        return await asyncio.shield(coming[1])  # a client that goes away does not stop what is on its way into the log

    async def _settle(self, said: ReportIn, submitted: ReportSubmitted, content: str) -> Taken:
        try:
            await self._look_back()
            if said.id <= (self._newest or "") and (earlier := await self._earlier(said.id, content)):
                return earlier
            if errors := self._mistakes(said, self._edge.node.now()):
                raise invalid(*errors)
            await self._make_room()
            taken = await self._append(submitted, said.id)
            self._lately[said.id] = content, taken
            return taken
        finally:
            del self._coming[said.id]

    async def _look_back(self) -> None:
        """Once: wait until the read model holds every report of the log, and know the newest id among them."""
        node = self._edge.node
        async with self._looking_back:
            if self._newest is not None:
                return
            for partition in range(node.partitions):
                last = node.log.end(Topic.REPORT_EVENTS, partition) - 1
                if not await node.projected(Topic.REPORT_EVENTS, partition, last, CATCH_UP_SECONDS):
                    raise unavailable("the read models have not caught up with earlier reports yet")
            self._newest = await self._edge.reads.read(_newest_uuid)

    async def _make_room(self) -> None:
        """Forget the oldest ones, but only once the read model has them."""
        while len(self._lately) >= MAX_REMEMBERED:
            uuid, (_, oldest) = next(iter(self._lately.items()))
            where = (oldest.topic, oldest.partition, oldest.offset or 0)
            if not await self._edge.node.projected(*where, CATCH_UP_SECONDS):
                raise unavailable("the read models are too far behind")
            self._lately.pop(uuid, None)
            self._newest = max(self._newest or "", uuid)

    async def _earlier(self, uuid: str, content: str) -> Taken | None:
        row: ReportView | None = await self._edge.reads.read(report, uuid)
        if row is None or row.content is None or row.received_at is None:
            return None
        _same(uuid, row.content, content)
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
            traceparent=TRACE.get(),
        )
        partition = partition_of(cell, node.partitions)
        headers = {"id": uuid, "correlation-id": uuid}
        record = NewRecord(Topic.REPORT_EVENTS, partition, cell, envelope.encode(), headers, (envelope,))
        (place,) = await node.append([record])
        return Taken(submitted.report, uuid, place.time, place.topic, place.partition, place.offset)

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
        made_at_milliseconds = UUID(said.id).int >> 80
        if made_at_milliseconds > (now + UUID_AHEAD).timestamp() * 1000:
            errors.append(("/id", "the UUIDv7's time lies in the future"))
        elif made_at_milliseconds < (now - REPORT_MEMORY).timestamp() * 1000:
            errors.append(("/id", f"the UUIDv7 is older than {REPORT_MEMORY.days} days: make a new one"))
        return errors

    def _event(self, actor: Actor, said: ReportIn) -> ReportSubmitted:
        place = _place(said.place) if said.place else None
        full = report_id(cell_at(place.lon, place.lat) if place else NOWHERE, said.id)
        person = actor.person

        def sealed(text: str | None, name: str) -> Sealed | None:
            return seal(self._edge.keys, text, person=person, subject=full, name=name) if text else None

        contact = said.contact.model_dump_json(exclude_none=True) if said.contact else None
        return ReportSubmitted(
            report=full,
            reporter=person,
            anonymous=Role.ANONYMOUS in actor.roles,
            category=said.category,
            edition=self._edge.node.directory.edition.version,
            place=place,
            occurred_at=said.occurred_at,
            description=sealed(said.description, "description"),
            contact=sealed(contact, "contact"),
            media=said.media,
            inspection_round=said.inspection_round,
        )


def _place(said: PlaceIn) -> PlaceSeen:
    if said.crs is Crs.WGS84:
        return PlaceSeen(lon=said.lon, lat=said.lat)
    lon, lat = (round(degrees, 7) for degrees in to_wgs84(said.lon, said.lat, said.crs))
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise invalid(("/place", f"lies off the globe once {said.crs.value} is taken back to wgs84"))
    return PlaceSeen(lon=lon, lat=lat, crs=said.crs, original_lon=said.lon, original_lat=said.lat)


def _newest_uuid(connection: Connection) -> str:
    """The greatest id of all reports: a UUIDv7 sorts by its time."""
    return connection.execute(select(func.max(report_table.c.uuid))).scalar() or ""


def _same(uuid: str, known: str, content: str) -> None:
    if known != content:
        raise _contradiction(uuid)


def _contradiction(uuid: str) -> Problem:
    return Problem(
        409, "contradiction", f"report {uuid} is known with other content", errors=[("/id", "make a new UUIDv7")]
    )
