"""合成单位 — the tree of units over a set of grids, an owner for each, compounds with panels, and the people of every unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from domain.message import Role
from domain.net import CodeScheme, Compound, CompoundKind, Grid, Level, Net, Outline, Unit, UnitKind, Worker
from infra.net.compounds import MARK_EN, MARK_ZH, compounds
from infra.net.regions import borders_of, divide
from infra.net.tessellate import BoundaryError, Progress, apart, cut, name_of, polygons_of, rings_of

GRIDS_PER_COMMUNITY = 26
COMMUNITIES_PER_STREET = 10
MAX_DISTRICTS = 99
"""Two digits name a district."""
CITY = "9901"
"""The synthetic city's digits: no division of the People's Republic begins so."""
VALID_FROM = date(2026, 1, 1)
SPARSE = {CompoundKind.ESTATE: 1.0, CompoundKind.URBAN_VILLAGE: 0.5}
"""Compounds a community: a few, so that a dispute inside one finds its panel."""


@dataclass(frozen=True, slots=True)
class Named:
    """An area to come."""

    code: str
    name_zh: str
    name_en: str


@dataclass
class NetBuilder:
    """Gathers what a net is made of; every grid, compound and person it names is marked synthetic."""

    compounds_per_community: Mapping[CompoundKind, float] = field(default_factory=lambda: SPARSE)
    units: list[Unit] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    compounds: list[Compound] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    outlines: list[Outline] = field(default_factory=list)
    _communities: int = 0

    def area(self, code: str, level: Level, parent: str | None, name_zh: str, name_en: str) -> None:
        """A unit of the tree with the people who answer for it."""
        self.units.append(Unit(code=code, level=level, parent=parent, name_zh=name_zh, name_en=name_en))
        self._person("d", code, "派遣员", "Dispatcher", Role.DISPATCHER)
        if level is not Level.GRID:
            self._person("i", code, "核查员", "Inspector", Role.INSPECTOR)
            self._person("s", code, "督办", "Supervisor", Role.SUPERVISOR)

    def desk(self, city: str) -> None:
        """市派遣台 — for what cannot be mapped."""
        code = f"{city}-desk"
        self._special(code, UnitKind.DESK, Level.CITY, city, "市派遣台", "City dispatch desk")
        self._person("d", code, "派遣员", "Dispatcher", Role.DISPATCHER)

    def team(self, street: str, name_zh: str, name_en: str) -> None:
        """综合行政执法队 — the street's enforcement team."""
        code = f"{street}-team"
        self._special(
            code, UnitKind.TEAM, Level.STREET, street, f"{name_zh}综合行政执法队", f"{name_en} enforcement team"
        )
        self._person("e", code, "执法队员", "Enforcement officer", Role.ENFORCEMENT_OFFICER)

    def outline(self, unit: str, area: BaseGeometry) -> None:
        """The area of a unit above the grids, without the points that do not bend it."""
        parts = [part for part in shapely.get_parts(shapely.simplify(area, 0)) if isinstance(part, Polygon)]
        if parts:
            self.outlines.append(Outline(unit=unit, polygons=tuple(map(rings_of, parts))))

    def divided(self, pieces: Sequence[Polygon], streets: Mapping[str, Sequence[Named]]) -> None:
        """The grids of a district, divided among the communities of each street; every area in one piece where it can be."""
        borders = borders_of(pieces)
        weights = [len(communities) for communities in streets.values()]
        for (street, communities), members in zip(
            streets.items(), divide(range(len(pieces)), weights, borders), strict=True
        ):
            runs = divide(members, [1] * len(communities), borders)
            areas = [
                self.community(named.code, named.name_zh, named.name_en, [pieces[index] for index in run])
                for named, run in zip(communities, runs, strict=True)
            ]
            self.outline(street, shapely.union_all(areas))

    def community(self, code: str, name_zh: str, name_en: str, pieces: Sequence[Polygon]) -> BaseGeometry:
        """The grids of one community, numbered from 001, each with its own named worker; its compounds; the area of it all."""
        for number, piece in enumerate(pieces, start=1):
            grid = f"{code}{number:03d}"
            self.units.append(
                Unit(
                    code=grid,
                    level=Level.GRID,
                    parent=code,
                    name_zh=f"{name_zh}第{number:03d}网格{MARK_ZH}",
                    name_en=f"{name_en} grid {number:03d} {MARK_EN}",
                )
            )
            self.grids.append(
                Grid(code=grid, rings=rings_of(piece), owner=f"w-{grid}", version="1", valid_from=VALID_FROM)
            )
            self._person("w", grid, "网格员", "Grid worker", Role.GRID_WORKER)
        self._compounds(code, name_zh, name_en, pieces)
        area = shapely.union_all(pieces)
        self.outline(code, area)
        return area

    def _compounds(self, community: str, name_zh: str, name_en: str, pieces: Sequence[Polygon]) -> None:
        """小区与共治小组 — as many as fall to this community, the panels that they have, and a mediator for each."""
        before, self._communities = self._communities, self._communities + 1
        kinds = [
            kind
            for kind, rate in self.compounds_per_community.items()
            for _ in range(int(self._communities * rate) - int(before * rate))
        ]
        for compound in compounds(community, (name_zh, name_en), pieces, kinds):
            self.compounds.append(compound)
            if compound.panel is not None:
                named = {"name_zh": f"{compound.name_zh}共治小组", "name_en": f"{compound.name_en} panel"}
                self.units.append(
                    Unit(code=compound.panel, kind=UnitKind.PANEL, level=Level.COMMUNITY, parent=community, **named)
                )
                self._person("m", compound.panel, "调解员", "Mediator", Role.MEDIATOR)

    def net(self, name_zh: str, name_en: str) -> Net:
        """All of it, as one edition."""
        return Net(
            synthetic=True,
            name_zh=f"{name_zh}{MARK_ZH}",
            name_en=f"{name_en} {MARK_EN}",
            scheme=CodeScheme(),
            units=tuple(self.units),
            grids=tuple(self.grids),
            compounds=tuple(self.compounds),
            workers=tuple(self.workers),
            outlines=tuple(self.outlines),
        )

    def _special(self, code: str, kind: UnitKind, level: Level, parent: str, name_zh: str, name_en: str) -> None:
        marked = {"name_zh": f"{name_zh}{MARK_ZH}", "name_en": f"{name_en} {MARK_EN}"}
        self.units.append(Unit(code=code, kind=kind, level=level, parent=parent, **marked))

    def _person(self, letter: str, unit: str, name_zh: str, name_en: str, role: Role) -> None:
        self.workers.append(
            Worker(
                person=f"{letter}-{unit}",
                name_zh=f"{name_zh}{MARK_ZH}",
                name_en=f"{name_en} {MARK_EN}",
                roles=(role,),
                units=(unit,),
            )
        )


