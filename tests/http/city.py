"""A small city behind the real HTTP application, with people who have tokens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from starlette.types import Message

from domain.message import Role
from domain.net import Level, Org
from infra.bootstrap import Beeline, Settings, running
from infra.net.synthetic import tessellate
from infra.uuid7 import uuid7_at

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
"""A Monday, 12:00 in Shenzhen: where the log's clock stands."""
BOX = [[114.05, 22.53], [114.07, 22.53], [114.07, 22.55], [114.05, 22.55], [114.05, 22.53]]
NET = tessellate({"type": "Polygon", "coordinates": [BOX]}, 400)
ORG = Org(NET.units)
SPOTS_IN_ROW = 14
SPOT_DEGREES = 0.0012
"""Two spots are more than 100 m apart: no two reports of different spots are about the same matter."""


@dataclass(frozen=True)
class Answer:
    """What the application answered."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def pointers(self) -> list[str]:
        """The fields that a problem points at."""
        return [error["pointer"] for error in self.body.get("errors", ())]


@dataclass
class City:
    """A running node, and ways to speak to it as this or that person."""

    node: Beeline

    def __post_init__(self) -> None:
        self._random, self._spots = Random(7), count()
        self.grids = [grid.code for grid in NET.grids]

    # -- people ----------------------------------------------------------------

    def token(self, person: str, *roles: Role, units: tuple[str, ...] = ()) -> str:
        """A bearer token."""
        return self.node.identity.issue(person, roles, units)

    def rider(self, person: str = "r-1") -> str:
        """A reporter's token."""
        return self.token(person, Role.REPORTER)

    def staff(self, role: Role, unit: str, person: str = "") -> str:
        """The token of somebody who works for a unit."""
        return self.token(person or f"{role.value}-{unit}", role, units=(unit,))

    def above(self, unit: str, level: Level) -> str:
        """The unit over ``unit`` at a level."""
        return next(code for code in ORG.ancestors(unit) if ORG.level(code) is level)

    # -- things ----------------------------------------------------------------

    def uuid(self, at: datetime | None = None) -> str:
        """A new UUIDv7, of now by the log's clock or of another instant."""
        return uuid7_at(at or self.node.host.now(), self._random)

    def report(self, **changes: Any) -> dict[str, Any]:
        """A good report at a spot where nobody has seen anything yet; None leaves a field out."""
        row, column = divmod(next(self._spots), SPOTS_IN_ROW)
        place = {"lon": 114.051 + column * SPOT_DEGREES, "lat": 22.531 + row * SPOT_DEGREES}
        report = {
            "id": self.uuid(),
            "category": "H-0101",
            "place": place,
            "occurred_at": (self.node.host.now() - timedelta(minutes=3)).isoformat(),
            "description": "井盖没了",
        }
        return {name: value for name, value in (report | changes).items() if value is not None}

    # -- speaking --------------------------------------------------------------

    async def get(self, path: str, token: str = "", **headers: str) -> Answer:
        """GET."""
        return await self.send("GET", path, None, token, **headers)

    async def post(self, path: str, body: Any, token: str = "", **headers: str) -> Answer:
        """POST a JSON document, or bytes as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.send("POST", path, raw, token, **{"content_type": "application/json"} | headers)

    async def submit(self, report: dict[str, Any], token: str = "") -> dict[str, Any]:
        """Send a report that must be taken, and say what became of it."""
        answer = await self.post("/v1/reports", report, token or self.rider(), prefer="wait=5")
        assert answer.status == 202, answer
        return dict(answer.body)

    async def filed(self, token: str = "", **changes: Any) -> str:
        """The id of a new case."""
        return str((await self.submit(self.report(**changes), token))["case_id"])

    async def unit_of(self, case_id: str) -> str:
        """Whose case it is."""
        administrator = self.token("root", Role.ADMINISTRATOR)
        seen = await self.get(f"/v1/cases/{case_id}", administrator)
        assert seen.status == 200, seen
        return str(seen.body["case"]["owner"])

    async def ask(self, thing: str, kind: str, token: str, command: str = "", /, **data: Any) -> Answer:
        """A command on a case or a report."""
        folder = "reports" if len(thing) >= 36 else "cases"
        body = {"id": command or self.uuid(), "type": kind, "data": data}
        return await self.post(f"/v1/{folder}/{thing}/commands", body, token)

    async def send(self, method: str, path: str, body: bytes | None, token: str, **headers: str) -> Answer:
        """One request through the ASGI application, as a server would make it."""
        path, _, query = path.partition("?")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["authorization"] = f"Bearer {token}"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "server": ("127.0.0.1", 8040),
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
        }
        answered: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def reply(message: Message) -> None:
            answered.append(message)

        await self.node.app(scope, receive, reply)
        content = b"".join(message.get("body", b"") for message in answered[1:])
        received = {name.decode(): value.decode() for name, value in answered[0]["headers"]}
        return Answer(answered[0]["status"], received, json.loads(content) if content else None)


@asynccontextmanager
async def city_in(folder: Path) -> AsyncIterator[City]:
    """A city whose log lies in ``folder``; its clock stands at `NOON`."""
    async with running(Settings(data=folder, net=NET, stepped_from=NOON), timer=False) as node:
        yield City(node)
