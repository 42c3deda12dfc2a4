"""合成单位 — the tree of units over a set of grids, an owner for every grid, and the people of every unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from domain.message import Role
from domain.net import CodeScheme, Grid, Level, Net, Unit, UnitKind, Worker
from infra.net.tessellate import BoundaryError, Progress, cut, name_of, polygons_of, rings_of

GRIDS_PER_COMMUNITY = 26
COMMUNITIES_PER_STREET = 10
MAX_DISTRICTS = 99
"""Two digits name a district."""
CITY = "9901"
"""The synthetic city's digits: no division of the People's Republic begins so."""
VALID_FROM = date(2026, 1, 1)
MARK_ZH, MARK_EN = "(合成)", "(synthetic)"


@dataclass
class NetBuilder:
    """Gathers units, grids and workers; every grid and every person it names is marked synthetic."""

    units: list[Unit] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)

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

    def community(self, code: str, name_zh: str, name_en: str, pieces: Sequence[Polygon]) -> None:
        """The grids of one community, numbered from 001, each with its own named worker."""
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

    def net(self, name_zh: str, name_en: str) -> Net:
        """All of it, as one edition."""
        return Net(
            synthetic=True,
            name_zh=f"{name_zh}{MARK_ZH}",
            name_en=f"{name_en} {MARK_EN}",
            scheme=CodeScheme(),
            units=tuple(self.units),
            grids=tuple(self.grids),
            workers=tuple(self.workers),
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


def chunks(pieces: Sequence[Polygon], count: int) -> Iterator[Sequence[Polygon]]:
    """``pieces`` in ``count`` runs of as equal length as can be."""
    for number in range(count):
        yield pieces[number * len(pieces) // count : (number + 1) * len(pieces) // count]


def tessellate(document: object, cell_metres: float, *, name: str = "", progress: Progress | None = None) -> Net:
    """A synthetic net over a GeoJSON boundary in WGS-84: one district a feature, streets and communities by neighbourhood.

    Deterministic: the same boundary and size give the same net, to the version. Raises `BoundaryError`.
    """
    features = polygons_of(document)
    if len(features) > MAX_DISTRICTS:
        raise BoundaryError(
            f"要素过多 · {len(features)} features, and a city has at most {MAX_DISTRICTS} districts: join some"
        )
    areas: list[BaseGeometry] = [area for _, area in features]
    builder, city = NetBuilder(), f"{CITY}00000000"
    title = name or "合成城市"
    builder.area(city, Level.CITY, None, title, name or "Synthetic city")
    builder.desk(city)
    for number, (feature, pieces) in enumerate(zip(features, cut(areas, cell_metres, progress), strict=True), start=1):
        if pieces:
            zh = name_of(feature[0]) or f"第{number}区"
            en = str(feature[0].get("name_en") or (zh if zh.isascii() else f"District {number}"))
            _district(builder, city, f"{CITY}{number:02d}", zh, en, pieces)
    return builder.net(title, name or "Synthetic city")


def _district(
    builder: NetBuilder, city: str, prefix: str, name_zh: str, name_en: str, pieces: Sequence[Polygon]
) -> None:
    district = f"{prefix}000000"
    builder.area(district, Level.DISTRICT, city, name_zh, name_en)
    communities = -(-len(pieces) // GRIDS_PER_COMMUNITY)
    streets = -(-communities // COMMUNITIES_PER_STREET)
    runs = list(chunks(pieces, communities))
    for s in range(streets):
        street = f"{prefix}{s + 1:03d}"
        street_zh, street_en = f"{name_zh}第{s + 1}街道", f"{name_en} street {s + 1}"
        builder.area(f"{street}000", Level.STREET, district, f"{street_zh}{MARK_ZH}", f"{street_en} {MARK_EN}")
        builder.team(f"{street}000", street_zh, street_en)
        for c, run in enumerate(runs[s * communities // streets : (s + 1) * communities // streets], start=1):
            code, zh, en = f"{street}{c:03d}", f"{street_zh}第{c}社区", f"{street_en} community {c}"
            builder.area(code, Level.COMMUNITY, f"{street}000", f"{zh}{MARK_ZH}", f"{en} {MARK_EN}")
            builder.community(code, zh, en, run)
