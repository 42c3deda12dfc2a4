"""A running server over a small town, and the people who speak to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from domain.message import Role
from domain.net import Level, Net, Org
from infra.net.files import write_net
from infra.uuid7 import uuid7_at
from tests.e2e.conftest import Answer, Server

MANHOLE = "H-0101"
PHOTO = {"photo": "media/1"}
SPOTS_IN_ROW = 22
SPOT_DEGREES = 0.0012
"""Two spots are more than 100 m apart: no two reports of different spots are about the same matter."""
SOON_SECONDS = 10


@dataclass
class Town:
    """A running server, and the people who speak to it."""

    server: Server
    _random: Random = field(default_factory=lambda: Random(12))
    _spots: Iterator[int] = field(default_factory=count)
    _position: str = ""
    """Of the last write: reads wait until they can show it."""

    def __post_init__(self) -> None:
        self.org = Org(self.server.net.units)
        self.grids = [grid.code for grid in self.server.net.grids]

    # -- people --------------------------------------------------------------------

    def rider(self, person: str) -> str:
        return self.server.token(person, Role.REPORTER)

    def staff(self, role: Role, unit: str, person: str = "") -> str:
        return self.server.token(person or f"{role.value}-{unit}", role, units=(unit,))

    def above(self, unit: str, level: Level) -> str:
        return next(code for code in self.org.ancestors(unit) if self.org.level(code) is level)

    # -- things --------------------------------------------------------------------

    def uuid(self) -> str:
        return uuid7_at(datetime.now(UTC), self._random)

    def report(self, **changes: object) -> dict[str, Any]:
        """A good report of a spot where nobody has seen anything yet."""
        row, column = divmod(next(self._spots), SPOTS_IN_ROW)
        return {
            "id": self.uuid(),
            "category": MANHOLE,
            "place": {"lon": 114.0015 + column * SPOT_DEGREES, "lat": 22.5015 + row * SPOT_DEGREES},
            "occurred_at": (datetime.now(UTC) - timedelta(minutes=2)).isoformat(),
            **changes,
        }

    # -- speaking ------------------------------------------------------------------

    def get(self, path: str, token: str) -> Answer:
        if not self._position:
            return self.server.ask("GET", path, token=token)
        return self.server.ask("GET", path, token=token, Beeline_After=self._position)

    def post(self, path: str, body: object, token: str, prefer: str = "wait=10") -> Answer:
        answer = self.server.ask("POST", path, body, token=token, Prefer=prefer)
        self._position = answer.headers.get("beeline-position", self._position)
        return answer

    def send(self, report: object, token: str = "") -> Answer:
        return self.post("/v1/reports", report, token or self.rider("r-0"))

    def submit(self, report: dict[str, Any], token: str = "") -> dict[str, Any]:
        """Send a report that must be taken, and say what became of it."""
        answer = self.send(report, token)
        assert answer.status == 202, answer
        return dict(answer.body)

    def filed(self, token: str = "", **changes: object) -> tuple[str, str]:
        """A new case: its id, and the grid in whose queue it stands."""
        case = str(self.submit(self.report(**changes), token)["case_id"])
        return case, str(self.case(case)["case"]["owner"])

    def case(self, case: str) -> dict[str, Any]:
        """As an administrator sees it."""
        answer = self.get(f"/v1/cases/{case}", self.server.token("root", Role.ADMINISTRATOR))
        assert answer.status == 200, answer
        return dict(answer.body)

    def command(self, case: str, token: str, body: object) -> Answer:
        return self.post(f"/v1/cases/{case}/commands", body, token)

    def ask(self, case: str, kind: str, token: str, **data: object) -> Answer:
        return self.command(case, token, {"id": self.uuid(), "type": kind, "data": data})

    def done(self, case: str, kind: str, token: str, **data: object) -> list[str]:
        """Ask something that must happen; the short names of the events."""
        answer = self.ask(case, kind, token, **data)
        assert (answer.status, answer.body["outcome"]) == (200, "applied"), answer
        return [event["type"].split(".", 1)[1].removesuffix(".v1") for event in answer.body["events"]]

    def queue(self, unit: str, token: str, query: str = "") -> dict[str, dict[str, Any]]:
        answer = self.get(f"/v1/units/{unit}/queue{query}", token)
        assert answer.status == 200, answer
        return {item["item"]: item for item in answer.body["items"]}

    def balance(self, rider: str, expected: int) -> dict[str, Any]:
        """The rider's account once it holds what is expected; points follow a case after a moment."""
        deadline = time.monotonic() + SOON_SECONDS
        while True:
            answer = self.get(f"/v1/riders/{rider}/points", self.rider(rider))
            if answer.body["balance"]["balance"] == expected or time.monotonic() > deadline:
                assert answer.body["balance"]["balance"] == expected, answer
                return dict(answer.body)
            time.sleep(0.05)


@contextmanager
def running_town(folder: Path, net: Net) -> Iterator[Town]:
    """A town whose server's data lie in ``folder``; it must end well when it is told to."""
    write_net(net, folder / "net.json")
    server = Server(folder / "data", net, folder / "net.json")
    try:
        server.start()
        yield Town(server)
        assert server.stop() == 0
    finally:
        server.kill()
