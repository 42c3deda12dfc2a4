"""The phones of the day: they post over real HTTP, with real tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import aiohttp

from domain.message import Role
from infra.city.plan import Sighting
from infra.city.players import Act, Person
from infra.identity import Identity

CONNECTIONS = 24
MAX_KEPT_FAULTS = 5
LIFE = frozenset({403, 404, 409, 410})
"""Statuses with which the city says no to somebody who came too late; a named reason goes with them."""


class Phones:
    """Sends, counts, and keeps what should not have happened."""

    def __init__(self, base: str, identity: Identity, part_time: Mapping[str, str]) -> None:
        self._identity, self._part_time = identity, part_time
        self._tokens: dict[str, str] = {}
        self._session = aiohttp.ClientSession(base, connector=aiohttp.TCPConnector(limit=CONNECTIONS))
        self.requests = 0
        self.refusals: Counter[str] = Counter()
        self.faults: list[str] = []
        self.fault_count = 0

    async def __aenter__(self) -> Phones:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def report(self, sightings: list[Sighting]) -> None:
        """One report, or what gathered in a phone while it was offline."""
        rider = Person(sightings[0].rider, Role.REPORTER)
        if len(sightings) == 1:
            await self._post("/v1/reports", rider, sightings[0].body())
            return
        answer = await self._post("/v1/reports/batch", rider, {"reports": [each.body() for each in sightings]})
        for item in (answer or {}).get("results", ()):
            if item["status"] != 202:
                self._fault(f"batch: {item}")

    async def act(self, act: Act) -> None:
        """One command."""
        await self._post(act.path, act.person, {"id": act.id, "type": act.type, "data": dict(act.data)})

    async def _post(self, path: str, person: Person, body: Mapping[str, Any]) -> dict[str, Any] | None:
        self.requests += 1
        headers = {"Authorization": f"Bearer {self._token(person)}"}
        try:
            async with self._session.post(path, json=body, headers=headers) as response:
                answer = await response.json(content_type=None)
        except (TimeoutError, aiohttp.ClientError) as error:
            self._fault(f"{path}: {error!r}")
            return None
        if response.status in LIFE and isinstance(answer, dict) and "reason" in answer:
            self.refusals[str(answer["reason"])] += 1
        elif response.status >= 300 or not isinstance(answer, dict):
            self._fault(f"{path} {body.get('type', '')}: {response.status} {answer}")
        return answer if isinstance(answer, dict) else None

    def _token(self, person: Person) -> str:
        if person.id not in self._tokens:
            grid = self._part_time.get(person.id)
            roles = [person.role, Role.PART_TIME_WORKER] if grid else [person.role]
            units = [unit for unit in (person.unit, grid) if unit]
            self._tokens[person.id] = self._identity.issue(person.id, roles, units)
        return self._tokens[person.id]

    def _fault(self, what: str) -> None:
        self.fault_count += 1
        if len(self.faults) < MAX_KEPT_FAULTS:
            self.faults.append(what[:500])
