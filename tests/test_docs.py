"""The pages say what is so: links lead somewhere, and the commands that are shown exist with their options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from infra.cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"(?:^|[\s(/])beeline ([^#|;&)\n]*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
SAID_ONCE = {"--help", "--data"}
"""Options of many commands, which the reference explains above its table."""


def _commands(command: object, *path: str) -> Iterator[tuple[str, set[str]]]:
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from _commands(inner, *path, name)
    elif isinstance(command, TyperCommand):
        yield " ".join(path), {text for option in command.params for text in option.opts if text.startswith("--")}


COMMANDS = dict(_commands(get_command(app)))


def command_in(words: str) -> str | None:
    """The command that a line begins with; None where there is none of that name."""
    return next((name for name in COMMANDS if f"{words} ".startswith(f"{name} ")), None)


def anchors_of(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), target
        assert not anchor or anchor in anchors_of(other), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_shows_exists_with_its_options(page: Path) -> None:
    for block in SHELL.findall(page.read_text(encoding="utf-8")):
        for words in CALL.findall(block.replace("\\\n", " ")):
            name = command_in(words)
            assert name is not None, f"beeline {words}"
            assert set(OPTION.findall(words)) <= COMMANDS[name] | {"--help"}, f"beeline {words}"


def test_the_reference_has_every_command_with_every_option_and_no_other() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", page, re.MULTILINE))
    said = {command_in(words): set(OPTION.findall(row)) for words, row in rows.items()}
    assert said.keys() == COMMANDS.keys()
    for name, options in COMMANDS.items():
        assert options - said[name] <= SAID_ONCE, name
        assert said[name] <= set().union(*COMMANDS.values()), name
