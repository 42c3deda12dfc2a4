"""覆盖率 — what the net covered of each district, from each activation on."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Column, Connection, Integer, String, Table

from domain.directory import NetActivated
from domain.message import Envelope
from domain.net import DistrictCoverage
from projections.schema import Instant, Row, metadata, upsert

HANDLES = frozenset({NetActivated})

SHARES = ("grids_on_duty", "compounds_with_branch", "compounds_with_panel", "area_covered")
"""The four numbers that coverage is reported as."""

coverage_table = Table(
    "net_coverage",
    metadata,
    Column("activated_at", Instant, primary_key=True),
    Column("district", String, primary_key=True),
    Column("net", String),
    *(Column(f"{share}_{side}", Integer) for share in SHARES for side in ("part", "whole")),
)


def apply(connection: Connection, events: Sequence[Envelope]) -> None:
    """Fold a batch."""
    rows = [
        _row(event, district)
        for event in events
        if isinstance(event.data, NetActivated)
        for district in event.data.coverage
    ]
    upsert(connection, coverage_table, rows)


def _row(event: Envelope, district: DistrictCoverage) -> Row:
    shares = {share: getattr(district, share) for share in SHARES}
    sides = {f"{name}_{side}": getattr(share, side) for name, share in shares.items() for side in ("part", "whole")}
    return {"activated_at": event.time, "district": district.code, "net": event.subject.removeprefix("net:"), **sides}
