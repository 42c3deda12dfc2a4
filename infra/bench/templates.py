"""Templated bytes: a played life with gaps where its copies differ: ids, people, instants, days, and the hash chain."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from operator import itemgetter
from random import Random

from domain.message import instant_text
from infra.bench.city import Seen
from infra.bench.lives import BORN, Step
from infra.embedded.clock import instant_of
from infra.uuid7 import uuid7_at
from projections.schema import micros
from streams.record import Topic

LOCAL = timedelta(hours=8)
"""Of Asia/Shanghai, which knows no summer time."""
SEQUENCE, PREVIOUS = 0, 1
"""Slots that are filled anew for each event."""

_GAP = re.compile(
    r'(?P<instant>(?<=")\d{4}-\d\d-\d\dT[\d:.]+Z(?="))'
    r'|(?P<day>(?<="day":")\d{4}-\d\d-\d\d)'
    r"|(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r'|(?P<sequence>(?<="sequence":)\d+)'
    r'|(?P<previous>(?<="previoushash":")[0-9a-f]{64})'
    r'|(?P<rider>(?<=")r-\d+(?="))'
    r'|(?P<case>(?<=")[0-9a-z]{6}-1(?="))'
)
_HASH = b',"hash":"'


@dataclass(frozen=True, slots=True)
class Pattern:
    """Bytes with gaps, and which slots fill them."""

    form: bytes
    pick: Callable[[Sequence[bytes]], tuple[bytes, ...]]

    def fill(self, values: Sequence[bytes]) -> bytes:
        """The bytes of one copy."""
        return self.form % self.pick(values)


@dataclass(frozen=True, slots=True)
class TemplateStep:
    """A record: when after the report, where, the slot of its key (None: the cell), its events, and slots of its headers."""

    after: int
    topic: Topic
    key: int | None
    events: tuple[Pattern, ...]
    command: int
    correlation: int
    instant: int
    outcome: str


class Template:
    """One life, to be copied. ``people`` are its riders, in the order in which they reported."""

    def __init__(self, steps: Sequence[Step], people: Sequence[Seen]) -> None:
        self.cell = steps[0].key
        self.riders = len(people)
        self._uuids = {seen.uuid for seen in people}
        self._people = {seen.rider: number for number, seen in enumerate(people)}
        self._slots: dict[str, int] = {"sequence": SEQUENCE, "previous": PREVIOUS}
        self._makers: list[Callable[[Copying], bytes]] = []
        self.steps = tuple(self._step(step) for step in steps)

    def values(self, copying: Copying) -> list[bytes]:
        """What fills the gaps of one copy."""
        return [b"", b"", *(maker(copying) for maker in self._makers)]

    def _step(self, step: Step) -> TemplateStep:
        is_report = step.topic is Topic.REPORT_EVENTS
        headers, now = step.headers, instant_text(step.at)
        return TemplateStep(
            after=micros(step.at) - micros(BORN),
            topic=step.topic,
            key=self._slot("rider", step.key) if step.topic is Topic.RIDER_EVENTS else None,
            events=tuple(self._pattern(raw, now) for raw in step.events),
            command=self._slot("uuid", headers["id" if is_report else "command-id"]),
            correlation=self._slot("uuid", headers["correlation-id"]),
            instant=self._slot("instant", now),
            outcome=headers.get("outcome", ""),
        )

    def _pattern(self, raw: bytes, now: str) -> Pattern:
        text = raw.rsplit(_HASH, 1)[0].decode()
        slots: list[int] = []

        def gap(found: re.Match[str]) -> str:
            kind = str(found.lastgroup)
            slots.append(self._slot(kind, now if kind == "day" else found[0]))
            return "\0"

        form = _GAP.sub(gap, text).replace("%", "%%").replace("\0", "%b").encode()
        return Pattern(form, itemgetter(*slots))

    def _slot(self, kind: str, text: str) -> int:
        """The slot of a value; the same value, the same slot."""
        if kind in ("sequence", "previous"):
            return self._slots[kind]
        known = self._slots.get(f"{kind} {text}")
        if known is None:
            known = self._slots[f"{kind} {text}"] = len(self._makers) + 2
            self._makers.append(self._maker(kind, text, known))
        return known

    def _maker(self, kind: str, text: str, slot: int) -> Callable[[Copying], bytes]:
        match kind:
            case "instant" | "day":
                after = micros(datetime.fromisoformat(text)) - micros(BORN)
                write = instant_bytes if kind == "instant" else day_bytes
                return lambda copying: write(copying.start + after)
            case "uuid" if text in self._uuids:
                return lambda copying: copying.new_uuid()
            case "uuid":
                return lambda copying: b"%08x-%04x-5000-8000-000000000000" % (copying.number, slot)
            case "rider":
                person = self._people[text]
                return lambda copying: copying.riders[person]
            case _:
                return lambda copying: copying.case


@dataclass(frozen=True, slots=True)
class Copying:
    """What makes a copy different: its number, when it begins (microseconds), its riders, its case's id, chance for its ids."""

    number: int
    start: int
    riders: tuple[bytes, ...]
    case: bytes
    random: Random

    def new_uuid(self) -> bytes:
        """A UUIDv7 of its beginning."""
        return uuid7_at(instant_of(self.start), self.random).encode()


def instant_bytes(at: int) -> bytes:
    """RFC 3339 of microseconds since 1970 UTC."""
    return f"{instant_of(at).replace(tzinfo=None).isoformat(timespec='microseconds')}Z".encode()


def day_bytes(at: int) -> bytes:
    """The local date of microseconds since 1970 UTC."""
    return f"{instant_of(at) + LOCAL:%Y-%m-%d}".encode()


def seal(body: bytes) -> tuple[bytes, bytes]:
    """The bytes of a sealed event, and its hash."""
    digest = sha256(body).hexdigest().encode()
    return body + _HASH + digest + b'"}', digest
