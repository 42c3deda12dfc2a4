"""The glossary of messages, for people who know one of the two languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domain.message import CommandRefused, Message
from infra.schema.messages import is_commands, messages_of, term_and_meaning
from streams.record import Topic

_INTRODUCTION = """\
# Messages · 消息一览

Every event and command by its Chinese term, from the first words of its definition. Events are facts, in the past
tense; commands are requests, in the imperative, and may be refused by name. The page is written by `beeline schema`,
and so are [schemas.json](schemas.json) and [asyncapi.json](asyncapi.json).
"""


def glossary() -> str:
    """The page as Markdown: a table for each topic."""
    return "\n".join([_INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for topic in Topic:
        if topic is Topic.DEAD_LETTERS:
            continue
        answers = () if is_commands(topic) or topic is Topic.REPORT_EVENTS else (CommandRefused,)
        yield f"## `{topic}`\n"
        yield from _table([*messages_of(topic), *answers])
        yield ""


def _table(kinds: Iterable[type[Message]]) -> Iterator[str]:
    yield "| 中文 | message | type | meaning |"
    yield "|---|---|---|---|"
    for kind in kinds:
        term, meaning = term_and_meaning(kind)
        yield f"| {term} | {kind.__name__} | `{kind.wire_type}` | {meaning} |"
