"""历史 — a city's history, as it was found in a file: rows that can be replayed, and rows that cannot, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from domain.crs import Crs
from domain.place import Place
from infra.importing.columns import Column

Progress = Callable[[str, int, int], None]
"""Told (what, done, of all) as the work goes on."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One report of the past. The same row has the same ``uuid`` in every run."""

    line: int
    """Of the file; 1 is the header."""
    uuid: str
    """UUIDv7: the open time, and a hash of the key or of the row's content."""
    opened_at: datetime
    closed_at: datetime | None
    category: str
    """A code of the catalogue."""
    place: Place | None
    description: str | None
    reporter: str | None
    """None: anonymous."""


@dataclass(frozen=True, slots=True)
class Reject:
    """剔除 — a row that is left out, the cell that is to blame, and why (Chinese · English)."""

    line: int
    reason: str
    value: str
    column: str


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What is known about a file beforehand; what is None or missing is found out from the file itself."""

    columns: Mapping[Column, str] = field(default_factory=dict)
    time_format: str | None = None
    zone: str | None = None
    crs: Crs | None = None
    category: str | None = None
    """One code for every row."""
    category_map: Path | None = None
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What a file holds."""

    rows: Sequence[HistoryRow]
    """In order of (opened_at, line)."""
    rejects: Sequence[Reject] = ()
    total: int = 0
    """Rows of the file, the header left out."""
    repeated: int = 0
    """Rows that are there twice, word for word."""
    ambiguous_times: int = 0
    """Local times that the end of summer time brings twice: the first of the two was taken."""
    zone: str = "Asia/Shanghai"
    columns: Mapping[Column, str] = field(default_factory=dict)
    settled: Sequence[str] = ()
    """What the file did not say and was found out or assumed (Chinese · English)."""
