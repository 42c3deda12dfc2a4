"""坐标系 — the three coordinate systems that phones in China give, and the way between them.

GCJ-02 shifts WGS-84 by some hundred metres inside China, BD-09 shifts GCJ-02 once more. The formulas are the ones that map
software has published for years; there is no official specification.
"""

from __future__ import annotations

from enum import StrEnum
from math import atan2, cos, hypot, pi, sin, sqrt

A = 6_378_245.0
"""Semi-major axis of the Krasovsky 1940 ellipsoid, in metres."""
EE = 0.006_693_421_622_965_943
"""Its first eccentricity, squared."""
BD_PI = pi * 3000.0 / 180.0
TOLERANCE_DEGREES = 1e-10
MAX_ROUNDS = 30


class Crs(StrEnum):
    """坐标系."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"


def to_wgs84(lon: float, lat: float, crs: Crs) -> tuple[float, float]:
    """WGS-84 (lon, lat) in degrees of a point given in ``crs``: the inverse of `from_wgs84`, to better than 1e-7 degrees."""
    if crs is Crs.WGS84:
        return lon, lat
    guess_lon, guess_lat = lon, lat
    for _ in range(MAX_ROUNDS):
        there_lon, there_lat = from_wgs84(guess_lon, guess_lat, crs)
        off_lon, off_lat = lon - there_lon, lat - there_lat
        guess_lon, guess_lat = guess_lon + off_lon, guess_lat + off_lat
        if hypot(off_lon, off_lat) < TOLERANCE_DEGREES:
            break
    return guess_lon, guess_lat


def from_wgs84(lon: float, lat: float, crs: Crs) -> tuple[float, float]:
    """What a phone that uses ``crs`` shows at a WGS-84 point; outside China GCJ-02 is WGS-84."""
    match crs:
        case Crs.WGS84:
            return lon, lat
        case Crs.GCJ02:
            return _gcj02(lon, lat)
        case Crs.BD09:
            return _bd09(*_gcj02(lon, lat))


def _outside_china(lon: float, lat: float) -> bool:
    return not (72.004 <= lon <= 137.8347 and 0.8293 <= lat <= 55.8271)


def _gcj02(lon: float, lat: float) -> tuple[float, float]:
    if _outside_china(lon, lat):
        return lon, lat
    x, y, radians = lon - 105.0, lat - 35.0, lat / 180.0 * pi
    magic = 1 - EE * sin(radians) ** 2
    shift_lat = _shift_lat(x, y) * 180.0 / (A * (1 - EE) / (magic * sqrt(magic)) * pi)
    shift_lon = _shift_lon(x, y) * 180.0 / (A / sqrt(magic) * cos(radians) * pi)
    return lon + shift_lon, lat + shift_lat


def _ripple(x: float) -> float:
    return (20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)) * 2.0 / 3.0


def _shift_lat(x: float, y: float) -> float:
    shift = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + _ripple(x)
    shift += (20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    return shift + (160.0 * sin(y / 12.0 * pi) + 320.0 * sin(y * pi / 30.0)) * 2.0 / 3.0


def _shift_lon(x: float, y: float) -> float:
    shift = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + _ripple(x)
    shift += (20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    return shift + (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0


def _bd09(lon: float, lat: float) -> tuple[float, float]:
    radius = hypot(lon, lat) + 0.00002 * sin(lat * BD_PI)
    angle = atan2(lat, lon) + 0.000003 * cos(lon * BD_PI)
    return radius * cos(angle) + 0.0065, radius * sin(angle) + 0.006
