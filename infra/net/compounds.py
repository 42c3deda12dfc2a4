"""小区 / 城中村 — synthetic compounds on the ground of a community, and who sits on their panels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random

import shapely
from shapely import LineString, Polygon

from domain.net import Compound, CompoundKind, Seat
from infra.net.tessellate import rings_of

Names = tuple[str, str]
"""In Chinese and in English."""

MARK_ZH, MARK_EN = "(合成)", "(synthetic)"
KIND_NAMES: dict[CompoundKind, Names] = {
    CompoundKind.ESTATE: ("小区", "estate"),
    CompoundKind.URBAN_VILLAGE: ("城中村", "urban village"),
}
PANEL_SHARE = 0.97
SEAT_SHARES: dict[CompoundKind, dict[Seat, float]] = {
    CompoundKind.ESTATE: {Seat.BRANCH: 0.985, Seat.OWNERS: 0.9, Seat.PROPERTY: 0.99, Seat.OTHER: 0.97},
    CompoundKind.URBAN_VILLAGE: {Seat.BRANCH: 0.96, Seat.OWNERS: 0.8, Seat.PROPERTY: 0.92, Seat.OTHER: 0.97},
}
"""How many compounds have a panel, and a seat filled; our assumption. The community committee is everywhere."""


def compounds(community: str, names: Names, pieces: Sequence[Polygon], kinds: Sequence[CompoundKind]) -> list[Compound]:
    """One compound of each of ``kinds`` while there is room on the grids ``pieces``; they do not overlap, one spans two grids.

    Everything follows from the code of the community and its ground.
    """
    random = Random(community)
    return [
        _compound(f"{community}-c{number:02d}", community, names, number, kind, site)
        for number, (kind, site) in enumerate(zip(kinds, _sites(pieces, random), strict=False), start=1)
    ]


def _compound(code: str, community: str, names: Names, number: int, kind: CompoundKind, site: Polygon) -> Compound:
    random, (zh, en) = Random(code), KIND_NAMES[kind]
    shares = {Seat.COMMITTEE: 1.0, **SEAT_SHARES[kind]}
    return Compound(
        code=code,
        kind=kind,
        name_zh=f"{names[0]}第{number}{zh}{MARK_ZH}",
        name_en=f"{names[1]} {en} {number} {MARK_EN}",
        parent=community,
        panel=f"{code}-panel" if random.random() < PANEL_SHARE else None,
        seats=tuple(seat for seat, share in shares.items() if random.random() < share),
        rings=rings_of(site),
    )


def _sites(pieces: Sequence[Polygon], random: Random) -> Iterator[Polygon]:
    """First one over the border of two grids, then in the quarters of the other grids in turn."""
    free = list(pieces)
    for one, other in pairwise(pieces):
        if (site := _over_border(one, other)) is not None:
            yield site
            free = [piece for piece in pieces if piece is not one and piece is not other]
            break
    random.shuffle(free)
    for east, north in ((0, 0), (1, 1), (1, 0), (0, 1)):
        for piece in free:
            if (site := _in_quarter(piece, east, north, random)) is not None:
                yield site


def _over_border(one: Polygon, other: Polygon) -> Polygon | None:
    border = shapely.line_merge(shapely.intersection(one, other))
    if not isinstance(border, LineString) or border.is_empty:
        return None
    middle, (width, height) = border.interpolate(0.5, normalized=True), _size(one)
    site = shapely.box(
        middle.x - 0.22 * width, middle.y - 0.22 * height, middle.x + 0.22 * width, middle.y + 0.22 * height
    )
    return site if shapely.union(one, other).contains(site) else None


def _in_quarter(piece: Polygon, east: int, north: int, random: Random) -> Polygon | None:
    """A rectangle in one quarter of a grid's bounds, where the grid holds it."""
    (west, south, _, _), (width, height) = piece.bounds, _size(piece)
    left, low = west + (0.5 * east + 0.06) * width, south + (0.5 * north + 0.06) * height
    site = shapely.box(left, low, left + random.uniform(0.24, 0.38) * width, low + random.uniform(0.24, 0.38) * height)
    return site if piece.contains(site) else None


def _size(piece: Polygon) -> tuple[float, float]:
    west, south, east, north = piece.bounds
    return east - west, north - south
