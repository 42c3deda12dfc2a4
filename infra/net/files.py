"""A net in a file: one JSON document, gzipped where the name ends in ``.gz``; and its polygons as GeoJSON, for maps."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import shapely
from pydantic import ValidationError
from shapely import MultiPolygon, Polygon
from shapely.geometry import mapping

from domain.net import Compound, Net, Ring, Unit


class NetFileError(ValueError):
    """The file is no net; the message says what to do."""


def write_net(net: Net, path: Path) -> None:
    """Write ``net``; the same net gives the same bytes. Raises `OSError`."""
    content = net.model_dump_json(exclude_none=True).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_net(path: Path) -> Net:
    """Read a net that `write_net` wrote. Raises `NetFileError`."""
    try:
        content = path.read_bytes()
        net = Net.model_validate_json(gzip.decompress(content) if path.suffix == ".gz" else content)
    except OSError as error:
        raise NetFileError(f"{path} 无法读取 · cannot be read: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise NetFileError(f"{path} 压缩数据已损坏 · its gzip data is damaged: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise _no_net(path, f"{'/'.join(map(str, first['loc']))}: {first['msg']}") from error
    for code, rings in _polygons(net):
        if not rings or not all(map(_drawable, rings)):
            raise _no_net(path, f"{code}: its rings are not closed, of 4 points or more, in degrees")
    return net


def write_geojson(net: Net, path: Path) -> None:
    """Write every polygon of ``net`` as GeoJSON (WGS-84): units by their outlines, grids, compounds. Raises `OSError`."""
    units = {unit.code: unit for unit in net.units}
    features = []
    for outline in net.outlines:
        unit = units[outline.unit]
        features.append(_feature(unit.level, unit.parent, unit, outline.polygons))
    for grid in net.grids:
        unit = units[grid.code]
        features.append(_feature(unit.level, unit.parent, unit, (grid.rings,), owner=grid.owner))
    for compound in net.compounds:
        more = {"kind": compound.kind, "panel": compound.panel, "seats": compound.seats}
        features.append(_feature("compound", compound.parent, compound, (compound.rings,), **more))
    document = {"type": "FeatureCollection", "net": net.version, "synthetic": net.synthetic, "features": features}
    path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def _feature(
    level: str, parent: str | None, of: Unit | Compound, polygons: tuple[tuple[Ring, ...], ...], **more: object
) -> dict[str, object]:
    named = {"level": level, "code": of.code, "name_zh": of.name_zh, "name_en": of.name_en, "parent": parent}
    parts = [shapely.orient_polygons(Polygon(rings[0], rings[1:])) for rings in polygons]
    shape = parts[0] if len(parts) == 1 else MultiPolygon(parts)
    return {"type": "Feature", "properties": {**named, **more}, "geometry": mapping(shape)}


def _polygons(net: Net) -> Iterator[tuple[str, tuple[Ring, ...]]]:
    yield from ((grid.code, grid.rings) for grid in net.grids)
    yield from ((compound.code, compound.rings) for compound in net.compounds)
    yield from ((outline.unit, rings) for outline in net.outlines for rings in outline.polygons)


def _no_net(path: Path, why: str) -> NetFileError:
    return NetFileError(
        f"{path} 不是网格文件 · is no net: {why}. Make one with `beeline net tessellate`, `load` or `build`."
    )


def _drawable(ring: Ring) -> bool:
    within = all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in ring)
    return within and len(ring) >= 4 and ring[0] == ring[-1]
