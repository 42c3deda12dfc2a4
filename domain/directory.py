"""名录 — units, grids, workers, catalogue, calendar: documents that are immutable by version, and become current as a whole.

A net comes in parts (a log record has a size limit) and counts from its `NetActivated`, which names how many units and grids
it has and their hash. A net for a later day is `NetScheduled`, and the timer makes it current at the local midnight at which that
day begins. Everyone who uses the directory folds it to its end first and follows it from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import ClassVar
from zoneinfo import ZoneInfo

from domain.atlas import Atlas
from domain.calendar import WorkingCalendar
from domain.catalogue import CategoryTerms, Edition
from domain.decision import NOTHING, Decision, Fact, Refusal
from domain.message import Command, Envelope, Event, Role, Value
from domain.net import CodeScheme, Compound, DistrictCoverage, Grid, Net, Org, Outline, Unit, Worker

KEY = "directory"
"""The one key of the directory."""

COLUMNS = ("units", "grids", "compounds", "workers", "outlines")
"""What a net is made of, and a part of it."""


class DirectoryCommand(Command):
    """A request of an administrator to the directory."""

    abstract: ClassVar[bool] = True
    noun: ClassVar[str] = "directory"


class PublishNetPart(DirectoryCommand):
    """发布网格 — some units, grids, compounds, workers and outlines of a net that is not current yet."""

    net: str
    part: int
    units: tuple[Unit, ...] = ()
    grids: tuple[Grid, ...] = ()
    compounds: tuple[Compound, ...] = ()
    workers: tuple[Worker, ...] = ()
    outlines: tuple[Outline, ...] = ()


class ActivateNet(DirectoryCommand):
    """启用网格 — make the published net the current one, if it is whole: at once, or when the local day ``valid_from`` begins.

    A day has one net: the latest word for a day wins. What is made current at once also stands for every day that has begun.
    """

    net: str
    synthetic: bool
    name_zh: str
    name_en: str
    scheme: CodeScheme
    parts: int
    units: int
    grids: int
    coverage: tuple[DistrictCoverage, ...] = ()
    valid_from: date | None = None


class ActivateScheduledNet(DirectoryCommand):
    """到期启用 — the timer's: the day from which the net is to be current has begun."""

    net: str
    valid_from: date


class PublishEdition(DirectoryCommand):
    """启用目录 — make an edition of the catalogue the current one; earlier ones stay readable."""

    edition: Edition


class PublishCalendar(DirectoryCommand):
    """启用日历 — make a working calendar the current one."""

    calendar: WorkingCalendar


class DirectoryEvent(Event):
    """An event of one document's stream."""

    abstract: ClassVar[bool] = True


class NetPartPublished(DirectoryEvent):
    """发布网格 — a part of a net; it counts once the net is activated."""

    net: str
    part: int
    units: tuple[Unit, ...] = ()
    grids: tuple[Grid, ...] = ()
    compounds: tuple[Compound, ...] = ()
    workers: tuple[Worker, ...] = ()
    outlines: tuple[Outline, ...] = ()


class WholeNet(DirectoryEvent):
    """A published net is whole. ``net`` is the hash of all that it holds."""

    abstract: ClassVar[bool] = True
    net: str
    synthetic: bool
    name_zh: str
    name_en: str
    scheme: CodeScheme
    units: int
    grids: int
    coverage: tuple[DistrictCoverage, ...] = ()
    """覆盖率 — what the net covers, as whoever published it has computed: a fact with a date."""


class NetActivated(WholeNet):
    """启用网格 — from here on, reports are routed by this net. ``net`` is the hash of all that it holds."""


class NetScheduled(WholeNet):
    """定日启用 — the net becomes current when the local day ``valid_from`` begins, at the instant ``at``."""

    valid_from: date
    at: datetime


class EditionActivated(DirectoryEvent):
    """启用目录 — from here on, the edge finds its categories in this edition; earlier ones stay readable."""

    edition: Edition


class CalendarActivated(DirectoryEvent):
    """启用日历 — from here on, deadlines are computed by this calendar."""

    calendar: WorkingCalendar


