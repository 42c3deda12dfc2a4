"""What was answered 202 survives kill -9 at any instant."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from domain.message import Role
from infra.seed import seed_edition
from infra.uuid7 import uuid7_at
from tests.e2e.conftest import Server, beeline

ROUNDS = int(os.environ.get("BEELINE_KILL_ROUNDS", "6"))
REPORTS_PER_SECOND = 50
RIDERS = 20


class Load:
    """Riders who send, and send again what nobody answered."""

    def __init__(self, server: Server, random: Random) -> None:
        self._server, self._random = server, random
        self._categories = [category.code for category in seed_edition().categories]
        self.tokens = {f"r-{n}": server.token(f"r-{n}", Role.REPORTER) for n in range(RIDERS)}
        self.accepted: dict[str, str] = {}
        self.unanswered: dict[str, tuple[str, dict[str, object]]] = {}
        self._lock = threading.Lock()

    def report(self) -> tuple[str, dict[str, object]]:
        now = datetime.now(UTC)
        place = {"lon": 114.001 + self._random.random() * 0.028, "lat": 22.501 + self._random.random() * 0.028}
        return f"r-{self._random.randrange(RIDERS)}", {
            "id": uuid7_at(now, self._random),
            "category": self._random.choice(self._categories),
            "place": place,
            "occurred_at": now.isoformat(),
        }

    def send(self, rider: str, body: dict[str, object]) -> None:
        uuid = str(body["id"])
        with self._lock:
            self.unanswered[uuid] = (rider, body)
        try:
            answer = self._server.ask("POST", "/v1/reports", body, token=self.tokens[rider])
        except (OSError, ValueError):
            return
        if answer.status == 202:
            with self._lock:
                self.accepted[uuid] = rider
                self.unanswered.pop(uuid, None)

    def run(self, seconds: float) -> None:
        """About fifty reports a second until the server is killed in the middle of them."""
        with ThreadPoolExecutor(16) as threads:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                threads.submit(self.send, *self.report())
                time.sleep(1 / REPORTS_PER_SECOND)
            self._server.kill()


def audit(data: Path) -> dict[str, object]:
    ended = beeline("audit", "--deep", "--json", "--data", data)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    document: dict[str, object] = json.loads(ended.stdout.splitlines()[-1])
    return document


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * ROUNDS)
def test_a_report_that_was_answered_202_is_in_one_case_or_held_after_any_kill(server: Server) -> None:
    random = Random(20)
    server.start()
    load = Load(server, random)
    for _ in range(ROUNDS):
        for rider, body in list(load.unanswered.values()):
            load.send(rider, body)
        load.run(random.uniform(0.3, 1.5))
        server.start()
    for rider, body in list(load.unanswered.values()):
        load.send(rider, body)
    assert not load.unanswered
    fates = Counter(
        str(server.ask("GET", f"/v1/reports/{uuid}", token=load.tokens[rider]).body.get("status"))
        for uuid, rider in load.accepted.items()
    )
    assert set(fates) <= {"filed", "attached", "held"}, fates
    assert audit(server.data)["reports"] == len(load.accepted)
    assert server.stop() == 0
    assert audit(server.data)["audit"] == "ok"
