"""比较网格 — what differs between two nets, and which open cases would go to another unit under the other one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, select

from domain.case.state import OPEN
from domain.directory import Directory
from domain.message import Value
from domain.net import Level, Net
from domain.place import Place
from domain.routing import Route, route
from infra.database import ReadModels
from projections.cases import case_table


class Change(Value):
    """One unit, grid or compound that differs; ``before`` and ``after`` are names, or the parents where it moved."""

    code: str
    name_zh: str
    name_en: str
    before: str = ""
    after: str = ""


class Changes(Value):
    """What differs among things of a sort, each in order of code."""

    added: tuple[Change, ...]
    removed: tuple[Change, ...]
    renamed: tuple[Change, ...]
    moved: tuple[Change, ...]
    """Under another parent."""
    redrawn: tuple[Change, ...]
    """With another outline."""


class NetDiff(Value):
    """What differs between two nets; ``before`` and ``after`` are their versions."""

    before: str
    after: str
    units: Changes
    """Above the grids, with panels, teams and desks."""
    grids: Changes
    compounds: Changes


class CaseMove(Value):
    """An open case that the other net gives to another unit."""

    case_id: str
    category: str
    name_zh: str
    name_en: str
    from_unit: str
    from_zh: str
    to_unit: str
    to_zh: str


class DistrictMoves(Value):
    """Open cases of a district under the first net, and how many move; cases of no district stand under the code ``""``."""

    code: str
    name_zh: str
    name_en: str
    open: int = 0
    leaving: int = 0
    arriving: int = 0
    within: int = 0
    """To another unit of the same district."""


class CaseMoves(Value):
    """移交 — what the other net would mean for the open cases."""

    open: int
    moves: tuple[CaseMove, ...]
    districts: tuple[DistrictMoves, ...]
    stranded: tuple[str, ...]
    """Cases that stand with a unit which the other net does not have."""


@dataclass(frozen=True, slots=True)
class _Thing:
    name_zh: str
    name_en: str
    parent: str
    outline: object


def compare(before: Net, after: Net) -> NetDiff:
    """What differs from one net to the other."""
    grids = {grid.code for net in (before, after) for grid in net.grids}
    old, new = _units(before), _units(after)
    return NetDiff(
        before=before.version,
        after=after.version,
        units=_changes(
            {code: thing for code, thing in old.items() if code not in grids},
            {code: thing for code, thing in new.items() if code not in grids},
        ),
        grids=_changes(
            {code: thing for code, thing in old.items() if code in grids},
            {code: thing for code, thing in new.items() if code in grids},
        ),
        compounds=_changes(_compounds(before), _compounds(after)),
    )


def _units(net: Net) -> dict[str, _Thing]:
    outlines: dict[str, object] = {outline.unit: outline.polygons for outline in net.outlines}
    outlines |= {grid.code: grid.rings for grid in net.grids}
    return {u.code: _Thing(u.name_zh, u.name_en, u.parent or "", outlines.get(u.code)) for u in net.units}


def _compounds(net: Net) -> dict[str, _Thing]:
    return {each.code: _Thing(each.name_zh, each.name_en, each.parent, each.rings) for each in net.compounds}


def _changes(old: Mapping[str, _Thing], new: Mapping[str, _Thing]) -> Changes:
    both = sorted(old.keys() & new.keys())
    return Changes(
        added=tuple(_change(code, new[code]) for code in sorted(new.keys() - old.keys())),
        removed=tuple(_change(code, old[code]) for code in sorted(old.keys() - new.keys())),
        renamed=tuple(
            _change(code, new[code], old[code].name_zh, new[code].name_zh)
            for code in both
            if (old[code].name_zh, old[code].name_en) != (new[code].name_zh, new[code].name_en)
        ),
        moved=tuple(
            _change(code, new[code], old[code].parent, new[code].parent)
            for code in both
            if old[code].parent != new[code].parent
        ),
        redrawn=tuple(_change(code, new[code]) for code in both if old[code].outline != new[code].outline),
    )


def _change(code: str, thing: _Thing, before: str = "", after: str = "") -> Change:
    return Change(code=code, name_zh=thing.name_zh, name_en=thing.name_en, before=before, after=after)


def case_moves(data: Path, directory: Directory, before: Net, after: Net) -> CaseMoves:
    """Every open case of a data folder, routed under both nets. Raises `NoReadModels`."""
    models = ReadModels(data)
    try:
        with models.reading() as connection:
            return moves_of(connection, replace(directory, net=before), replace(directory, net=after))
    finally:
        models.close()


def moves_of(connection: Connection, before: Directory, after: Directory) -> CaseMoves:
    """Every open case, routed under the net of both directories; in order of case."""
    moves, stranded, counts, number = list[CaseMove](), list[str](), dict[str, dict[str, int]](), 0
    for case_id, owner, category, zh, en, old, new in _routed(connection, before, after):
        number += 1
        if after.org.unit(owner) is None:
            stranded.append(case_id)
        there, then = _district(before, old), _district(after, new)
        _count(counts, there, "open")
        if old.unit.unit == new.unit.unit:
            continue
        if there == then:
            _count(counts, there, "within")
        else:
            _count(counts, there, "leaving")
            _count(counts, then, "arriving")
        from_zh, to_zh = _name(before, old.unit.unit), _name(after, new.unit.unit)
        named = {"case_id": case_id, "category": category, "name_zh": zh, "name_en": en}
        units = {"from_unit": old.unit.unit, "from_zh": from_zh, "to_unit": new.unit.unit, "to_zh": to_zh}
        moves.append(CaseMove(**named, **units))
    districts = tuple(_district_moves(code, counts[code], before, after) for code in sorted(counts))
    return CaseMoves(open=number, moves=tuple(moves), districts=districts, stranded=tuple(stranded))


def _routed(
    connection: Connection, before: Directory, after: Directory
) -> Iterator[tuple[str, str, str, str, str, Route, Route]]:
    """Of each open case: id, owner, category, its names, and where it goes under either net."""
    c = case_table.c
    query = select(c.case_id, c.owner, c.category, c.name_zh, c.name_en, c.edition, c.place)
    for row in connection.execute(query.where(c.status.in_(sorted(OPEN))).order_by(c.case_id)):
        place = Place.model_validate(row.place) if row.place is not None else None
        terms = before.terms(row.category, row.edition)
        routes = route(before, place, terms), route(after, place, terms)
        yield row.case_id, row.owner, row.category, row.name_zh, row.name_en, *routes


def _district(directory: Directory, found: Route) -> str:
    above = (found.unit.unit, *found.ancestors)
    return next((code for code in above if directory.org.level(code) is Level.DISTRICT), "")


def _count(counts: dict[str, dict[str, int]], district: str, what: str) -> None:
    own = counts.setdefault(district, {})
    own[what] = own.get(what, 0) + 1


def _district_moves(code: str, counts: Mapping[str, int], before: Directory, after: Directory) -> DistrictMoves:
    unit = before.org.unit(code) or after.org.unit(code)
    zh, en = (unit.name_zh, unit.name_en) if unit else ("不在任何区", "in no district")
    return DistrictMoves(code=code, name_zh=zh, name_en=en, **counts)


def _name(directory: Directory, code: str) -> str:
    unit = directory.org.unit(code)
    return unit.name_zh if unit else code
