"""发布网格 — a net as the commands that publish it: in parts, because a record of a log has a size limit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from domain.directory import COLUMNS, ActivateNet, DirectoryCommand, PublishNetPart, about
from domain.message import Value
from domain.net import Compound, DistrictCoverage, Grid, Net, Outline, Unit, Worker

GRID_BYTES = 512
"""About what a square grid with its unit and its worker takes in the log."""
ITEM_BYTES, POINT_BYTES = 160, 24
"""About what an item without its outline takes, and a point of an outline."""


def publication(
    net: Net,
    grids_per_part: int = 500,
    *,
    valid_from: date | None = None,
    coverage: tuple[DistrictCoverage, ...] = (),
) -> list[DirectoryCommand]:
    """The commands that publish and activate a net; a part is as large as so many square grids, well under a log's largest
    record, unless a single outline is larger."""
    parts = list(_parts(net, grids_per_part * GRID_BYTES))
    rest = {"parts": len(parts), "valid_from": valid_from, "coverage": coverage}
    activate = ActivateNet.model_validate(about(net) | rest)
    numbered = ({"net": net.version, "part": number, **part} for number, part in enumerate(parts))
    return [*map(PublishNetPart.model_validate, numbered), activate]


def _parts(net: Net, limit_bytes: int) -> Iterator[dict[str, list[Value]]]:
    part, size = dict[str, list[Value]](), 0
    for column in COLUMNS:
        for item in getattr(net, column):
            wanted = ITEM_BYTES + POINT_BYTES * _points(item)
            if part and size + wanted > limit_bytes:
                yield part
                part, size = {}, 0
            part.setdefault(column, []).append(item)
            size += wanted
    yield part


def _points(item: Unit | Grid | Compound | Worker | Outline) -> int:
    match item:
        case Grid(rings=rings) | Compound(rings=rings):
            return sum(map(len, rings))
        case Outline(polygons=polygons):
            return sum(len(ring) for rings in polygons for ring in rings)
        case _:
            return 0
