"""The day as a picture: an SVG of its own, with nothing to load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import cos, radians
from pathlib import Path
from zoneinfo import ZoneInfo

import shapely
from shapely import Polygon

from domain.directory import Directory
from domain.net import LADDER, Level
from infra.demo.tally import LEVEL_NAMES, Sample, Tally

WIDTH, HEIGHT = 1280, 860
INK, FAINT, PAPER = "#22303c", "#d9dfe4", "#fffdf7"
LEVEL_COLOURS = {
    Level.GRID: "#7fb069",
    Level.COMMUNITY: "#f2c14e",
    Level.STREET: "#f78154",
    Level.DISTRICT: "#d1495b",
    Level.CITY: "#6b2d5c",
}
STAGE_NAMES = {"dispatch": "派遣 dispatch", "accept": "签收 accept", "handle": "处置 handle", "inspect": "核查 inspect"}


@dataclass(frozen=True)
class Box:
    """A panel of the picture."""

    left: float
    top: float
    width: float
    height: float


def write_plot(path: Path, tally: Tally, directory: Directory, zone: ZoneInfo) -> None:
    """Two charts and a map of the day."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="Noto Sans CJK SC, sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        _text(40, 44, "一天 · The day", 24, weight="bold"),
        _text(
            40,
            68,
            f"{directory.net.name_zh} · {directory.net.name_en}: 网格与人员为合成数据 · grids and people are synthetic",
            14,
        ),
        *_flow(Box(70, 120, 510, 270), tally.samples, zone),
        *_ladder(Box(70, 500, 510, 270), tally.samples, zone),
        *_map(Box(640, 120, 610, 400), tally, directory),
        *_bars(
            Box(760, 640, 150, 130),
            "超时 · deadlines missed",
            {name: tally.missed[stage] for stage, name in STAGE_NAMES.items()},
            "#d1495b",
        ),
        *_bars(
            Box(1080, 640, 120, 130),
            "升级至 · escalated to",
            {LEVEL_NAMES[level]: tally.escalated[level] for level in LADDER[1:]},
            "#f78154",
        ),
        "</svg>",
    ]
    path.write_text("\n".join(parts), encoding="utf-8")


def _text(x: float, y: float, text: str, size: int, *, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'
    )


def _nice(most: float) -> float:
    """A round number of at least ``most`` that four lines divide."""
    for step in (4, 8, 20, 40, 80, 200, 400, 800, 1200, 2000, 4000, 8000, 20000, 40000):
        if most <= step:
            return step
    return most


def _axes(box: Box, samples: Sequence[Sample], top: float, zone: ZoneInfo, title: str) -> list[str]:
    parts = [_text(box.left, box.top - 14, title, 15, weight="bold")]
    for line in range(5):
        y = box.top + box.height * (1 - line / 4)
        parts.append(f'<line x1="{box.left}" x2="{box.left + box.width}" y1="{y:.1f}" y2="{y:.1f}" stroke="{FAINT}"/>')
        parts.append(_text(box.left - 8, y + 4, f"{top * line / 4:g}", 11, anchor="end"))
    for index, sample in enumerate(samples):
        local = sample.at.astimezone(zone)
        if local.minute == 0 and local.hour % 3 == 0:
            x = box.left + box.width * index / max(1, len(samples) - 1)
            parts.append(_text(x, box.top + box.height + 18, f"{local:%H:%M}", 11, anchor="middle"))
    parts.append(_text(box.left + box.width / 2, box.top + box.height + 36, "本地时间 local time", 11, anchor="middle"))
    return parts


def _curve(box: Box, values: Iterable[float], top: float) -> str:
    listed = list(values)
    step = box.width / max(1, len(listed) - 1)
    points = (
        f"{box.left + index * step:.1f},{box.top + box.height * (1 - value / top):.1f}"
        for index, value in enumerate(listed)
    )
    return " ".join(points)


