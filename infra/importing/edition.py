"""The catalogue that a history is imported under: the log's, and the seed's where there is no log yet."""

from __future__ import annotations

from pathlib import Path

from domain.catalogue import Edition
from infra.embedded.directory import directory_of
from infra.seed import seed_edition


def edition_in(data: Path) -> Edition:
    """The current edition of the log in ``data``. Raises `LogUnavailable`, `CorruptCommit`."""
    directory = directory_of(data)
    return directory.edition if directory is not None and directory.edition.categories else seed_edition()
