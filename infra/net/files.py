"""A net in a file: one JSON document, gzipped where the name ends in ``.gz``."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from pydantic import ValidationError

from domain.net import Net, Ring


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
    outlines = {place.code: place.rings for place in net.grids} | {place.code: place.rings for place in net.compounds}
    for code, rings in outlines.items():
        if not rings or not all(map(_drawable, rings)):
            raise _no_net(path, f"{code}: its rings are not closed, of 4 points or more, in degrees")
    return net


def _no_net(path: Path, why: str) -> NetFileError:
    return NetFileError(f"{path} 不是网格文件 · is no net: {why}. Make one with `beeline net tessellate`.")


def _drawable(ring: Ring) -> bool:
    within = all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in ring)
    return within and len(ring) >= 4 and ring[0] == ring[-1]