def tessellate(document: object, cell_metres: float, *, name: str = "", progress: Progress | None = None) -> Net:
    """A synthetic net over a GeoJSON boundary in WGS-84: one district a feature, streets and communities by neighbourhood.

    Deterministic: the same boundary and size give the same net, to the version. Raises `BoundaryError`.
    """
    features = polygons_of(document)
    if len(features) > MAX_DISTRICTS:
        raise BoundaryError(
            f"要素过多 · {len(features)} features, and a city has at most {MAX_DISTRICTS} districts: join some"
        )
    areas = apart([area for _, area in features])
    builder, city = NetBuilder(), f"{CITY}00000000"
    title = name or "合成城市"
    builder.area(city, Level.CITY, None, title, name or "Synthetic city")
    builder.desk(city)
    grids = cut(areas, cell_metres, progress)
    for number, ((properties, _), area, pieces) in enumerate(zip(features, areas, grids, strict=True), start=1):
        if pieces:
            zh = name_of(properties) or f"第{number}区"
            en = str(properties.get("name_en") or (zh if zh.isascii() else f"District {number}"))
            prefix = f"{CITY}{number:02d}"
            builder.area(f"{prefix}000000", Level.DISTRICT, city, zh, en)
            builder.outline(f"{prefix}000000", area)
            _divide(builder, prefix, zh, en, pieces)
    return builder.net(title, name or "Synthetic city")


def _divide(builder: NetBuilder, prefix: str, name_zh: str, name_en: str, pieces: Sequence[Polygon]) -> None:
    """Streets and communities of a district, named by number."""
    communities = -(-len(pieces) // GRIDS_PER_COMMUNITY)
    streets = -(-communities // COMMUNITIES_PER_STREET)
    by_street: dict[str, list[Named]] = {}
    for s in range(streets):
        street, zh, en = f"{prefix}{s + 1:03d}", f"{name_zh}第{s + 1}街道", f"{name_en} street {s + 1}"
        builder.area(f"{street}000", Level.STREET, f"{prefix}000000", f"{zh}{MARK_ZH}", f"{en} {MARK_EN}")
        builder.team(f"{street}000", zh, en)
        count = (s + 1) * communities // streets - s * communities // streets
        by_street[f"{street}000"] = [
            Named(f"{street}{c:03d}", f"{zh}第{c}社区", f"{en} community {c}") for c in range(1, count + 1)
        ]
        for named in by_street[f"{street}000"]:
            builder.area(
                named.code, Level.COMMUNITY, f"{street}000", f"{named.name_zh}{MARK_ZH}", f"{named.name_en} {MARK_EN}"
            )
    builder.divided(pieces, by_street)
