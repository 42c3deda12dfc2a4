"""What the HTTP edge adds to what people say, without HTTP: ids, actors, routes, ciphertext."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain.case import commands as c
from domain.crs import Crs, from_wgs84
from domain.ids import NOWHERE, cell_at, cell_of, report_id
from domain.message import Actor, Envelope
from domain.place import Place
from domain.report import ReportSubmitted
from domain.routing import Route, route, route_to
from domain.sealing import Sealed
from infra.city.plan import Sighting
from infra.city.players import Act
from infra.simulator.agents import World
from streams.reactor import Ask
from streams.record import NewRecord, Topic, partition_of

KINDS: dict[str, type[c.CaseCommand]] = {
    kind.__name__: kind
    for kind in (
        c.AdmitReport,
        c.DeclineReport,
        c.WithdrawReport,
        c.DispatchCase,
        c.AcceptDispatch,
        c.ReturnDispatch,
        c.CompleteHandling,
        c.PassInspection,
        c.FailInspection,
        c.CloseCase,
        c.VoidCase,
        c.DetachReport,
        c.ReopenCase,
        c.RateOutcome,
        c.AddNote,
    )
}


class SimulatedEdge:
    """Turns sightings and acts into records."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reports: dict[str, ReportSubmitted] = {}

    def report(self, sighting: Sighting) -> NewRecord:
        """上报."""
        place = _place(sighting)
        cell = cell_at(place.lon, place.lat) if place else NOWHERE
        submitted = ReportSubmitted(
            report=report_id(cell, sighting.uuid),
            reporter=sighting.rider,
            category=sighting.category,
            edition=self._world.directory.edition.version,
            place=place,
            occurred_at=sighting.seen_at,
            description=Sealed(person=sighting.rider, cipher=sighting.remark),
        )
        self._reports[sighting.uuid] = submitted
        envelope = Envelope(
            sighting.uuid, "/beeline/simulation", submitted.report, sighting.sent_at, submitted, sighting.uuid
        )
        partition = partition_of(cell, self._world.log.partitions)
        return NewRecord(Topic.REPORT_EVENTS, partition, cell, envelope.encode(), {"id": sighting.uuid})

    def command(self, act: Act) -> NewRecord | None:
        """A person's act as a command; None where the edge would have turned it away."""
        _, _, target, thing, _ = act.path.split("/")
        known = self._reports.get(thing.partition("-")[2] if len(thing) > 36 else thing)
        fields: dict[str, Any] = dict(act.data)
        fields["actor"] = Actor(
            person=act.person.id, roles=(act.person.role,), units=(act.person.unit,) if act.person.unit else ()
        )
        if target == "reports":
            if known is None:
                return None
            fields["report"] = subject = known.report
            if act.type == "AdmitReport":
                fields["route"] = self._route(known)
        else:
            fields["case_id"] = subject = thing
            if act.type == "DispatchCase":
                fields["route"] = route_to(self._world.directory, str(fields.pop("unit")), "dispatcher")
        return self.ask(act.id, KINDS[act.type].model_validate(fields), subject, act.at)

    def ask(self, identity: str, command: c.CaseCommand, subject: str, at: datetime) -> NewRecord:
        """A command about a report or a case."""
        envelope = Envelope(identity, "/beeline/simulation", subject, at, command, identity)
        return Ask(Topic.CASE_COMMANDS, cell_of(subject), envelope).record(self._world.log.partitions)

    def _route(self, report: ReportSubmitted) -> Route:
        directory = self._world.directory
        return route(directory, report.place, directory.terms(report.category, report.edition))


def _place(sighting: Sighting) -> Place | None:
    if sighting.place is None:
        return None
    lon, lat = sighting.place
    if sighting.crs is Crs.WGS84:
        return Place(lon=lon, lat=lat)
    shown = from_wgs84(lon, lat, sighting.crs)
    return Place(lon=lon, lat=lat, crs=sighting.crs, original_lon=shown[0], original_lat=shown[1])
