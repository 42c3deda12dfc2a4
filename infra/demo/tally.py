"""The day in numbers, as it happens: what the live view and the plot show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from domain.case import events as e
from domain.message import Envelope
from domain.net import Level, Org
from domain.rider import PointsAwarded, PointsClawedBack
from domain.routing import UNMAPPED

LEVEL_NAMES = {
    Level.GRID: "网格 grid",
    Level.COMMUNITY: "社区 community",
    Level.STREET: "街道 street",
    Level.DISTRICT: "区 district",
    Level.CITY: "市 city",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of the city at an instant."""

    at: datetime
    reports: int
    filed: int
    closed: int
    open_by_level: dict[Level, int]


@dataclass
class Tally:
    """Counts events of cases and riders."""

    org: Org
    counts: Counter[str] = field(default_factory=Counter)
    escalated: Counter[Level] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    points: int = 0
    samples: list[Sample] = field(default_factory=list)
    places: list[tuple[float, float, bool]] = field(default_factory=list)
    """Where cases were filed (lon, lat), and whether they have been closed."""
    _owner: dict[str, tuple[str, Level]] = field(default_factory=dict)
    """District and owner level of each open case."""
    _spot: dict[str, int] = field(default_factory=dict)

    def see(self, event: Envelope) -> None:
        """Count one event."""
        data, case = event.data, event.subject
        match data:
            case e.CaseFiled():
                self.counts["filed"] += 1
                self.counts["unmapped"] += data.route.how in UNMAPPED
                district = next((u for u in data.route.ancestors if self.org.level(u) is Level.DISTRICT), self.org.city)
                self._owner[case] = district, data.route.unit.level
                if data.place is not None:
                    self._spot[case] = len(self.places)
                    self.places.append((data.place.lon, data.place.lat, False))
            case e.ReportAttached():
                self.counts["attached"] += 1
            case e.ReportHeld():
                self.counts["held"] += 1
            case e.ReportDeclined():
                self.counts["declined"] += 1
            case e.DeadlineMissed():
                self.missed[data.stage.value] += 1
            case e.CaseEscalated():
                self.escalated[data.to_unit.level] += 1
                self._move(case, data.to_unit.level)
            case e.CaseDispatched():
                self._move(case, data.route.unit.level)
            case e.DispatchReturned():
                self._move(case, data.desk.level)
            case e.CaseClosed() | e.CaseVoided():
                self._ended(case, data)
            case e.CaseReopened():
                self._owner[case] = self.org.city, Level.GRID
            case PointsAwarded():
                self.points += data.points
            case PointsClawedBack():
                self.points -= data.points

    def _move(self, case: str, level: Level) -> None:
        district, _ = self._owner.get(case, (self.org.city, level))
        self._owner[case] = district, level

    def _ended(self, case: str, data: e.CaseClosed | e.CaseVoided) -> None:
        self._owner.pop(case, None)
        self.counts["closed" if isinstance(data, e.CaseClosed) else "voided"] += 1
        if case in self._spot:
            lon, lat, _ = self.places[self._spot[case]]
            self.places[self._spot[case]] = lon, lat, True

    def open_by_level(self) -> dict[Level, int]:
        """Open cases by the level of their owner."""
        counted = Counter(level for _, level in self._owner.values())
        return {level: counted[level] for level in Level}

    def open_by_district(self) -> Counter[str]:
        """Open cases by district."""
        return Counter(district for district, _ in self._owner.values())

    def sample(self, at: datetime) -> None:
        """Remember this instant for the plot."""
        counts = self.counts
        self.samples.append(Sample(at, counts["reports"], counts["filed"], counts["closed"], self.open_by_level()))