@dataclass(frozen=True)
class Directory:
    """What is current, with the spatial index; replaced whole by the next activation, so readers hold one as long as
    they like."""

    net: Net
    editions: dict[str, Edition]
    edition: Edition
    calendar: WorkingCalendar
    coming: Mapping[date, str] = field(default_factory=dict)
    """Versions of the nets that become current later, by the local day."""

    @property
    def version(self) -> str:
        """The versions that a decision was made under."""
        return f"net={self.net.version} catalogue={self.edition.version} calendar={self.calendar.version}"

    @property
    def is_ready(self) -> bool:
        """Whether a net, a catalogue and a calendar are current, so that reports can be routed."""
        return bool(self.net.units and self.edition.categories and self.calendar.version != "none")

    @property
    def net_version(self) -> str:
        """The net that routes are found in."""
        return self.net.version

    @cached_property
    def org(self) -> Org:
        """The tree of units."""
        return Org(self.net.units)

    @cached_property
    def atlas(self) -> Atlas:
        """The spatial index."""
        return Atlas(self.net.grids, self.net.compounds)

    def terms(self, category: str, edition: str) -> CategoryTerms:
        """The terms of a category in the edition that a report was made under; raises `LookupError`."""
        found = self.editions[edition].terms_of(category)
        if found is None:
            raise LookupError(f"edition {edition} has no category {category}")
        return found


@dataclass(frozen=True, slots=True)
class ComingNet:
    """A net that is current from the instant ``at`` on; ``version`` as it was announced."""

    version: str
    at: datetime
    net: Net
    coverage: tuple[DistrictCoverage, ...] = ()


@dataclass(slots=True)
class Documents:
    """The state of the directory: parts of nets that are not whole yet, what is current, and what will be."""

    parts: dict[str, dict[int, NetPartPublished]] = field(default_factory=dict)
    net: Net | None = None
    coming: dict[date, ComingNet] = field(default_factory=dict)
    editions: dict[str, Edition] = field(default_factory=dict)
    edition: str = ""
    calendar: WorkingCalendar | None = None

    def view(self) -> Directory:
        """The directory as its users see it."""
        return Directory(
            net=self.net or UNPUBLISHED.net,
            editions=dict(self.editions),
            edition=self.editions.get(self.edition, UNPUBLISHED.edition),
            calendar=self.calendar or UNPUBLISHED.calendar,
            coming={day: coming.version for day, coming in self.coming.items()},
        )


UNPUBLISHED = Directory(
    net=Net(
        synthetic=True, name_zh="无", name_en="none", scheme=CodeScheme(), units=(), grids=(), compounds=(), workers=()
    ),
    editions={},
    edition=Edition(version="none", daily_cap_points=0, families=(), rewards=(), categories=()),
    calendar=WorkingCalendar(version="none", last_year=1970),
)
"""What there is before anything has been published: enough to decide the directory's own commands by."""


def evolve(documents: Documents, event: Envelope) -> None:
    """Fold one event of the directory."""
    match event.data:
        case NetPartPublished() as part:
            documents.parts.setdefault(part.net, {})[part.part] = part
        case NetActivated() as activated:
            documents.net = _announced(documents, activated)
            documents.coming = {day: coming for day, coming in documents.coming.items() if coming.at > event.time}
            documents.parts.pop(activated.net, None)
        case NetScheduled() as scheduled:
            net = _announced(documents, scheduled)
            documents.coming[scheduled.valid_from] = ComingNet(scheduled.net, scheduled.at, net, scheduled.coverage)
            documents.parts.pop(scheduled.net, None)
        case EditionActivated(edition=edition):
            documents.editions[edition.version], documents.edition = edition, edition.version
        case CalendarActivated(calendar=calendar):
            documents.calendar = calendar
        case _:  # every event of the directory is named above
            raise TypeError(f"{event.type} is no event of the directory")


def decide(documents: Documents, command: Envelope, at: datetime) -> Decision:
    """Decide one command of an administrator, or of the timer."""
    ask = command.data
    if not isinstance(ask, DirectoryCommand) or {Role.ADMINISTRATOR, Role.SYSTEM}.isdisjoint(ask.actor.roles):
        return Refusal("RoleNotAllowed", type(ask).__name__)
    match ask:
        case PublishNetPart():
            return _publish(documents, ask)
        case ActivateNet():
            return _activate(documents, ask, at)
        case ActivateScheduledNet():
            return _activate_scheduled(documents, ask, at)
        case PublishEdition(edition=edition):
            known = documents.editions.get(edition.version)
            if known is not None and known != edition:
                return Refusal("VersionExists", edition.version)
            if documents.edition == edition.version:
                return NOTHING
            return (Fact(f"catalogue:{edition.version}", EditionActivated(edition=edition)),)
        case PublishCalendar(calendar=calendar):
            if documents.calendar == calendar:
                return NOTHING
            return (Fact(f"calendar:{calendar.version}", CalendarActivated(calendar=calendar)),)
        case _:
            raise TypeError(f"{command.type} is no command of the directory")


