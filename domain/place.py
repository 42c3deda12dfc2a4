"""Where something was seen."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

from pydantic import Field

from domain.crs import Crs
from domain.message import Value

EARTH_RADIUS_METRES = 6_371_008.8
"""Mean radius of the earth (IUGG)."""


class Place(Value):
    """A WGS-84 point in degrees, with the coordinates as the phone gave them where its system was another one."""

    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    crs: Crs = Crs.WGS84
    original_lon: float | None = None
    original_lat: float | None = None


def distance_metres(a: Place, b: Place) -> float:
    """Great-circle distance in metres (haversine)."""
    lat_a, lat_b = radians(a.lat), radians(b.lat)
    half_lat, half_lon = (lat_b - lat_a) / 2, radians(b.lon - a.lon) / 2
    chord = sin(half_lat) ** 2 + cos(lat_a) * cos(lat_b) * sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_METRES * asin(min(1.0, sqrt(chord)))
