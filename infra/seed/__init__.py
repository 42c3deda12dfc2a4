"""The catalogue that a new city starts with: our own selection in the idiom of grid governance, to be replaced."""

from __future__ import annotations

from importlib.resources import files

from domain.catalogue import Edition


def seed_edition() -> Edition:
    """The edition that ships with Beeline, read from ``catalogue.json`` in this folder."""
    return Edition.model_validate_json(files(__name__).joinpath("catalogue.json").read_bytes())
