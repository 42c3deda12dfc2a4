"""What can be wrong with a city's history: all of it, or one cell of one row."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UnusableHistory(ValueError):
    """The file as a whole, or what was said about it, is of no use; the message says what to do."""


class BadCell(ValueError):
    """A row that must be left out, because of one of its cells. ``reason`` is one of a fixed set (Chinese · English)."""

    def __init__(self, reason: str, column: str, value: str) -> None:
        super().__init__(reason)
        self.reason, self.column, self.value = reason, column, value


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint at what resembles ``word``, to stand at the end of a sentence; empty where nothing does."""
    near = get_close_matches(word, list(known), n=3, cutoff=0.4)
    return f" (或许是 · did you mean {', '.join(near)}?)" if near else ""
