"""What every test shares."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("default", max_examples=60, deadline=None, print_blob=True)
settings.load_profile("default")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is required (``BEELINE_REQUIRE_EVERYTHING``), a skipped test has failed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("BEELINE_REQUIRE_EVERYTHING"):
        report.outcome = "failed"
    return report
