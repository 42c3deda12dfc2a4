"""剔除清单 — the rows that were left out, in a table of their own, for whoever can put them right."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from infra.importing.history import Reject
from infra.importing.table import UTF8

HEADER = ("line", "column", "value", "reason")


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write ``rejects`` in order of their lines, in place of what an earlier run left there. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w", encoding=UTF8, newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for reject in sorted(rejects, key=lambda each: each.line):
            rows.writerow((reject.line, reject.column, reject.value, reject.reason))
