"""The log as one AsyncAPI 3.0 document: a channel for each topic, and who sends and receives what."""

from __future__ import annotations

from typing import Literal, NamedTuple

from domain.case.commands import ArchiveCase, FileReport, MissDeadline
from domain.message import CommandRefused, Event, Message
from infra.schema.messages import Json, all_messages, definitions, messages_of, term_and_meaning
from streams.case import CaseProcessor
from streams.commit import Kind, Outcome
from streams.directory import DirectoryProcessor
from streams.reactor import Reactor
from streams.record import UNPARTITIONED, Topic
from streams.rewarder import Rewarder
from streams.rider import RiderProcessor
from streams.router import Router

OUTPUTS = (Topic.CASE_EVENTS, Topic.RIDER_EVENTS, Topic.DIRECTORY_EVENTS)
"""Topics whose records are commits."""

_PROCESSORS = (CaseProcessor(), RiderProcessor(), DirectoryProcessor())
_REACTORS: tuple[tuple[Reactor, Topic, tuple[type[Message], ...]], ...] = (
    (Router(), Topic.CASE_COMMANDS, (FileReport,)),
    (Rewarder(), Topic.RIDER_COMMANDS, ()),
)
"""Each with where it sends, and what: nothing named is everything of the topic."""

_ADDRESSES = {
    Topic.REPORT_EVENTS: "上报 · What riders saw. Key: the cell of the place.",
    Topic.CASE_COMMANDS: "案件请求 · Requests to a cell's cases. Key: the cell.",
    Topic.CASE_EVENTS: "案件事实 · What the case processor answered, a commit for each command. Key: the cell.",
    Topic.RIDER_COMMANDS: "积分请求 · Requests to riders' accounts. Key: the rider.",
    Topic.RIDER_EVENTS: "积分事实 · What the rider processor answered. Key: the rider.",
    Topic.DIRECTORY_COMMANDS: "名录请求 · Nets, catalogues and calendars to publish.",
    Topic.DIRECTORY_EVENTS: "名录事实 · What became current; everyone who uses it reads to its end before the first message.",
    Topic.DEAD_LETTERS: "死信 · Messages that nobody could read, with where they came from and why.",
}

_HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_INSTANT = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string"}
_ENVELOPE: Json = {
    "specversion": {"const": "1.0"},
    "id": {"type": "string", "description": "Derived: a retry has the same id."},
    "source": {"type": "string", "format": "uri-reference"},
    "subject": {"type": "string", "description": "The stream: a case, a report, a rider, a document."},
    "time": _INSTANT,
    "datacontenttype": {"const": "application/json"},
    "correlationid": {"type": "string", "description": "The id of the report or command that began it all."},
    "causationid": {"type": "string", "description": "The id of the message that this one follows from."},
    "traceparent": {"type": "string", "description": "W3C Trace Context."},
}
_REQUIRED = ["specversion", "id", "type", "source", "subject", "time", "datacontenttype", "correlationid", "data"]
_CHAIN: Json = {
    "sequence": {"type": "integer", "minimum": 1, "description": "The stream's version, from 1."},
    "previoushash": {**_HASH, "description": "The hash of the stream's event before, zeros for the first."},
    "hash": {**_HASH, "description": "SHA-256 of all bytes of the event before this last member."},
}


