"""装载网格 — a city's own polygons made a net: read, placed in the tree, checked, and put onto the net below."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from domain.crs import Crs
from domain.net import Level, Net, UnitKind
from infra.net.faults import Fault, FaultKind, crossing, fault_of, not_degrees
from infra.net.features import Asked, Columns, Feature, Layer, Raw, Text, as_wgs84, columns_of, raws_of
from infra.net.ground import LONGEST_CODE, splits
from infra.net.onto import Loading, empty_city, onto
from infra.net.survey import Survey
from infra.net.synthetic import CITY
from infra.net.tessellate import DECIMALS, Progress, polygons_of

CITY_NAMES = ("城市", "City")
"""Of a city that nobody named."""
DIGITS_OF_CITY = 4


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file gives. ``net`` is None where faults leave nothing by which a report could be routed."""

    net: Net | None
    features: tuple[Feature, ...]
    outlines: tuple[BaseGeometry, ...]
    """Of the units above the features."""
    faults: tuple[Fault, ...]
    slivers: int
    """Overlaps and gaps too small to be listed."""
    notes: tuple[Text, ...]
    """What was guessed, matched, made and replaced."""


def lies_in_shenzhen(document: object, crs: Crs | None) -> bool:
    """Whether every polygon of a GeoJSON document has most of its ground in the reference city. Raises `LoadError`."""
    raws = raws_of(document)
    if not_degrees(raws, "") is not None:
        return False
    content = (files("infra.net") / "data" / "shenzhen_districts.geojson").read_text(encoding="utf-8")
    city = shapely.union_all([area for _, area in polygons_of(json.loads(content))])
    areas = [as_wgs84(raw.geometry, crs or Crs.WGS84).buffer(0) for raw in raws if raw.geometry is not None]
    return bool(areas) and all(shapely.intersection(area, city).area > area.area / 2 for area in areas)


def load(document: object, asked: Asked, base: Net | None, progress: Progress | None = None) -> Loaded:
    """The net of a GeoJSON document, onto ``base`` or onto nothing, with everything that is wrong with it.

    Raises `LoadError` where the file or what was asked makes no sense, and `BoundaryError` for cells of an impossible size.
    """
    raws = raws_of(document)
    undrawn = [fault_of(FaultKind.NO_POLYGON, _feature(raw), *raw.problem) for raw in raws if raw.geometry is None]
    if (nowhere := not_degrees(raws, _crs_member(document))) is not None:
        return Loaded(None, (), (), (nowhere, *undrawn), 0, ())
    columns, notes = columns_of(raws, asked, _names(base))
    features, faults = _read(raws, columns, asked.crs or Crs.WGS84)
    below = base or _city_of(features, asked.city)
    survey = Survey(
        below, features, {raw.number: raw.geometry for raw in raws if raw.geometry is not None}, columns.code is None
    )
    found, slivers = survey.faults(asked.crs)
    faults = sorted([*undrawn, *faults, *found], key=lambda fault: list(FaultKind).index(fault.kind))
    notes += survey.notes()
    if any(fault.blocks for fault in faults):
        return Loaded(None, features, survey.outlines, tuple(faults), slivers, tuple(notes))
    loading = Loading(splits(survey.placed), survey.ground, asked.cell_metres, asked.city)
    made = onto(below, loading, progress)
    hint = (
        "下面没有网格, 报告派不到人: 给 --cell-metres N 或含网格的文件",
        ("has no grids, so that nothing could be routed there: give --cell-metres N, or a file with grids"),
    )
    faults += [fault_of(FaultKind.NO_GRIDS, each.feature, *hint) for each in made.bare]
    net = made.net if made.net.grids else None
    return Loaded(net, features, survey.outlines, tuple(faults), slivers, (*notes, *made.notes))


def _feature(raw: Raw) -> Feature:
    """A feature before anybody knows what its properties mean."""
    return Feature(raw.number, "", raw.text("name"), "", None, "", Polygon())


def _crs_member(document: object) -> str:
    """What the file calls its coordinates, in the way of older GeoJSON."""
    crs = document.get("crs") if isinstance(document, dict) else None
    properties = crs.get("properties") if isinstance(crs, dict) else None
    return str(properties.get("name", "")) if isinstance(properties, dict) else ""


def _names(base: Net | None) -> Mapping[Layer, list[str]]:
    names: dict[Layer, list[str]] = {}
    for unit in base.units if base else ():
        if unit.kind is UnitKind.AREA and unit.level not in (Level.CITY, Level.GRID):
            names.setdefault(Layer(unit.level), []).append(unit.name_zh)
    return names


def _read(raws: Sequence[Raw], columns: Columns, crs: Crs) -> tuple[tuple[Feature, ...], list[Fault]]:
    """The features that have a polygon, and what is wrong with each alone; a broken outline is mended as well as can be."""
    features, faults = list[Feature](), list[Fault]()
    for raw in raws:
        if raw.geometry is None:
            continue
        area = as_wgs84(raw.geometry, crs)
        texts = (raw.text(columns.code), raw.text(columns.name), raw.text(columns.name_en))
        feature = Feature(raw.number, *texts, columns.layer(raw), raw.text(columns.parent), area)
        if not area.is_valid:
            faults.append(crossing(feature, area))
            area = shapely.union_all(list(_polygons(shapely.make_valid(area))))
        feature = replace(feature, shape=shapely.set_precision(area, 10**-DECIMALS))
        if feature.shape.is_empty:
            faults.append(fault_of(FaultKind.NO_POLYGON, feature, "面积为零", "has no area"))
        elif feature.layer is None:
            hint = ("层级不明, 请给 --level", "is of no known level: give --level")
            faults.append(fault_of(FaultKind.MISSING_LEVEL, feature, *hint))
        features.append(feature)
    return tuple(features), faults


def _polygons(geometry: BaseGeometry) -> Iterator[Polygon]:
    for part in shapely.get_parts(geometry).tolist():
        if isinstance(part, Polygon):
            yield part
        elif part.geom_type == "MultiPolygon":
            yield from _polygons(part)


def _city_of(features: Sequence[Feature], name: str) -> Net:
    """The city over a file that is loaded onto nothing: its own, or the one that the first digits of its codes name."""
    own = next((feature for feature in features if feature.layer is Layer.CITY), None)
    codes = [feature.code for feature in features if feature.layer is not Layer.COMPOUND]
    heads = {code[:DIGITS_OF_CITY] if code.isdigit() and len(code) > DIGITS_OF_CITY else "" for code in codes}
    head = (heads.pop() if len(heads) == 1 else "") or CITY
    code = own.code if own is not None and 0 < len(own.code) <= LONGEST_CODE else f"{head}00000000"
    zh = name or (own.name if own is not None else "")
    return empty_city(code, zh or CITY_NAMES[0], zh or CITY_NAMES[1])
