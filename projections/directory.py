"""名录 — what units and categories are called, and in which time zone the city counts its days: to show numbers by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Column, Connection, String, Table, select

from domain.directory import UNPUBLISHED, CalendarActivated, EditionActivated, NetPartPublished
from domain.message import Envelope, Value
from projections.schema import Instant, Row, in_pieces, metadata, upsert

HANDLES = frozenset({NetPartPublished, EditionActivated, CalendarActivated})

unit_table = Table(
    "unit",
    metadata,
    Column("code", String, primary_key=True),
    Column("kind", String),
    Column("level", String),
    Column("parent", String),
    Column("name_zh", String),
    Column("name_en", String),
)
"""Every unit of any net that was ever published, as the latest one calls it."""

category_table = Table(
    "category",
    metadata,
    Column("code", String, primary_key=True),
    Column("family", String),
    Column("name_zh", String),
    Column("name_en", String),
)
family_table = Table(
    "family",
    metadata,
    Column("code", String, primary_key=True),
    Column("name_zh", String),
    Column("name_en", String),
)

calendar_table = Table(
    "calendar",
    metadata,
    Column("version", String, primary_key=True),
    Column("zone", String),
    Column("activated_at", Instant),
)
"""Every calendar that was ever current; the one that was activated last is."""


class Name(Value):
    """What something is called."""

    zh: str
    en: str


def apply(connection: Connection, events: Sequence[Envelope]) -> None:
    """Fold a batch."""
    for event in events:
        match event.data:
            case NetPartPublished(units=units):
                upsert(connection, unit_table, [unit.model_dump(mode="json") for unit in units])
            case EditionActivated(edition=edition):
                upsert(connection, family_table, [family.model_dump() for family in edition.families])
                categories: list[Row] = [
                    {"code": each.code, "family": each.family, "name_zh": each.minor_zh, "name_en": each.minor_en}
                    for each in edition.categories
                ]
                upsert(connection, category_table, categories)
            case CalendarActivated(calendar=calendar):
                row = {"version": calendar.version, "zone": calendar.zone, "activated_at": event.time}
                upsert(connection, calendar_table, [row])


def level_of(connection: Connection, unit: str) -> tuple[str, str] | None:
    """The kind and the level of a unit, or None where nobody knows it."""
    row = connection.execute(select(unit_table.c.kind, unit_table.c.level).where(unit_table.c.code == unit)).first()
    return (row[0], row[1]) if row else None


def zone_of(connection: Connection) -> str:
    """The time zone of the current calendar, by which local days, weeks and months are counted."""
    columns = calendar_table.c
    zone = connection.execute(select(columns.zone).order_by(columns.activated_at.desc()).limit(1)).scalar()
    return zone or UNPUBLISHED.calendar.zone


def names(connection: Connection, table: Table, codes: Iterable[str]) -> dict[str, Name]:
    """What the ones of these codes are called; ``table`` is one of this module's."""
    columns = table.c
    return {
        code: Name(zh=zh, en=en)
        for piece in in_pieces(codes)
        for code, zh, en in connection.execute(
            select(columns.code, columns.name_zh, columns.name_en).where(columns.code.in_(piece))
        )
    }