def asyncapi() -> Json:
    """The document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Beeline's log · 蜂线日志",
            "version": "1.0.0",
            "description": "Every topic of the log, the same on every host. Messages are CloudEvents 1.0 in structured "
            "JSON mode; a processor answers each command with one commit, a CloudEvents JSON batch written whole.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {topic.value: _channel(topic) for topic in Topic},
        "operations": {operation.name: operation.document() for operation in _operations()},
        "components": {
            "messages": {kind.wire_type: _message(kind) for kind in all_messages()},
            "schemas": {
                **definitions(all_messages(), "#/components/schemas/"),
                **{f"{kind.wire_type}.envelope": envelope_schema(kind) for kind in all_messages()},
            },
        },
    }


def envelope_schema(kind: type[Message]) -> Json:
    """The JSON Schema of a message in its CloudEvents envelope; events of an output are chained."""
    chained = issubclass(kind, Event) and any(kind in messages_of(topic) for topic in OUTPUTS)
    own = {"type": {"const": kind.wire_type}, "data": {"$ref": f"#/components/schemas/{kind.__name__}"}}
    return {
        "type": "object",
        "properties": {**_ENVELOPE, **own, **(_CHAIN if chained else {})},
        "required": [*_REQUIRED, *(_CHAIN if chained else ())],
        "additionalProperties": False,
    }


def _message(kind: type[Message]) -> Json:
    term, meaning = term_and_meaning(kind)
    return {
        "name": kind.wire_type,
        "title": f"{kind.__name__} · {term}",
        "summary": meaning,
        "contentType": "application/cloudevents+json",
        "payload": {"$ref": f"#/components/schemas/{kind.wire_type}.envelope"},
    }


def _channel(topic: Topic) -> Json:
    if topic in OUTPUTS:
        messages = _records_of_an_output(topic)
    elif topic is Topic.DEAD_LETTERS:
        messages = {"DeadLetter": _dead_letter()}
    else:
        messages = {kind.wire_type: _on_its_own(kind) for kind in messages_of(topic)}
    spread = "one partition" if topic in UNPARTITIONED else "partition = CRC-32 of the key, modulo the partitions"
    return {"address": topic.value, "description": f"{_ADDRESSES[topic]} ({spread})", "messages": messages}


def _on_its_own(kind: type[Message]) -> Json:
    """A message that is a record by itself."""
    return {"$ref": f"#/components/messages/{kind.wire_type}"}


def _records_of_an_output(topic: Topic) -> Json:
    kinds: list[type[Message]] = [*messages_of(topic), CommandRefused]
    events = [f"#/components/schemas/{kind.wire_type}.envelope" for kind in kinds]
    nothing = {"type": "array", "maxItems": 0}
    return {
        "Commit": {
            "title": "Commit · 提交",
            "summary": "The whole outcome of one command: its events, or one refusal, or nothing that was left to do.",
            "contentType": "application/cloudevents-batch+json",
            "headers": _headers(Kind.COMMIT, _COMMIT_HEADERS, _COMMIT_REQUIRED),
            "payload": {"type": "array", "items": {"oneOf": [{"$ref": event} for event in events]}},
        },
        "OwnerOpened": {
            "title": "OwnerOpened · 接管",
            "summary": "A new owner writes from here on; whatever a former owner writes after it is void.",
            "contentType": "application/cloudevents-batch+json",
            "headers": _headers(Kind.OWNER_OPENED, {"owner": _TEXT}, ["owner"]),
            "payload": nothing,
        },
        "LogReopened": {
            "title": "LogReopened · 重开计数",
            "summary": "The command topic was made anew: counting goes on at `next-command`.",
            "contentType": "application/cloudevents-batch+json",
            "headers": _headers(Kind.REOPENED, {"next-command": _COUNT}, ["next-command"]),
            "payload": nothing,
        },
    }


_COUNT = {"type": "string", "pattern": "^[0-9]+$"}
_COMMIT_HEADERS: Json = {
    "owner": {"type": "string", "description": "Who wrote it; only the latest owner's commits count."},
    "command-offset": {**_COUNT, "description": "The offset of the command that it answers."},
    "command-id": {"type": "string", "description": "Empty where the command could not be read."},
    "correlation-id": _TEXT,
    "outcome": {"enum": [outcome.value for outcome in Outcome]},
    "effective-time": {**_INSTANT, "description": "The instant of the decision."},
    "directory": {"type": "string", "description": "Versions of net, catalogue and calendar it was decided under."},
    "reason": {"type": "string", "description": "The name of the refusal, or what is wrong with a poisoned command."},
    "detail": _TEXT,
}
_COMMIT_REQUIRED = [name for name in _COMMIT_HEADERS if name not in ("reason", "detail")]


def _headers(kind: Kind, properties: Json, required: list[str]) -> Json:
    return {
        "type": "object",
        "properties": {"kind": {"const": kind.value}, **properties},
        "required": ["kind", *required],
    }


def _dead_letter() -> Json:
    return {
        "title": "DeadLetter · 死信",
        "summary": "The bytes as they were, with the headers that they had.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {
                "dead-topic": _TEXT,
                "dead-partition": _COUNT,
                "dead-offset": _COUNT,
                "dead-error": {"type": "string", "maxLength": 500},
            },
            "required": ["dead-topic", "dead-partition", "dead-offset", "dead-error"],
        },
        "payload": {},
    }


class Operation(NamedTuple):
    """Somebody who receives from a topic or sends to it: ``kinds`` of its messages, or all."""

    who: str
    action: Literal["send", "receive"]
    topic: Topic
    kinds: tuple[type[Message], ...] = ()

    @property
    def name(self) -> str:
        """``router.send.case.commands``."""
        return f"{self.who}.{self.action}.{'.'.join(self.topic.split('.')[1:-1])}"

    def document(self) -> Json:
        """The operation as AsyncAPI writes it."""
        channel = f"#/channels/{self.topic.value}"
        chosen = [{"$ref": f"{channel}/messages/{kind.wire_type}"} for kind in self.kinds]
        messages = {"messages": chosen} if chosen else {}
        return {"action": self.action, "channel": {"$ref": channel}, **messages}


def _operations() -> list[Operation]:
    case = tuple(
        kind for kind in messages_of(Topic.CASE_COMMANDS) if kind not in (FileReport, MissDeadline, ArchiveCase)
    )
    operations = [
        Operation("edge", "send", Topic.REPORT_EVENTS),
        Operation("edge", "send", Topic.CASE_COMMANDS, case),
        Operation("edge", "receive", Topic.CASE_EVENTS),
        Operation("timer", "send", Topic.CASE_COMMANDS, (MissDeadline, ArchiveCase)),
        Operation("administration", "send", Topic.DIRECTORY_COMMANDS),
        *(Operation("projector", "receive", topic) for topic in (Topic.REPORT_EVENTS, *OUTPUTS[:2])),
    ]
    for processor in _PROCESSORS:
        operations += [
            Operation(f"{processor.name}-processor", "receive", processor.commands),
            Operation(f"{processor.name}-processor", "send", processor.events),
            Operation(f"{processor.name}-processor", "send", Topic.DEAD_LETTERS),
        ]
    for reactor, target, kinds in _REACTORS:
        operations += [
            Operation(reactor.name, "receive", reactor.source),
            Operation(reactor.name, "send", target, kinds),
        ]
    return [*operations, Operation("router", "send", Topic.DEAD_LETTERS)]
