"""名录 — units, grids, workers, catalogue, calendar: documents that are immutable by version, and become current as a whole.

A net comes in parts (a log record has a size limit) and counts from its `NetActivated`, which names how many units and grids
it has and their hash. Everyone who uses the directory folds it to its end first and follows it from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import ClassVar

from domain.atlas import Atlas
from domain.calendar import WorkingCalendar
from domain.catalogue import CategoryTerms, Edition
from domain.decision import NOTHING, Decision, Fact, Refusal
from domain.message import Command, Envelope, Event, Role
from domain.net import CodeScheme, Compound, Grid, Net, Org, Unit, Worker

KEY = "directory"
"""The one key of the directory."""


class DirectoryCommand(Command):
    """A request of an administrator to the directory."""

    abstract: ClassVar[bool] = True
    noun: ClassVar[str] = "directory"


class PublishNetPart(DirectoryCommand):
    """发布网格 — some units, grids, compounds and workers of a net that is not current yet."""

    net: str
    part: int
    units: tuple[Unit, ...] = ()
    grids: tuple[Grid, ...] = ()
    compounds: tuple[Compound, ...] = ()
    workers: tuple[Worker, ...] = ()


class ActivateNet(DirectoryCommand):
    """启用网格 — make the published net the current one, if it is whole."""

    net: str
    synthetic: bool
    name_zh: str
    name_en: str
    scheme: CodeScheme
    parts: int
    units: int
    grids: int


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


class NetActivated(DirectoryEvent):
    """启用网格 — from here on, reports are routed by this net. ``net`` is the hash of all that it holds."""

    net: str
    synthetic: bool
    name_zh: str
    name_en: str
    scheme: CodeScheme
    units: int
    grids: int


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


@dataclass(slots=True)
class Documents:
    """The state of the directory: parts of nets that are not current yet, and what is current."""

    parts: dict[str, dict[int, NetPartPublished]] = field(default_factory=dict)
    net: Net | None = None
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
            documents.net = _assemble(activated, documents.parts.pop(activated.net, {}))
        case EditionActivated(edition=edition):
            documents.editions[edition.version], documents.edition = edition, edition.version
        case CalendarActivated(calendar=calendar):
            documents.calendar = calendar
        case _:  # every event of the directory is named above
            raise TypeError(f"{event.type} is no event of the directory")


def decide(documents: Documents, command: Envelope, _: datetime) -> Decision:
    """Decide one command of an administrator."""
    ask = command.data
    if not isinstance(ask, DirectoryCommand) or {Role.ADMINISTRATOR, Role.SYSTEM}.isdisjoint(ask.actor.roles):
        return Refusal("RoleNotAllowed", type(ask).__name__)
    match ask:
        case PublishNetPart():
            return _publish(documents, ask)
        case ActivateNet():
            return _activate(documents, ask)
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


def _publish(documents: Documents, ask: PublishNetPart) -> Decision:
    if documents.net is not None and documents.net.version == ask.net:
        return NOTHING
    part = NetPartPublished(
        net=ask.net, part=ask.part, units=ask.units, grids=ask.grids, compounds=ask.compounds, workers=ask.workers
    )
    known = documents.parts.get(ask.net, {}).get(ask.part)
    if known is not None:
        return NOTHING if known == part else Refusal("VersionExists", f"{ask.net} part {ask.part}")
    return (Fact(f"net:{ask.net}", part),)


def _activate(documents: Documents, ask: ActivateNet) -> Decision:
    if documents.net is not None and documents.net.version == ask.net:
        return NOTHING
    activated = NetActivated(
        net=ask.net,
        synthetic=ask.synthetic,
        name_zh=ask.name_zh,
        name_en=ask.name_en,
        scheme=ask.scheme,
        units=ask.units,
        grids=ask.grids,
    )
    parts = documents.parts.get(ask.net, {})
    if sorted(parts) != list(range(ask.parts)):
        return Refusal("VersionMismatch", f"{len(parts)} of {ask.parts} parts are there")
    net = _assemble(activated, parts)
    found = (len(net.units), len(net.grids), net.version)
    if found != (ask.units, ask.grids, ask.net):
        return Refusal("VersionMismatch", f"units, grids, hash are {found}")
    return (Fact(f"net:{ask.net}", activated),)


def _assemble(activated: NetActivated, parts: dict[int, NetPartPublished]) -> Net:
    ordered = [parts[number] for number in sorted(parts)]
    return Net(
        synthetic=activated.synthetic,
        name_zh=activated.name_zh,
        name_en=activated.name_en,
        scheme=activated.scheme,
        units=tuple(unit for part in ordered for unit in part.units),
        grids=tuple(grid for part in ordered for grid in part.grids),
        compounds=tuple(compound for part in ordered for compound in part.compounds),
        workers=tuple(worker for part in ordered for worker in part.workers),
    )


def publication(net: Net, grids_per_part: int = 500) -> list[DirectoryCommand]:
    """The commands that publish and activate a net, each well under a log's largest record."""
    columns = (net.units, net.grids, net.compounds, net.workers)
    parts = max(1, -(-max(map(len, columns)) // grids_per_part))
    cut = [slice(number * grids_per_part, (number + 1) * grids_per_part) for number in range(parts)]
    return [
        *(
            PublishNetPart(
                net=net.version,
                part=number,
                units=net.units[piece],
                grids=net.grids[piece],
                compounds=net.compounds[piece],
                workers=net.workers[piece],
            )
            for number, piece in enumerate(cut)
        ),
        ActivateNet(
            net=net.version,
            synthetic=net.synthetic,
            name_zh=net.name_zh,
            name_en=net.name_en,
            scheme=net.scheme,
            parts=parts,
            units=len(net.units),
            grids=len(net.grids),
        ),
    ]
