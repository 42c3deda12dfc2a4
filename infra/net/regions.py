"""片区 — divide grids among streets and communities, each in one piece where the ground allows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

Borders = list[dict[int, float]]
"""Of each piece: its neighbours, and how long the border with each is, in degrees."""

Objects = NDArray[np.object_]
Indexes = NDArray[np.intp]
Numbers = NDArray[np.float64]

MAX_ROUNDS = 10
"""How often exclaves are given away; after three rounds there are hardly any left."""


def borders_of(pieces: Sequence[Polygon]) -> Borders:
    """Who shares an edge with whom; a corner is none."""
    shapes = np.array(pieces, dtype=object)
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    one, other = one[one < other], other[one < other]
    lengths = _shared(shapes, one, other)
    borders: Borders = [{} for _ in pieces]
    for a, b, length in zip(one.tolist(), other.tolist(), lengths.tolist(), strict=True):
        if length > 0:
            borders[a][b] = borders[b][a] = length
    return borders


def _shared(shapes: Objects, one: Indexes, other: Indexes) -> Numbers:
    """The border between touching shapes; of two rectangles, which most grids are, the overlap of their sides."""
    west, south, east, north = shapely.bounds(shapes).T
    sides = np.minimum(east[one], east[other]) - np.maximum(west[one], west[other])
    lengths: Numbers = np.maximum(sides, np.minimum(north[one], north[other]) - np.maximum(south[one], south[other]))
    odd = shapely.area(shapes) < (1 - 1e-9) * (east - west) * (north - south)
    odd = odd[one] | odd[other]
    lengths[odd] = shapely.length(shapely.intersection(shapes[one[odd]], shapes[other[odd]]))
    return lengths


def divide(members: Sequence[int], weights: Sequence[int], borders: Borders) -> list[list[int]]:
    """``members`` in groups whose sizes go by ``weights``: runs of their order, after which each exclave of a group goes to the
    neighbour with which it shares the longest border. What has no neighbour of another group stays."""
    ends = [round(len(members) * upto / sum(weights)) for upto in accumulate(weights)]
    group = {member: number for number, end in enumerate(ends) for member in members[([0, *ends])[number] : end]}
    for _ in range(MAX_ROUNDS):
        if not [True for exclave in _exclaves(group, borders) if _given_away(exclave, group, borders)]:
            break
    divided: list[list[int]] = [[] for _ in weights]
    for member in members:
        divided[group[member]].append(member)
    return divided


def _given_away(exclave: list[int], group: dict[int, int], borders: Borders) -> bool:
    own, shared = group[exclave[0]], Counter[int]()
    for member in exclave:
        for neighbour, length in borders[member].items():
            if group.get(neighbour, own) != own:
                shared[group[neighbour]] += round(length * 1e9)
    if not shared:
        return False
    nearest = min(shared, key=lambda number: (-shared[number], number))
    group.update(dict.fromkeys(exclave, nearest))
    return True


def _exclaves(group: dict[int, int], borders: Borders) -> Iterator[list[int]]:
    """The connected parts of each group but its largest, the smallest first."""
    parts: dict[int, list[list[int]]] = {}
    seen = set[int]()
    for member, number in group.items():
        if member not in seen:
            parts.setdefault(number, []).append(_part(member, group, borders, seen))
    yield from sorted((part for each in parts.values() for part in sorted(each, key=len)[:-1]), key=len)


def _part(start: int, group: dict[int, int], borders: Borders, seen: set[int]) -> list[int]:
    part, ahead = [], [start]
    seen.add(start)
    while ahead:
        member = ahead.pop()
        part.append(member)
        near = [each for each in borders[member] if each not in seen and group.get(each) == group[start]]
        seen.update(near)
        ahead += near
    return part