def next_instant(documents: Documents) -> datetime | None:
    """When the next net becomes current; None: never."""
    return min((coming.at for coming in documents.coming.values()), default=None)


def due(documents: Documents, now: datetime) -> ActivateScheduledNet | None:
    """到期 — what the timer asks for at ``now``. Of several days that have begun only the latest counts."""
    begun = [day for day, coming in documents.coming.items() if coming.at <= now]
    return ActivateScheduledNet(net=documents.coming[max(begun)].version, valid_from=max(begun)) if begun else None


def _publish(documents: Documents, ask: PublishNetPart) -> Decision:
    if _whole_net(documents, ask.net) is not None:
        return NOTHING
    part = NetPartPublished.model_validate({"net": ask.net, "part": ask.part, **_columns([ask])})
    known = documents.parts.get(ask.net, {}).get(ask.part)
    if known is not None:
        return NOTHING if known == part else Refusal("VersionExists", f"{ask.net} part {ask.part}")
    return (Fact(f"net:{ask.net}", part),)


def _activate(documents: Documents, ask: ActivateNet, at: datetime) -> Decision:
    zone = ZoneInfo(documents.view().calendar.zone)
    day = ask.valid_from if ask.valid_from is not None and ask.valid_from > at.astimezone(zone).date() else None
    if day is None and documents.net is not None and documents.net.version == ask.net:
        return NOTHING
    if day in documents.coming and documents.coming[day].version == ask.net:
        return NOTHING
    activated = NetActivated.model_validate({name: getattr(ask, name) for name in NetActivated.model_fields})
    net = _whole_net(documents, ask.net)
    if net is None:
        parts = documents.parts.get(ask.net, {})
        if sorted(parts) != list(range(ask.parts)):
            return Refusal("VersionMismatch", f"{len(parts)} of {ask.parts} parts are there")
        net = _assemble(activated, parts)
    found = (len(net.units), len(net.grids), net.version)
    if found != (ask.units, ask.grids, ask.net):
        return Refusal("VersionMismatch", f"units, grids, hash are {found}")
    if day is None:
        return (Fact(f"net:{ask.net}", activated),)
    midnight = datetime.combine(day, time(), zone).astimezone(UTC)
    scheduled = NetScheduled.model_validate(dict(activated) | {"valid_from": day, "at": midnight})
    return (Fact(f"net:{ask.net}", scheduled),)


def _activate_scheduled(documents: Documents, ask: ActivateScheduledNet, at: datetime) -> Decision:
    coming = documents.coming.get(ask.valid_from)
    if coming is None or coming.version != ask.net or coming.at > at:
        return NOTHING
    activated = NetActivated.model_validate(about(coming.net) | {"net": coming.version, "coverage": coming.coverage})
    return (Fact(f"net:{coming.version}", activated),)


def _announced(documents: Documents, event: WholeNet) -> Net:
    """The net of which an event says that it is whole."""
    return _whole_net(documents, event.net) or _assemble(event, documents.parts.get(event.net, {}))


def _whole_net(documents: Documents, version: str) -> Net | None:
    """The net of that version, if it is current or coming."""
    if documents.net is not None and documents.net.version == version:
        return documents.net
    return next((coming.net for coming in documents.coming.values() if coming.version == version), None)


def _assemble(event: WholeNet, parts: Mapping[int, NetPartPublished]) -> Net:
    named = {"synthetic": event.synthetic, "name_zh": event.name_zh, "name_en": event.name_en, "scheme": event.scheme}
    return Net.model_validate({**named, **_columns(parts[number] for number in sorted(parts))})


def about(net: Net) -> dict[str, object]:
    """What is said of a whole net, by whoever publishes it and by what follows."""
    return {
        "net": net.version,
        "synthetic": net.synthetic,
        "name_zh": net.name_zh,
        "name_en": net.name_en,
        "scheme": net.scheme,
        "units": len(net.units),
        "grids": len(net.grids),
    }


def _columns(parts: Iterable[PublishNetPart | NetPartPublished]) -> dict[str, tuple[Value, ...]]:
    parts = list(parts)
    return {column: tuple(each for part in parts for each in getattr(part, column)) for column in COLUMNS}
