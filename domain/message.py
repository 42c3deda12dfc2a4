"""Events and commands, and the CloudEvents 1.0 envelope in which they travel (structured JSON mode).

The bytes of a sealed event end with its ``hash``, which covers every byte before it, ``previoushash`` included; so a
stream's events form a chain that anyone can check without knowing what they mean.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

BEELINE_NAMESPACE = UUID("6f1c1f6e-2d0b-5a57-9a3e-0b1be71ee001")
"""Root of all derived ids (RFC 9562, version 5)."""

GENESIS = "0" * 64
"""``previoushash`` of a stream's first event."""

INSTANTS_REMEMBERED_MAX = 1024
"""The same instant is written several times in a command, its commit and its events."""

_REGISTRY: dict[str, type[Message]] = {}
_HASH_MEMBER = ',"hash":"'
_HASH_TAIL = re.compile(rb',"hash":"([0-9a-f]{64})"\}$')
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def derived_id(*parts: object) -> str:
    """The id that follows from ``parts``: the same parts, the same id, on every host and in every run."""
    name = "|".join(map(str, parts)).encode()
    octets = bytearray(hashlib.sha1(BEELINE_NAMESPACE.bytes + name, usedforsecurity=False).digest()[:16])
    octets[6], octets[8] = octets[6] & 0x0F | 0x50, octets[8] & 0x3F | 0x80  # as `uuid.uuid5`, in a third of the time
    text = octets.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@lru_cache(maxsize=INSTANTS_REMEMBERED_MAX)
