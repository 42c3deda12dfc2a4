"""The bench: its generated logs are true logs, and every measurement runs and is on the page."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from infra.auditing import audit, differing_read_models
from infra.bench.city import city
from infra.bench.generate import generate
from infra.bench.page import page
from infra.bench.result import Line, Section, percentile
from infra.bench.run import MEASUREMENTS
from infra.database import ReadModels
from infra.embedded.log import LogReader
from infra.rebuilding import rebuild
from streams.record import Topic


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated log of all sorts of lives, with rebuilt read models."""
    folder = tmp_path_factory.mktemp("history")
    generate(folder, city(whole=False), 150)
    models = ReadModels(folder)
    rebuild(folder, models)
    models.close()
    return folder


@pytest.mark.slow
def test_a_generated_log_passes_the_audit(history: Path) -> None:
    found = audit(history)
    assert found.ok, found.findings
    assert found.cases == 150
    assert found.void_records == {}
    assert {"beeline.case.reopened.v1", "beeline.case.shelved.v1", "beeline.deadline.missed.v1"} <= found.events.keys()


@pytest.mark.slow
def test_a_generated_log_is_folded_like_any_other(history: Path) -> None:
    assert differing_read_models(history) == []


@pytest.mark.slow
def test_a_generated_log_stands_in_order_of_time(history: Path) -> None:
    reader = LogReader(history)
    for topic in (Topic.REPORT_EVENTS, Topic.CASE_EVENTS, Topic.RIDER_EVENTS):
        for partition in range(reader.partitions):
            times = [record.time for record in reader.read(topic, partition, 0, 100_000)]
            assert times == sorted(times)
            assert len(times) > 2
    reader.close()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_history(tmp_path: Path) -> None:
    def written(name: str) -> list[tuple[str, bytes]]:
        generate(tmp_path / name, city(whole=False), 20)
        reader = LogReader(tmp_path / name)
        found = [
            (record.key, record.value)
            for topic in (Topic.REPORT_EVENTS, Topic.CASE_EVENTS)
            for partition in range(reader.partitions)
            for record in reader.read(topic, partition, 0, 10_000)
            if record.headers.get("kind") != "owner-opened"
        ]
        reader.close()
        return found

    assert written("one") == written("two")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_measurement_runs_and_is_on_the_page(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    command = [sys.executable, "-m", "infra.bench", "--quick", "--out", str(out)]
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=root, env={**os.environ, "COLUMNS": "150"}
    )
    assert ended.returncode == 0, ended.stderr
    written = out.read_text(encoding="utf-8")
    assert written.count("\n## ") == len(MEASUREMENTS)
    assert written.count("**What holds it back.**") == len(MEASUREMENTS)
    for measured in ("report → row", "projector alone", "point → grid", "202 at once", "acknowledgement → queue, p99"):
        assert f"| {measured}" in written
    assert "indicators, the slowest" in written


def test_a_page_says_which_aims_are_missed() -> None:
    lines = (
        Line("fast", "events/s", 2_500, 50_000, "bare", "≥ 1/20", True),
        Line("slow", "ms", 212.4, aim="≤ 200 ms", met=False),
        Line("just so", "ms", 3.14),
    )
    written = page([Section("标题 · Title", "How.", "Why.", lines, (("a", "b"), ("1", "2")))], date(2026, 11, 24))
    assert "| fast | 2,500 events/s | 50,000 (bare) | 0.05 | ≥ 1/20 | 是 yes |" in written
    assert "| slow | 212 ms |  |  | ≤ 200 ms | **否 no** |" in written
    assert "| just so | 3.14 ms |  |  |  |  |" in written
    assert "2026-11-24" in written


@pytest.mark.parametrize(("p", "expected"), [(50, 2), (75, 3), (99, 4), (1, 1)])
def test_a_percentile_is_the_value_at_the_nearest_rank(p: int, expected: float) -> None:
    assert percentile([4, 1, 3, 2], p) == expected
