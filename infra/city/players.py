"""The people of the day: who answers what, when, and who forgets.

Every choice hangs on the seed and the thing it is about, never on the order in which things arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from random import Random

from domain.case import events as e
from domain.message import Envelope, Role
from domain.net import Level, Org, UnitKind
from domain.routing import UNMAPPED, Route
from infra.city.plan import Sighting
from infra.uuid7 import uuid7_at

SLEEPY_SHARE = 0.12
"""Communities in which everything is forgotten more often."""

LETTERS = {Level.GRID: "w", Level.COMMUNITY: "d", Level.STREET: "d", Level.DISTRICT: "d", Level.CITY: "d"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token: their id, role and unit."""

    id: str
    role: Role
    unit: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Act:
    """A command that somebody will send at an instant."""

    at: datetime
    id: str
    path: str = field(compare=False)
    person: Person = field(compare=False)
    type: str = field(compare=False)
    data: Mapping[str, object] = field(compare=False)

    def body(self) -> dict[str, object]:
        """The command as it is posted."""
        return {"id": self.id, "type": self.type, "data": self.data}


@dataclass(slots=True)
class Standing:
    """What a player knows of a case."""

    route: Route
    severity: int
    evidence: tuple[str, ...]
    owner: str
    level: Level
    round: int = 0
    """Grows with everything that makes earlier intentions pointless."""


