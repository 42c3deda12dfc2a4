"""The demo runs by itself and ends with its numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import beeline, free_port


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_small_day_ends_with_one_line_of_numbers_and_a_clean_audit(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    ended = beeline(
        "demo", "--exit", "--json", "--reports", 250, "--port", free_port(), "--data", data, "--date", "2026-03-02",
        timeout=280,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    totals = json.loads(ended.stdout.splitlines()[-1])
    assert totals["reports"] == 250
    assert totals["audit"] == "ok"
    assert totals["closed"] > 50
    assert totals["escalated"]["community"] > 0
    assert (data / "day.svg").read_text().startswith("<svg")


def test_the_demo_does_not_delete_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    mine = tmp_path / "letters.txt"
    mine.write_text("dear all")
    ended = beeline("demo", "--exit", "--data", tmp_path)
    assert ended.returncode == 2
    assert "--data" in ended.stderr
    assert mine.read_text() == "dear all"
