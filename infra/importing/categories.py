"""A city's own categories → codes of our catalogue, by a table that somebody fills in."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from domain.catalogue import Edition
from infra.importing.faults import UnusableHistory, did_you_mean
from infra.importing.history import ImportOptions
from infra.importing.table import UTF8, Table

HEADER = ("category", "count", "code", "suggestion", "suggestion_name")
"""Of a template; ``code`` is to be filled in, a suggestion counts only once it is copied there."""
CODES_HEADER = ("code", "family", "major_zh", "minor_zh", "major_en", "minor_en")
RESEMBLANCE = 0.6
"""From which a name is suggested, of 1."""


def code_of_each(found: Counter[str], options: ImportOptions, edition: Edition) -> dict[str, str]:
    """The code of every category found that has one: from the map, or its own. Raises `UnusableHistory`, `OSError`."""
    if options.category is not None:
        if options.category_map is not None:
            raise UnusableHistory("--category-value 和 --map 只能用其一 · give --category-value or --map, not both")
        _check_code(options.category, edition, f"--category-value {options.category}")
        return dict.fromkeys(found, options.category)
    mapped = read_map(options.category_map, edition) if options.category_map else {}
    own = {value: value for value in found if edition.category(value)}
    codes = {value: code for value, code in {**own, **mapped}.items() if code}
    if found and not codes.keys() & found.keys():
        raise UnusableHistory(
            f"文件中有 {len(found)} 种类别, 都没有对应编码 · {len(found)} categories in the file, none of them has a code of the "
            f"catalogue {edition.version}: write a table to fill in with --map-template FILE, then give it with --map FILE; "
            "or --category-value CODE for all rows"
        )
    return codes


def read_map(path: Path, edition: Edition) -> dict[str, str]:
    """Category → code as filled in; an empty code is kept as such. Raises `UnusableHistory`, `OSError`."""
    table = Table(path)
    names = [name.casefold() for name in table.header]
    if not {"category", "code"} <= set(names):
        raise UnusableHistory(
            f"{path}: 需要 category 和 code 两列 · a map has the columns category and code; --map-template writes one"
        )
    codes: dict[str, str] = {}
    for line, cells in table.rows():
        row = dict(zip(names, map(str.strip, cells), strict=False))
        value, code = row["category"], row.get("code", "")
        if code:
            _check_code(code, edition, f"{path} 第 {line} 行 line {line}")
        if codes.setdefault(value, code) != code:
            raise UnusableHistory(f"{path} 第 {line} 行 · line {line}: {value} 已有 · already has {codes[value]!r}")
    return codes


def _check_code(code: str, edition: Edition, where: str) -> None:
    if edition.category(code) is None:
        hint = did_you_mean(code, (each.code for each in edition.categories))
        raise UnusableHistory(f"{where}: 目录中没有此编码 · the catalogue {edition.version} has no code {code}{hint}")


def write_template(path: Path, found: Counter[str], edition: Edition) -> Path:
    """Write a table to fill in, and beside it the codes there are; the path of the latter. Raises `OSError`."""
    names = _names(edition)
    with path.open("x", encoding=UTF8, newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for value, count in sorted(found.items(), key=lambda item: (-item[1], item[0])):
            code, name = _suggestion(value, names)
            rows.writerow((value, count, "", code, name))
    codes = path.with_suffix(".codes.csv")
    with codes.open("w", encoding=UTF8, newline="") as file:
        rows = csv.writer(file)
        rows.writerow(CODES_HEADER)
        rows.writerows(_codes(edition))
    return codes


def _codes(edition: Edition) -> Iterator[Iterable[str]]:
    for each in edition.categories:
        yield each.code, each.family, each.major_zh, each.minor_zh, each.major_en, each.minor_en


def _names(edition: Edition) -> dict[str, tuple[str, str]]:
    """Name → (code, both names), for everything a category is called."""
    return {
        name.casefold(): (each.code, f"{each.minor_zh} · {each.minor_en}")
        for each in edition.categories
        for name in (each.minor_zh, each.minor_en)
    }


def _suggestion(value: str, names: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """A name that resembles ``value``, or else has it in it."""
    word = value.casefold()
    near = get_close_matches(word, names, n=1, cutoff=RESEMBLANCE) or [name for name in names if word and word in name]
    return names[near[0]] if near else ("", "")
