"""A net in a file: one JSON document, gzipped where the name ends in ``.gz``."""

from __future__ import annotations

import gzip
from pathlib import Path

from pydantic import ValidationError

from domain.net import Net


class NetFileError(ValueError):
    """The file is no net; the message says what to do."""


def write_net(net: Net, path: Path) -> None:
    """Write ``net``; the same net gives the same bytes."""
    content = net.model_dump_json(exclude_none=True).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_net(path: Path) -> Net:
    """Read a net that `write_net` wrote. Raises `NetFileError`."""
    try:
        content = path.read_bytes()
        return Net.model_validate_json(gzip.decompress(content) if path.suffix == ".gz" else content)
    except OSError as error:
        raise NetFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise NetFileError(
            f"{path} is no net: {where}: {first['msg']}. Make one with `beeline net tessellate`."
        ) from error
