"""差错地图 — what is wrong with a file of polygons, as one page with a map that needs nothing else, or as GeoJSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from infra.net.faults import TITLES, Fault, FaultKind, Plane, plane_of
from infra.net.features import Feature
from infra.net.load import Loaded

DETAIL = 40_000
"""Outlines keep what is larger than this part of the map's width."""
MARGIN = 0.03
WIDE = 0.25
"""A fault that takes more than this part of the map's area is drawn as a line."""
SUFFIXES = (".html", ".geojson", ".json")


def write_report(loaded: Loaded, title: str, path: Path) -> None:
    """Write the faults: a page where the name ends in ``.html``, else GeoJSON. Raises `OSError`."""
    page = fault_page(loaded, title) if path.suffix == ".html" else fault_collection(loaded)
    path.write_text(page, encoding="utf-8")


def fault_collection(loaded: Loaded) -> str:
    """A GeoJSON FeatureCollection of the faults, in WGS-84."""
    features = [fault.as_geojson() for fault in loaded.faults]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)


def fault_page(loaded: Loaded, title: str) -> str:
    """One self-contained HTML page: the map, the faults on it, and a list of them."""
    shapes = [feature.shape for feature in loaded.features if not feature.shape.is_empty]
    sheet = _Sheet([*shapes, *loaded.outlines])
    counts = Counter(fault.kind for fault in loaded.faults)
    blocked = sum(fault.blocks for fault in loaded.faults)
    summary = f"{len(loaded.features):,} 个要素, {len(loaded.faults):,} 处差错 · {len(loaded.features):,} features, "
    summary += f"{len(loaded.faults):,} faults" + (f", {blocked:,} 处须先改正 must be mended first" if blocked else "")
    parts = {
        "title": escape(title),
        "summary": escape(summary),
        "view": sheet.view,
        "above": "".join(f'<path class="above" d="{sheet.path(area)}"/>' for area in loaded.outlines),
        "features": "".join(_feature(feature, sheet) for feature in loaded.features),
        "names": "".join(_name(feature, sheet) for feature in loaded.features if not feature.shape.is_empty),
        "places": "".join(_places(loaded.faults, sheet)),
        "kinds": "".join(_kind(kind, counts[kind], loaded.faults) for kind in FaultKind if counts[kind]),
        "list": "".join(_item(number, fault) for number, fault in enumerate(loaded.faults)),
        "notes": "".join(f"<p>{escape(zh)} · {escape(en)}</p>" for zh, en in (*_slivers(loaded), *loaded.notes)),
    }
    page = (files("infra.net") / "data" / "fault_map.html").read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    return page


class _Sheet:
    """The drawing: metres to the east and to the south of its north-western corner."""

    def __init__(self, areas: Sequence[BaseGeometry]) -> None:
        self._plane: Plane = plane_of(areas)
        west, south, east, north = self._plane.metres(shapely.union_all(areas)).bounds if areas else (0, 0, 1000, 1000)
        self._left, self._top = west, north
        self.width, self.height = east - west, north - south
        margin = MARGIN * max(self.width, self.height)
        self.view = f"{-margin:.0f} {-margin:.0f} {self.width + 2 * margin:.0f} {self.height + 2 * margin:.0f}"

    def drawn(self, geometry: BaseGeometry) -> BaseGeometry:
        """A geometry in degrees on the sheet."""
        there = self._plane.metres(geometry)
        return shapely.transform(there, lambda points: (points - (self._left, self._top)) * (1, -1))

    def path(self, area: BaseGeometry) -> str:
        """The ``d`` of a path around an area in degrees."""
        coarse = shapely.simplify(self.drawn(area), max(self.width, self.height) / DETAIL)
        polygons = [part for part in shapely.get_parts(coarse).tolist() if isinstance(part, Polygon)]
        return "".join(_ring(ring) for part in polygons for ring in (part.exterior, *part.interiors))


def _ring(ring: BaseGeometry) -> str:
    points = (f"{x:.1f} {y:.1f}" for x, y in shapely.get_coordinates(ring).tolist()[:-1])
    return f"M{'L'.join(points)}Z"


def _feature(feature: Feature, sheet: _Sheet) -> str:
    label = escape(f"{feature.number} {feature.label} {feature.code}".strip())
    return f'<path class="feature" d="{sheet.path(feature.shape)}"><title>{label}</title></path>'


def _name(feature: Feature, sheet: _Sheet) -> str:
    there = sheet.drawn(feature.shape)
    middle = there.representative_point()
    width = there.bounds[2] - there.bounds[0]
    place = f'x="{middle.x:.0f}" y="{middle.y:.0f}" data-width="{width:.0f}"'
    return f"<text {place}>{escape(feature.label)}</text>"


def _places(faults: Sequence[Fault], sheet: _Sheet) -> Iterator[str]:
    for number, fault in enumerate(faults):
        if fault.where is None:
            continue
        there = sheet.drawn(fault.where)
        middle = there.representative_point()
        west, north, east, south = there.bounds
        wide = " wide" if (east - west) * (south - north) > WIDE * sheet.width * sheet.height else ""
        spot = f"M{middle.x:.1f} {middle.y:.1f}h0"
        yield (
            f'<g class="fault{" blocks" if fault.blocks else ""}{wide}" id="place-{number}" data-kind="{fault.kind}"'
            f' data-box="{west:.1f} {north:.1f} {east - west:.1f} {south - north:.1f}">'
            f'<path class="place" d="{sheet.path(fault.where)}"/><path class="rim" d="{spot}"/><path class="dot" d="{spot}"/>'
            f"<title>{escape(fault.text_zh)}\n{escape(fault.text_en)}</title></g>"
        )


def _kind(kind: FaultKind, count: int, faults: Sequence[Fault]) -> str:
    zh, en = TITLES[kind]
    mark = ' class="blocks"' if any(fault.blocks for fault in faults if fault.kind is kind) else ""
    box = f'<input type="checkbox" value="{kind}" checked>'
    return f"<label{mark}>{box}{escape(zh)} · {escape(en)} <b>{count:,}</b></label>"


def _item(number: int, fault: Fault) -> str:
    zh, en = TITLES[fault.kind]
    mark = ' class="blocks"' if fault.blocks else ""
    nowhere = "" if fault.where is not None else " (图上无位置 · not on the map)"
    return (
        f'<li id="fault-{number}" data-kind="{fault.kind}"{mark}><button type="button">'
        f'<span class="mark">{escape(zh)} · {escape(en)}</span>{nowhere}<br>{escape(fault.text_zh)}'
        f'<span class="en">{escape(fault.text_en)}</span></button></li>'
    )


def _slivers(loaded: Loaded) -> list[tuple[str, str]]:
    if not loaded.slivers:
        return []
    zh = f"另有 {loaded.slivers:,} 处细小重叠或空隙, 不逐一列出"
    return [(zh, f"besides, {loaded.slivers:,} overlaps and gaps too small to be listed")]