def instant_text(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds: the one way in which an instant is written."""
    return f"{instant.astimezone(UTC).isoformat(timespec='microseconds').removesuffix('+00:00')}Z"


class Role(StrEnum):
    """What a person may be; the rights are in `domain.policy`."""

    REPORTER = "reporter"
    ANONYMOUS = "anonymous"
    GRID_WORKER = "grid_worker"
    PART_TIME_WORKER = "part_time_worker"
    ENFORCEMENT_OFFICER = "enforcement_officer"
    INSPECTOR = "inspector"
    DISPATCHER = "dispatcher"
    SUPERVISOR = "supervisor"
    MEDIATOR = "mediator"
    ADMINISTRATOR = "administrator"
    SYSTEM = "system"


class Value(BaseModel):
    """A frozen part of a message."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="iso8601")


class Actor(Value):
    """Who asks: one person with all roles, and the units in whose subtrees the roles hold."""

    person: str
    roles: tuple[Role, ...]
    units: tuple[str, ...] = ()


SYSTEM = Actor(person="beeline", roles=(Role.SYSTEM,))


class Message(Value):
    """The ``data`` of an envelope. The wire type follows from the class name, its ``noun`` and its version."""

    abstract: ClassVar[bool] = True
    version: ClassVar[int] = 1
    wire_type: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Register a concrete message by its wire type; a second class with the same type is a defect."""
        if "abstract" in cls.__dict__:
            return
        wire_type = cls._derive_type()
        if _REGISTRY.setdefault(wire_type, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"two messages are called {wire_type}")
        cls.wire_type = wire_type

    @classmethod
    def _derive_type(cls) -> str:
        raise NotImplementedError


class Event(Message):
    """Something that happened: `CaseFiled` is ``beeline.case.filed.v1``."""

    abstract: ClassVar[bool] = True

    @classmethod
    def _derive_type(cls) -> str:
        noun, *past = _WORD.split(cls.__name__)
        return f"beeline.{noun.lower()}.{'_'.join(past).lower()}.v{cls.version}"


class Command(Message):
    """Something that is asked of a processor: `AcceptDispatch` is ``beeline.case.accept_dispatch.v1``."""

    abstract: ClassVar[bool] = True
    noun: ClassVar[str] = ""
    actor: Actor = SYSTEM

    @classmethod
    def _derive_type(cls) -> str:
        words = "_".join(_WORD.split(cls.__name__)).lower()
        return f"beeline.{cls.noun}.{words}.v{cls.version}"


class CommandRefused(Event):
    """拒绝 — the answer to a command that is impossible; an answer of its own, part of no stream."""

    reason: str
    detail: str = ""


class UndecodableMessage(ValueError):
    """The bytes are no message that this version knows."""


def message_types() -> Mapping[str, type[Message]]:
    """Every known message class by its wire type."""
    return _REGISTRY


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message with its CloudEvents attributes. ``sequence`` counts a stream's events from 1."""

    id: str
    source: str
    subject: str
    time: datetime
    data: Message
    correlationid: str
    causationid: str = ""
    traceparent: str = ""
    sequence: int = 0
    previoushash: str = ""
    hash: str = ""

    @property
    def type(self) -> str:
        """The wire type of the data."""
        return self.data.wire_type

    def encode(self) -> bytes:
        """The stored bytes; with a ``sequence`` the event is sealed: ``previoushash`` and ``hash`` come last."""
        text = (
            f'{{"specversion":"1.0","id":{quoted(self.id)},"type":"{self.type}","source":{quoted(self.source)},'
            f'"subject":{quoted(self.subject)},"time":"{instant_text(self.time)}","datacontenttype":"application/json",'
            f'"correlationid":{quoted(self.correlationid)}'
        )
        if self.causationid:
            text += f',"causationid":{quoted(self.causationid)}'
        if self.traceparent:
            text += f',"traceparent":{quoted(self.traceparent)}'
        if self.sequence:
            text += f',"sequence":{self.sequence}'
        text += ',"data":' + self.data.model_dump_json(exclude_none=True)
        if not self.sequence:
            return (text + "}").encode()
        body = (text + f',"previoushash":"{self.previoushash}"').encode()
        return body + f'{_HASH_MEMBER}{hashlib.sha256(body).hexdigest()}"}}'.encode()


def decode(document: Mapping[str, Any]) -> Envelope:
    """Read one envelope from its parsed JSON; raises `UndecodableMessage` with what is wrong."""
    try:
        kind = _REGISTRY.get(document["type"])
        if kind is None:
            raise UndecodableMessage(f"unknown message type {document['type']!r}: upgrade this reader first")
        envelope = Envelope(
            id=document["id"],
            source=document["source"],
            subject=document["subject"],
            time=datetime.fromisoformat(document["time"]),
            data=kind.model_validate(document["data"]),
            correlationid=document["correlationid"],
            causationid=document.get("causationid", ""),
            traceparent=document.get("traceparent", ""),
            sequence=document.get("sequence", 0),
            previoushash=document.get("previoushash", ""),
            hash=document.get("hash", ""),
        )
    except UndecodableMessage:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:  # pydantic's errors are ValueErrors
        raise UndecodableMessage(f"not a message of ours: {error}") from error
    texts = (envelope.id, envelope.source, envelope.subject, envelope.correlationid, envelope.causationid)
    if envelope.time.tzinfo is None or type(envelope.sequence) is not int or not all(type(t) is str for t in texts):
        raise UndecodableMessage("not a message of ours: an attribute of the envelope is of the wrong type")
    return envelope


def decode_bytes(value: bytes) -> Envelope:
    """Read one envelope from its bytes; raises `UndecodableMessage`."""
    try:
        document = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise UndecodableMessage(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise UndecodableMessage("not a JSON object")
    return decode(document)


def split_batch(value: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The members of a CloudEvents JSON batch, each as (its own bytes, parsed); raises `UndecodableMessage`."""
    if value == b"[]":
        return
    try:
        text = value.decode()
        scanner, at = json.JSONDecoder(), 0
        while text[at] == ("[" if at == 0 else ","):
            document, end = scanner.raw_decode(text, at + 1)
            if not isinstance(document, dict):
                raise UndecodableMessage("a batch holds something that is no event")
            yield text[at + 1 : end].encode(), document
            at = end
        if text[at:] != "]":
            raise UndecodableMessage(f"a batch ends in {text[at:][:20]!r}")
    except (ValueError, IndexError, RecursionError) as error:
        raise UndecodableMessage(f"not a CloudEvents batch: {error}") from error


def hash_of(sealed: bytes) -> str | None:
    """The hash that the bytes of a sealed event really have, or None where they do not bear it."""
    found = _HASH_TAIL.search(sealed)
    if found is None:
        return None
    digest = hashlib.sha256(sealed[: found.start()]).hexdigest()
    return digest if digest.encode() == found[1] else None