class Players:
    """Turns events into intentions, and hands out those whose time has come."""

    def __init__(self, seed: int, org: Org, end: datetime) -> None:
        self._seed, self._org, self._end = seed, org, end
        self._cases: dict[str, Standing] = {}
        self._acts: list[tuple[Act, str, int]] = []

    def next_instant(self) -> datetime | None:
        """When somebody next means to act."""
        return self._acts[0][0].at if self._acts else None

    def due(self, now: datetime) -> list[Act]:
        """The acts up to ``now`` that still make sense to the one who meant them."""
        acts = []
        while self._acts and self._acts[0][0].at <= now:
            act, case, meant_in = heappop(self._acts)
            if meant_in < 0 or self._cases[case].round == meant_in:
                acts.append(act)
        return acts

    def reported(self, sighting: Sighting) -> None:
        """A rider thinks better of it, once in a while."""
        random = self._random(sighting.uuid, "withdraw")
        if random.random() < 0.01:
            person = Person(sighting.rider, Role.REPORTER)
            at = sighting.sent_at
            self._mean(sighting.uuid, at, random, (5, 30), person, "WithdrawReport", {}, path="reports", keep=True)

    def see(self, event: Envelope) -> None:
        """React to one event of a case."""
        data, case = event.data, event.subject
        if isinstance(data, e.CaseFiled):
            route = data.route
            self._cases[case] = Standing(
                route, data.terms.severity, data.terms.evidence, route.unit.unit, route.unit.level
            )
        standing = self._cases.get(case)
        if isinstance(data, e.ReportHeld):
            self._held(event, data)
        elif standing is not None and (react := self._reactions().get(type(data))) is not None:
            standing.round += 1
            react(case, standing, event)

    def _reactions(self) -> dict[type, Callable[[str, Standing, Envelope], None]]:
        return {
            e.CaseFiled: self._filed,
            e.CaseDispatched: self._dispatched,
            e.CaseEscalated: self._escalated,
            e.DispatchAccepted: self._accepted,
            e.DispatchReturned: self._returned,
            e.HandlingCompleted: self._completed,
            e.InspectionFailed: self._failed,
            e.CaseClosed: self._closed,
            e.CaseVoided: self._ended,
            e.CaseReopened: self._reopened,
        }

    # -- reactions -----------------------------------------------------------

    def _held(self, event: Envelope, held: e.ReportHeld) -> None:
        random = self._random(event.subject, "held")
        desk = held.route.desk
        person, chance = Person(f"d-{desk.unit}", Role.DISPATCHER, desk.unit), random.random()
        if chance < 0.75:
            self._mean(event.subject, event.time, random, (3, 25), person, "AdmitReport", {}, path="reports", keep=True)
        elif chance < 0.9:
            reason = {"reason": "不属于网格受理范围 · not a matter for the grid"}
            self._mean(
                event.subject, event.time, random, (3, 25), person, "DeclineReport", reason, path="reports", keep=True
            )

    def _filed(self, case: str, standing: Standing, event: Envelope) -> None:
        """What nobody could map waits at the city's dispatch desk."""
        if standing.route.how not in UNMAPPED:
            return
        random = self._random(case, "desk")
        desk = Person(f"d-{standing.owner}", Role.DISPATCHER, standing.owner)
        chance = random.random()
        if chance < 0.55:
            data: dict[str, object] = {"outcome": "referred", "reason": "市域以外, 已转办 · outside the city, referred"}
            self._mean(case, event.time, random, (2, 40), desk, "CloseCase", data)
        elif chance < 0.85 and (unit := self._some_community(random)):
            city = Person(f"d-{self._org.city}", Role.DISPATCHER, self._org.city)
            self._mean(case, event.time, random, (2, 12), city, "DispatchCase", {"unit": unit})

    def _dispatched(self, case: str, standing: Standing, event: Envelope) -> None:
        if isinstance(event.data, e.CaseDispatched):
            standing.route = event.data.route
            standing.owner, standing.level = event.data.route.unit.unit, event.data.route.unit.level
        random = self._random(case, f"accept {standing.round}")
        chance, asleep = random.random(), self._sleepy(standing)
        if chance < (0.35 if asleep else 0.86):
            self._mean(case, event.time, random, (1, 11), self._worker(standing), "AcceptDispatch", {})
        elif chance < 0.93:
            self._mean(case, event.time, random, (16, 50), self._worker(standing), "AcceptDispatch", {})

    def _escalated(self, case: str, standing: Standing, event: Envelope) -> None:
        if not isinstance(event.data, e.CaseEscalated):
            return
        standing.owner, standing.level = event.data.to_unit.unit, event.data.to_unit.level
        random = self._random(case, f"climbed {standing.level}")
        awake = 0.25 if self._sleepy(standing) and standing.level is not Level.CITY else 0.72
        if event.data.stage is not e.Stage.INSPECT and random.random() < awake:
            self._mean(case, event.time, random, (4, 55), self._worker(standing), "AcceptDispatch", {})

    def _accepted(self, case: str, standing: Standing, event: Envelope) -> None:
        if not isinstance(event.data, e.DispatchAccepted):
            return
        random = self._random(case, f"handle {standing.round}")
        person, chance = self._worker(standing), random.random()
        if chance < 0.05 and standing.level is Level.GRID:
            reason = {"reason": "不在本网格 · not in this grid"}
            self._mean(case, event.time, random, (2, 10), person, "ReturnDispatch", reason)
        elif chance < 0.93:
            span = (12, 100) if standing.severity == 4 else (25, 420)
            self._mean(case, event.time, random, span, person, "CompleteHandling", self._evidence(case, standing))

    def _returned(self, case: str, standing: Standing, event: Envelope) -> None:
        if not isinstance(event.data, e.DispatchReturned):
            return
        random, desk = self._random(case, f"return {standing.round}"), event.data.desk.unit
        standing.owner, standing.level = desk, event.data.desk.level
        areas = [code for code in self._org.children(desk) if self._kind(code) is UnitKind.AREA]
        if areas and random.random() < 0.9:
            person = Person(f"d-{desk}", Role.DISPATCHER, desk)
            self._mean(case, event.time, random, (2, 20), person, "DispatchCase", {"unit": random.choice(areas)})

    def _completed(self, case: str, standing: Standing, event: Envelope) -> None:
        random, above = self._random(case, f"inspect {standing.round}"), standing.route.ancestors[0]
        chance, person = random.random(), Person(f"i-{above}", Role.INSPECTOR, above)
        if chance > 0.97:
            return
        if chance < 0.89:
            self._mean(case, event.time, random, (3, 24), person, "PassInspection", {})
        else:
            reason = {"reason": "现场未处理到位 · not dealt with on the spot"}
            self._mean(case, event.time, random, (3, 24), person, "FailInspection", reason)

    def _failed(self, case: str, standing: Standing, event: Envelope) -> None:
        random, data = self._random(case, f"rework {standing.round}"), self._evidence(case, standing)
        self._mean(case, event.time, random, (15, 110), self._worker(standing), "CompleteHandling", data)

    def _closed(self, case: str, standing: Standing, event: Envelope) -> None:
        random = self._random(case, f"rate {standing.round}")
        if not isinstance(event.data, e.CaseClosed) or event.data.first is None:
            return
        chance, first = random.random(), event.data.first
        if chance < 0.25:
            score = {"score": random.choices((1, 2, 3, 4, 5), (1, 1, 2, 6, 10))[0]}
            self._mean(case, event.time, random, (5, 90), Person(first.reporter, Role.REPORTER), "RateOutcome", score)
        elif chance < 0.26:
            street = next(code for code in standing.route.ancestors if self._org.level(code) is not Level.COMMUNITY)
            person, reason = Person(f"s-{street}", Role.SUPERVISOR, street), {"reason": "督办抽查 · spot check"}
            self._mean(case, event.time, random, (20, 60), person, "ReopenCase", reason)

    def _ended(self, _: str, __: Standing, ___: Envelope) -> None:
        """Nobody means to do anything more."""

    def _reopened(self, case: str, standing: Standing, event: Envelope) -> None:
        self._dispatched(case, standing, event)

    # -- who, when, and what is left to chance ---------------------------------

    def _random(self, thing: str, about: str) -> Random:
        return Random(f"{self._seed}|{thing}|{about}")

    def _sleepy(self, standing: Standing) -> bool:
        return self._random(standing.route.desk.unit, "sleepy").random() < SLEEPY_SHARE

    def _kind(self, code: str) -> UnitKind | None:
        unit = self._org.unit(code)
        return unit.kind if unit else None

    def _worker(self, standing: Standing) -> Person:
        """Who acts for the unit that has the case."""
        kind = self._kind(standing.owner)
        if kind is UnitKind.TEAM:
            return Person(f"e-{standing.owner}", Role.ENFORCEMENT_OFFICER, standing.owner)
        if kind is UnitKind.PANEL:
            return Person(f"m-{standing.owner}", Role.MEDIATOR, standing.owner)
        role = Role.GRID_WORKER if standing.level is Level.GRID else Role.DISPATCHER
        return Person(f"{LETTERS[standing.level]}-{standing.owner}", role, standing.owner)

    def _evidence(self, case: str, standing: Standing) -> dict[str, object]:
        return {"evidence": {kind: f"{kind}:{case}" for kind in standing.evidence}}

    def _some_community(self, random: Random) -> str:
        code = self._org.city
        while self._org.level(code) is not Level.COMMUNITY:
            areas = [child for child in self._org.children(code) if self._kind(child) is UnitKind.AREA]
            code = random.choice(areas)
        return code

    def _mean(
        self,
        thing: str,
        since: datetime,
        random: Random,
        minutes: tuple[float, float],
        person: Person,
        kind: str,
        data: Mapping[str, object],
        *,
        path: str = "cases",
        keep: bool = False,
    ) -> None:
        """Intend something for later today; dropped when the case has moved on meanwhile, unless ``keep``."""
        at = since + timedelta(minutes=random.uniform(*minutes))
        if at >= self._end:
            return
        act = Act(at, uuid7_at(at, random), f"/v1/{path}/{thing}/commands", person, kind, data)
        heappush(self._acts, (act, thing, -1 if keep else self._cases[thing].round))
