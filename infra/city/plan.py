"""What the riders of the day see, and when they send it: a pure function of the seed, the day and the net."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import accumulate
from math import cos, hypot, radians
from random import Random
from zoneinfo import ZoneInfo

from shapely import Point, Polygon

from domain.atlas import METRES_PER_DEGREE
from domain.catalogue import Category, Edition
from domain.crs import Crs, from_wgs84
from domain.net import Grid, Net
from infra.uuid7 import uuid7_at

RIDERS = 400
PART_TIME_EVERY = 33
"""One rider in so many is also a part-time grid worker."""
HOTSPOTS = 48
HOT_SHARE = 0.7
NEIGHBOURHOOD = 40
"""How many grids before and after a hotspot belong to it: neighbours in the net's order are neighbours on the ground."""

DUPLICATE_SHARE = 0.13
EDGE_SHARE = 0.03
OUTSIDE_SHARE = 0.012
NO_PLACE_SHARE = 0.008
OFFLINE_SHARE = 0.06
CRS_SHARES = ((Crs.GCJ02, 0.09), (Crs.BD09, 0.03))

FAMILY_WEIGHTS = {"hazard": 0.42, "dispute": 0.14, "civility": 0.44}
HOUR_WEIGHTS = {
    6: 2,
    7: 5,
    8: 6,
    9: 5,
    10: 6,
    11: 11,
    12: 12,
    13: 7,
    14: 5,
    15: 5,
    16: 5,
    17: 9,
    18: 11,
    19: 8,
    20: 5,
    21: 3,
    22: 2,
    23: 1,
}
"""Orders come at lunch and at dinner, and so do the riders' eyes."""

REMARKS = {
    "hazard": ("井盖松动, 车轮差点陷进去", "线垂到头顶的高度", "通道被堵死了, 人过不去", "夜里看不见, 容易摔"),
    "dispute": ("保安不让进, 双方吵起来了", "楼上楼下在吵", "车位被占, 堵着不走", "说好的钱没给"),
    "civility": ("垃圾堆到路边了", "单车倒了一片", "盲道被占", "电线杆上贴满了"),
}


@dataclass(frozen=True, slots=True)
class Sighting:
    """One report to come: where the rider stood (WGS-84), and what the phone will say."""

    uuid: str
    rider: str
    seen_at: datetime
    sent_at: datetime
    """Later than `seen_at` where the phone was offline: then it goes out with others in a batch."""
    category: str
    place: tuple[float, float] | None
    crs: Crs
    remark: str

    @property
    def is_offline(self) -> bool:
        return self.sent_at > self.seen_at

    def body(self) -> dict[str, object]:
        """The report as the phone posts it."""
        shown = from_wgs84(*self.place, self.crs) if self.place else None
        place = {"lon": round(shown[0], 7), "lat": round(shown[1], 7), "crs": self.crs.value} if shown else None
        return {
            "id": self.uuid,
            "category": self.category,
            "place": place,
            "occurred_at": self.seen_at.isoformat(),
            "description": self.remark,
        }


def rider_id(number: int) -> str:
    """``r-0001`` …"""
    return f"r-{number:04d}"


def plan(seed: int, day: date, net: Net, edition: Edition, *, reports: int, zone: str) -> list[Sighting]:
    """The day's sightings in order of sending. The same arguments, the same day to the last digit."""
    random = Random(f"beeline|{seed}")
    categories = _weighted(edition)
    hotspots = random.choices(range(len(net.grids)), k=HOTSPOTS)
    midnight = datetime.combine(day, time(), ZoneInfo(zone))
    sightings: list[Sighting] = []
    for _ in range(reports):
        seen_at = midnight + timedelta(seconds=_second_of_day(random))
        fresh = _fresh(random, seen_at, net.grids, hotspots, categories)
        again = random.random() < DUPLICATE_SHARE and sightings
        sightings.append(_seen_again(random, random.choice(sightings), fresh, midnight) if again else fresh)
    return sorted(sightings, key=lambda sighting: (sighting.sent_at, sighting.uuid))


