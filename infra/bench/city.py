"""The city of the measurements, and reports of which no two are about the same matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from random import Random

from shapely import Polygon

from domain.catalogue import Edition, Filing
from domain.ids import cell_at, report_id
from domain.message import Envelope
from domain.net import Grid, Net
from domain.place import Place
from domain.report import ReportSubmitted
from domain.sealing import Sealed
from infra.net.shenzhen import shenzhen
from infra.net.synthetic import tessellate
from infra.uuid7 import uuid7_at
from streams.record import NewRecord, Topic, partition_of

SEED = 7
RIDERS = 400
SQUARE = [[114.0, 22.5], [114.08, 22.5], [114.08, 22.56], [114.0, 22.56], [114.0, 22.5]]
DESCRIPTION = "井盖松动, 车轮差点陷进去, 晚上看不见, 请尽快处理"
CIPHER = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ"
"""As long as a sealed `DESCRIPTION`."""


@cache
def city(*, whole: bool) -> Net:
    """Shenzhen, or a square of a few hundred grids."""
    return shenzhen() if whole else tessellate({"type": "Polygon", "coordinates": [SQUARE]}, 400, name="Square")


def described(net: Net) -> str:
    """As the page speaks of it."""
    return f"the net of {net.name_en} with {len(net.grids):,} grids"


def point_in(grid: Grid) -> tuple[float, float]:
    """A point well inside (lon, lat), which a phone would send."""
    point = Polygon(grid.rings[0], grid.rings[1:]).representative_point()
    return round(point.x, 7), round(point.y, 7)


def automatic(edition: Edition) -> list[str]:
    """Codes of the categories whose reports are filed at once."""
    return [category.code for category in edition.categories if category.filing is Filing.AUTOMATIC]


def rider(number: int) -> str:
    """``r-000`` …"""
    return f"r-{number % RIDERS:03d}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rider saw, and what names the report."""

    uuid: str
    rider: str
    category: str
    lon: float
    lat: float
    at: datetime

    def body(self) -> dict[str, object]:
        """As a phone posts it."""
        return {
            "id": self.uuid,
            "category": self.category,
            "place": {"lon": self.lon, "lat": self.lat},
            "occurred_at": self.at.isoformat(),
            "description": DESCRIPTION,
        }

    def event(self, edition: str) -> Envelope:
        """As the edge makes it."""
        report = report_id(cell_at(self.lon, self.lat), self.uuid)
        submitted = ReportSubmitted(
            report=report,
            reporter=self.rider,
            category=self.category,
            edition=edition,
            place=Place(lon=self.lon, lat=self.lat),
            occurred_at=self.at,
            description=Sealed(person=self.rider, cipher=CIPHER),
        )
        return Envelope(
            id=self.uuid,
            source="/beeline/http",
            subject=report,
            time=self.at,
            data=submitted,
            correlationid=self.uuid,
        )

    def record(self, edition: str, partitions: int) -> NewRecord:
        """As the edge appends it."""
        cell = cell_at(self.lon, self.lat)
        headers = {"id": self.uuid, "correlation-id": self.uuid}
        value = self.event(edition).encode()
        return NewRecord(Topic.REPORT_EVENTS, partition_of(cell, partitions), cell, value, headers)


class Riders:
    """See one matter after the other: another grid each time, and once all have had one another category."""

    def __init__(self, net: Net, edition: Edition, seed: int = SEED) -> None:
        self._random = Random(f"bench|{seed}")
        self._grids = self._random.sample(net.grids, len(net.grids))
        self._categories = automatic(edition)
        self._numbers = count()

    def see(self, number: int, now: datetime) -> list[Seen]:
        """The next ``number`` matters, seen a minute before ``now``."""
        return list(self._see(number, now))

    def _see(self, number: int, now: datetime) -> Iterator[Seen]:
        for _ in range(number):
            nth = next(self._numbers)
            rounds, at = divmod(nth, len(self._grids))
            category = self._categories[(nth + rounds) % len(self._categories)]
            lon, lat = point_in(self._grids[at])
            yield Seen(uuid7_at(now, self._random), rider(nth), category, lon, lat, now - timedelta(minutes=1))
