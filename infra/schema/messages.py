"""Which message travels on which topic, and the JSON Schema of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import models_json_schema

from domain import directory, report, rider
from domain.case import commands as case_commands
from domain.case import events as case_events
from domain.message import Command, CommandRefused, Event, Message, message_types
from streams.record import Topic

Json = dict[str, Any]
"""A JSON object."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MODULES = {
    Topic.REPORT_EVENTS: report,
    Topic.CASE_COMMANDS: case_commands,
    Topic.CASE_EVENTS: case_events,
    Topic.RIDER_COMMANDS: rider,
    Topic.RIDER_EVENTS: rider,
    Topic.DIRECTORY_COMMANDS: directory,
    Topic.DIRECTORY_EVENTS: directory,
}
"""Where the messages of a topic are defined. Dead letters are no messages."""


def is_commands(topic: Topic) -> bool:
    """Whether requests travel on the topic, not facts."""
    return topic.split(".")[2] == "commands"


def messages_of(topic: Topic) -> list[type[Message]]:
    """The messages of a topic, as its module tells them; a refusal answers on every output, and is listed on none."""
    module, base = _MODULES[topic], Command if is_commands(topic) else Event
    return [kind for kind in message_types().values() if kind.__module__ == module.__name__ and issubclass(kind, base)]


def all_messages() -> list[type[Message]]:
    """Every message, topic by topic, and the refusal last."""
    return [*(kind for topic in _MODULES for kind in messages_of(topic)), CommandRefused]


def term_and_meaning(kind: type[Message]) -> tuple[str, str]:
    """The Chinese term and the rest of the first paragraph of the message's docstring, ``立案 — the report …``."""
    paragraph = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
    term, _, meaning = paragraph.partition(" — ")
    return term, meaning


def definitions(kinds: Iterable[type[Message]], prefix: str) -> Json:
    """The JSON Schemas of the messages' data and of what they are made of, by model name, referring under ``prefix``."""
    _, found = models_json_schema([(kind, "validation") for kind in kinds], ref_template=prefix + "{model}")
    return dict(found["$defs"])


def schemas() -> Json:
    """One JSON Schema document with the ``data`` of every message: its type → a reference into ``$defs``."""
    return {
        "$schema": DIALECT,
        "title": "Beeline: the data of every message",
        "description": "`messages` names each message by its CloudEvents type; `$defs` holds the schema of its `data`.",
        "messages": {kind.wire_type: {"$ref": f"#/$defs/{kind.__name__}"} for kind in all_messages()},
        "$defs": definitions(all_messages(), "#/$defs/"),
    }