def _weighted(edition: Edition) -> tuple[list[Category], list[float]]:
    categories = list(edition.categories)
    sizes = {family: sum(each.family == family for each in categories) for family in FAMILY_WEIGHTS}
    weights = [FAMILY_WEIGHTS.get(each.family, 0.05) / max(1, sizes.get(each.family, 1)) for each in categories]
    return categories, list(accumulate(weights))


def _second_of_day(random: Random) -> float:
    hours, weights = list(HOUR_WEIGHTS), list(accumulate(HOUR_WEIGHTS.values()))
    hour = hours[bisect(weights, random.random() * weights[-1])]
    return round((hour + random.random() * 0.98) * 3600, 3)


def _fresh(
    random: Random,
    seen_at: datetime,
    grids: Sequence[Grid],
    hotspots: list[int],
    categories: tuple[list[Category], list[float]],
) -> Sighting:
    kinds, weights = categories
    category = kinds[min(bisect(weights, random.random() * weights[-1]), len(kinds) - 1)]
    at = random.randrange(len(grids))
    if random.random() < HOT_SHARE:
        at = (random.choice(hotspots) + random.randint(-NEIGHBOURHOOD, NEIGHBOURHOOD)) % len(grids)
    place = _place(random, grids[at])
    chance, crs = random.random(), Crs.WGS84
    for system, share in CRS_SHARES:
        crs, chance = (system, 2.0) if chance < share else (crs, chance - share)
    offline = timedelta(minutes=random.uniform(10, 90)) if random.random() < OFFLINE_SHARE else timedelta()
    remarks = REMARKS.get(category.family, ("看到了",))
    return Sighting(
        uuid=uuid7_at(seen_at, random),
        rider=rider_id(random.randrange(RIDERS)),
        seen_at=seen_at,
        sent_at=_same_day(seen_at, offline),
        category=category.code,
        place=place,
        crs=crs,
        remark=random.choice(remarks),
    )


def _same_day(seen_at: datetime, delay: timedelta) -> datetime:
    last = seen_at.replace(hour=23, minute=58, second=0, microsecond=0)
    return max(seen_at, min(seen_at + delay, last))


def _place(random: Random, grid: Grid) -> tuple[float, float] | None:
    """Somewhere in the grid; now and then a metre from its edge, outside the city, or nowhere."""
    shape = Polygon(grid.rings[0], grid.rings[1:])
    west, south, east, north = shape.bounds
    chance = random.random()
    if chance < OUTSIDE_SHARE:
        return round(random.uniform(115.1, 115.6), 6), round(random.uniform(22.2, 22.6), 6)
    if chance < OUTSIDE_SHARE + NO_PLACE_SHARE:
        return None
    if chance < OUTSIDE_SHARE + NO_PLACE_SHARE + EDGE_SHARE:
        return _metre_from_edge(random, shape)
    while True:
        lon, lat = random.uniform(west, east), random.uniform(south, north)
        if shape.contains(Point(lon, lat)):
            return round(lon, 7), round(lat, 7)


def _metre_from_edge(random: Random, shape: Polygon) -> tuple[float, float]:
    on_edge = shape.exterior.interpolate(random.random(), normalized=True)
    middle = shape.centroid
    squeeze = cos(radians(on_edge.y))
    metres = hypot((middle.x - on_edge.x) * squeeze, middle.y - on_edge.y) * METRES_PER_DEGREE
    share = 1.0 / max(metres, 1.0)
    return on_edge.x + (middle.x - on_edge.x) * share, on_edge.y + (middle.y - on_edge.y) * share


def _seen_again(random: Random, first: Sighting, fresh: Sighting, midnight: datetime) -> Sighting:
    """Another rider passes the same thing within metres and minutes."""
    seen_at = first.seen_at + timedelta(seconds=round(random.uniform(20, 2400), 3))
    if first.place is None or seen_at >= midnight + timedelta(hours=23, minutes=55):
        return fresh
    lon, lat = first.place
    near = lon + random.uniform(-9e-5, 9e-5), lat + random.uniform(-9e-5, 9e-5)
    return replace(
        fresh,
        uuid=uuid7_at(seen_at, random),
        seen_at=seen_at,
        sent_at=seen_at,
        category=first.category,
        place=(round(near[0], 7), round(near[1], 7)),
    )
