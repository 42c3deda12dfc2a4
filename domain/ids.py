"""Self-routing ids: whoever holds the id of a case or a report knows the key under which the log keeps it."""

from __future__ import annotations

import pygeohash

NOWHERE = "aaaaaa"
"""The reserved cell of reports without coordinates; ``a`` is no letter of a geohash."""

CELL_PRECISION = 6
"""Characters of the geohash that names a cell: about 1.2 × 0.6 km."""


def cell_at(lon: float, lat: float) -> str:
    """The cell (geohash) of a WGS-84 point in degrees."""
    return str(pygeohash.encode(lat, lon, precision=CELL_PRECISION))


def case_id(cell: str, number: int) -> str:
    """``ws10k8-412``: the 412th case of the cell ws10k8."""
    return f"{cell}-{number}"


def report_id(cell: str, uuid: str) -> str:
    """``ws10k8-0190…``: the cell and the UUIDv7 that the reporter's client chose."""
    return f"{cell}-{uuid}"


def cell_of(identifier: str) -> str:
    """The cell in the id of a case or a report."""
    return identifier.partition("-")[0]


def uuid_of(report: str) -> str:
    """The client's UUIDv7 in the full id of a report."""
    return report.partition("-")[2]


def number_of(case: str) -> int | None:
    """The number in a case id, or None where ``case`` is not the id of a case."""
    number = case.partition("-")[2]
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 12 else None