def _flow(box: Box, samples: Sequence[Sample], zone: ZoneInfo) -> list[str]:
    series: list[tuple[str, str, Callable[[Sample], int]]] = [
        ("上报 reports", "#2e86ab", lambda sample: sample.reports),
        ("立案 filed", "#f2a541", lambda sample: sample.filed),
        ("结案 closed", "#4c956c", lambda sample: sample.closed),
    ]
    top = _nice(max([1, *(sample.reports for sample in samples)]))
    parts = _axes(box, samples, top, zone, "上报、立案与结案 (累计) · reports, filed and closed (cumulative)")
    for number, (name, colour, value) in enumerate(series):
        curve = _curve(box, (value(sample) for sample in samples), top)
        parts.append(f'<polyline points="{curve}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        y = box.top + 16 + 20 * number
        parts.append(f'<rect x="{box.left + 12}" y="{y - 10}" width="14" height="10" fill="{colour}"/>')
        parts.append(_text(box.left + 32, y, name, 12))
    return parts


def _ladder(box: Box, samples: Sequence[Sample], zone: ZoneInfo) -> list[str]:
    top = _nice(max([1, *(sum(sample.open_by_level.values()) for sample in samples)]))
    parts = _axes(box, samples, top, zone, "在办案件, 按责任层级 · open cases by the level that answers for them")
    base = [0.0] * len(samples)
    for number, level in enumerate(LADDER):
        upper = [low + sample.open_by_level[level] for low, sample in zip(base, samples, strict=True)]
        outline = _curve(box, upper, top).split(" ") + list(reversed(_curve(box, base, top).split(" ")))
        parts.append(f'<polygon points="{" ".join(outline)}" fill="{LEVEL_COLOURS[level]}" opacity="0.9"/>')
        y = box.top + 16 + 20 * (len(LADDER) - 1 - number)
        parts.append(f'<rect x="{box.left + 12}" y="{y - 10}" width="14" height="10" fill="{LEVEL_COLOURS[level]}"/>')
        parts.append(_text(box.left + 32, y, LEVEL_NAMES[level], 12))
        base = upper
    return parts


def _bars(box: Box, title: str, counts: Mapping[str, int], colour: str) -> list[str]:
    parts = [_text(box.left - 100, box.top - 14, title, 15, weight="bold")]
    most = max([1, *counts.values()])
    for number, (name, count) in enumerate(counts.items()):
        y = box.top + 12 + 28 * number
        width = box.width * count / most
        parts.append(_text(box.left - 8, y + 12, name, 12, anchor="end"))
        parts.append(f'<rect x="{box.left}" y="{y}" width="{width:.1f}" height="16" fill="{colour}" opacity="0.85"/>')
        parts.append(_text(box.left + width + 6, y + 13, f"{count:,}", 12))
    return parts


def _map(box: Box, tally: Tally, directory: Directory) -> list[str]:
    org, shapes = directory.org, dict[str, list[Polygon]]()
    for grid in directory.net.grids:
        district = next((code for code in org.ancestors(grid.code) if org.level(code) is Level.DISTRICT), org.city)
        shapes.setdefault(district, []).append(Polygon(grid.rings[0], grid.rings[1:]))
    outlines = {code: shapely.coverage_union_all(pieces) for code, pieces in shapes.items()}
    west, south, east, north = shapely.total_bounds(list(outlines.values()))
    squeeze = cos(radians((south + north) / 2))
    scale = min(box.width / ((east - west) * squeeze), box.height / (north - south))
    lower = box.top + (north - south) * scale

    def at(lon: float, lat: float) -> str:
        return f"{box.left + (lon - west) * squeeze * scale:.1f},{lower - (lat - south) * scale:.1f}"

    parts = [_text(box.left, box.top - 14, "案件分布 · where the cases were", 15, weight="bold")]
    for outline in outlines.values():
        for piece in shapely.get_parts(outline.simplify(0.0005)):
            points = " ".join(at(*point) for point in piece.exterior.coords)
            parts.append(f'<polygon points="{points}" fill="#eef3ee" stroke="#9fb3a5"/>')
    inside = [(lon, lat, closed) for lon, lat, closed in tally.places if west <= lon <= east and south <= lat <= north]
    for lon, lat, closed in inside:
        x, y = at(lon, lat).split(",")
        parts.append(f'<circle cx="{x}" cy="{y}" r="2" fill="{"#4c956c" if closed else "#d1495b"}" opacity="0.65"/>')
    for code, outline in sorted(outlines.items()):
        middle, unit = outline.representative_point(), org.unit(code)
        x, y = at(middle.x, middle.y).split(",")
        name = f"{unit.name_zh} {unit.name_en}" if unit else code
        parts.append(f'<g stroke="{PAPER}" stroke-width="4" paint-order="stroke" stroke-linejoin="round">')
        parts.append(_text(float(x), float(y), name, 13, weight="bold", anchor="middle"))
        parts.append("</g>")
    for number, (name, colour) in enumerate((("已结案 closed", "#4c956c"), ("在办 open", "#d1495b"))):
        y_legend = lower + 30 + 20 * number
        parts.append(f'<circle cx="{box.left + 8}" cy="{y_legend - 4}" r="5" fill="{colour}"/>')
        parts.append(_text(box.left + 22, y_legend, name, 12))
    parts.append(
        _text(box.left + 130, lower + 30, f"{len(tally.places) - len(inside)} 件在图外 cases lie outside the map", 12)
    )
    return parts
