"""A seeded city lives for a while among faults, and every invariant holds; a defect on purpose shows that it could fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from infra.simulator import Defect, SimulationResult, simulate

SEEDS = range(100, 124)
QUICK_DAYS, DAYS, WEEK_DAYS = 0.4, 1.0, 7.5
"""Cases are archived after seven days."""
DEFECT_SEEDS = range(1, 16)
"""The rarest defect needs a crash between two writes: about one day in three shows it. The first that does is enough."""


def lived(seed: int, days: float) -> SimulationResult:
    """A run without findings; otherwise the command that reproduces it."""
    result = simulate(seed, days)
    reproduce = f"beeline simulate --seed {seed} --days {days} --json"
    assert result.ok, "\n".join([reproduce, *map(str, result.findings)])
    return result


@pytest.mark.parametrize("seed", [1, 2])
def test_a_morning_among_faults_keeps_every_invariant(seed: int) -> None:
    result = lived(seed, QUICK_DAYS)
    assert sum(result.faults.values()) > 10
    assert result.events["beeline.case.filed.v1"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_among_faults_keeps_every_invariant(seed: int) -> None:
    lived(seed, DAYS)


@pytest.mark.slow
def test_a_week_sees_every_kind_of_fault_and_nearly_every_kind_of_event() -> None:
    result = lived(7, WEEK_DAYS)
    assert set(result.faults) == {
        "crash case owner",
        "crash projector",
        "crash rewarder",
        "crash rider owner",
        "crash router",
        "double",
        "freeze",
        "lose",
        "wake",
    }
    assert set(result.void_records) == {
        "void: a commit before it is missing",
        "void: answers a command that has been answered",
        "void: of a former owner",
        "void: stands after a hole",
    }
    happened = {name.removeprefix("beeline.").removesuffix(".v1") for name in result.events}
    assert happened >= {
        *("case.filed", "case.dispatched", "case.escalated", "case.closed", "case.voided", "case.reopened"),
        *("case.archived", "report.attached", "report.held", "report.declined", "report.detached", "report.withdrawn"),
        *("dispatch.accepted", "dispatch.released", "dispatch.returned", "handling.completed", "note.added"),
        *("inspection.passed", "inspection.failed", "deadline.missed", "notice.issued", "outcome.rated"),
        *("shelving.requested", "shelving.rejected", "case.shelved", "case.resumed"),
        *("points.awarded", "points.clawed_back", "rewards.settled"),
    }


@pytest.mark.slow
def test_the_same_seed_gives_the_same_log_in_another_process() -> None:
    code = "from infra.simulator import simulate; import json; print(json.dumps(simulate(5, 0.2).as_json()))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "4242"},
        capture_output=True,
        check=True,
        text=True,
    )
    here = simulate(5, 0.2).as_json()
    assert json.loads(run.stdout.splitlines()[-1]) == here
    assert simulate(6, 0.2).digest != here["digest"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("defect", "invariants"),
    [(Defect.NO_FILTER, {7}), (Defect.POSITION_FIRST, {1, 4}), (Defect.ROWS_FORGOTTEN, {3})],
)
def test_a_defect_is_found(defect: Defect, invariants: set[int]) -> None:
    found = (finding.invariant for seed in DEFECT_SEEDS for finding in simulate(seed, 1.0, defect=defect).findings)
    assert any(invariant in invariants for invariant in found)


def test_the_result_is_one_json_object_that_names_the_seed_and_what_happened() -> None:
    document = simulate(1, 0.05).as_json()
    assert (document["seed"], document["days"], document["audit"]) == (1, 0.05, "ok")
    assert set(document) == {"seed", "days", "events", "faults", "void_records", "audit", "digest"}
    assert json.loads(json.dumps(document)) == document
