"""`beeline rebuild` beside a running server: reads go on, and the numbers are what they were."""

from __future__ import annotations

import json
import threading
from collections import Counter

import pytest

from domain.message import Role
from tests.e2e.conftest import Server, beeline
from tests.e2e.town import Town

REPORTS = 40


@pytest.mark.slow
def test_reads_go_on_during_a_rebuild_and_digests_are_equal(server: Server) -> None:
    server.start()
    town = Town(server)
    cases = [town.filed(town.rider(f"r-{number}"))[0] for number in range(REPORTS)]
    administrator = server.token("root", Role.ADMINISTRATOR)
    before = json.loads(beeline("digest", "--data", server.data, "--json").stdout)
    stop, answers = threading.Event(), Counter[tuple[int, int]]()

    def look() -> None:
        queue = f"/v1/units/{town.org.city}/queue?subtree=true&limit=500"
        while not stop.is_set():
            answer = server.ask("GET", queue, token=administrator)
            answers[answer.status, len(answer.body.get("items", ()))] += 1
            answers[server.ask("GET", f"/v1/cases/{cases[0]}", token=administrator).status, REPORTS] += 1

    reader = threading.Thread(target=look)
    reader.start()
    made = [beeline("rebuild", "--data", server.data) for _ in range(2)]
    stop.set()
    reader.join()
    assert [(each.returncode, each.stderr.count("2.db") + each.stderr.count("3.db")) for each in made] == [
        (0, 1),
        (0, 1),
    ]
    assert set(answers) == {(200, REPORTS)}, answers
    assert json.loads(beeline("digest", "--data", server.data, "--json").stdout) == before
    later, _ = town.filed(town.rider("r-later"))
    assert town.case(later)["case"]["status"] == "dispatched"
    audit = beeline("audit", "--deep", "--json", "--data", server.data)
    assert audit.returncode == 0, audit.stdout
