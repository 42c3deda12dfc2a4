"""The envelope: derived ids, the hash chain over the bytes as stored, and what damaged bytes get."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.case.events import NoteAdded, OutcomeRated
from domain.message import (
    BEELINE_NAMESPACE,
    GENESIS,
    CommandRefused,
    Envelope,
    UndecodableMessage,
    decode_bytes,
    derived_id,
    hash_of,
    instant_text,
    message_types,
    split_batch,
)
from domain.sealing import Sealed

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
"""Any text that UTF-8 can hold: quotes, backslashes, line separators, 汉字, emoji, NUL."""
NOON = datetime(2026, 3, 2, 4, 0, 0, 123456, tzinfo=UTC)


def envelope(text: str = "好", *, sequence: int = 0, previous: str = GENESIS) -> Envelope:
    """An event whose person is ``text``; sealed where it has a sequence."""
    return Envelope(
        id=derived_id("command", sequence),
        source="/beeline/case",
        subject="ws10k8-412",
        time=NOON,
        data=OutcomeRated(by=text, score=5),
        correlationid="correlation",
        causationid="command",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        sequence=sequence,
        previoushash=previous if sequence else "",
    )


def chain(texts: Sequence[str]) -> list[bytes]:
    """A stream of sealed events."""
    stored: list[bytes] = []
    for sequence, text in enumerate(texts, start=1):
        previous = hash_of(stored[-1]) if stored else GENESIS
        stored.append(envelope(text, sequence=sequence, previous=previous or "").encode())
    return stored


def batch(members: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(members) + b"]"


# -- ids and instants ------------------------------------------------------------------------------------------------


def test_the_same_parts_give_the_same_id_on_every_host() -> None:
    assert derived_id("a", 1) == "677de609-be88-5333-b5f7-6b5094dc17bf"
    assert len({derived_id(*parts) for parts in (("a", 1), ("a", 2), ("a",), ("b", 1))}) == 4


@given(st.lists(TEXT, min_size=1))
def test_a_derived_id_is_a_uuid_of_version_5(parts: list[str]) -> None:
    assert derived_id(*parts) == str(uuid5(BEELINE_NAMESPACE, "|".join(parts)))


def test_an_instant_is_written_in_one_way() -> None:
    shenzhen = NOON.astimezone(timezone(timedelta(hours=8)))
    assert instant_text(shenzhen) == "2026-03-02T04:00:00.123456Z"
    assert instant_text(NOON.replace(microsecond=0)) == "2026-03-02T04:00:00.000000Z"


def test_the_type_follows_from_the_name() -> None:
    assert (OutcomeRated.wire_type, CommandRefused.wire_type) == (
        "beeline.outcome.rated.v1",
        "beeline.command.refused.v1",
    )
    assert message_types()["beeline.outcome.rated.v1"] is OutcomeRated


# -- encoding --------------------------------------------------------------------------------------------------------


@given(TEXT)
def test_what_is_encoded_is_decoded_again(text: str) -> None:
    for original in (envelope(text), envelope(text, sequence=1)):
        stored = original.encode()
        assert decode_bytes(stored) == replace(original, hash=hash_of(stored) or "")


def test_an_envelope_is_a_cloudevent_in_structured_mode() -> None:
    document = json.loads(envelope(sequence=3).encode())
    assert document["specversion"] == "1.0"
    assert document["type"] == "beeline.outcome.rated.v1"
    assert document["data"] == {"by": "好", "score": 5}
    assert list(document)[-2:] == ["previoushash", "hash"]


def test_what_is_not_known_is_not_written() -> None:
    bare = replace(envelope(), causationid="", traceparent="")
    assert set(json.loads(bare.encode())).isdisjoint({"causationid", "traceparent", "sequence", "previoushash", "hash"})
    note = NoteAdded(by="p", text=Sealed(person="p", cipher="AA=="), audience="staff")
    assert json.loads(replace(bare, data=note).encode())["data"]["text"] == {"person": "p", "cipher": "AA=="}


# -- the chain -------------------------------------------------------------------------------------------------------


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_every_event_bears_the_hash_of_the_one_before(texts: list[str]) -> None:
    stored = chain(texts)
    events = [decode_bytes(raw) for raw in stored]
    assert [event.previoushash for event in events] == [GENESIS, *(event.hash for event in events[:-1])]
    assert [hash_of(raw) for raw in stored] == [event.hash for event in events]


@given(TEXT, st.data())
def test_a_changed_byte_does_not_bear_its_hash(text: str, data: st.DataObject) -> None:
    stored = bytearray(envelope(text, sequence=1).encode())
    where = data.draw(st.integers(0, len(stored) - 1))
    stored[where] ^= data.draw(st.integers(1, 255))
    assert hash_of(bytes(stored)) is None


def test_the_hash_must_be_the_last_member() -> None:
    stored = envelope(sequence=1).encode()
    assert hash_of(stored + b" ") is None
    assert hash_of(envelope().encode()) is None


# -- batches ---------------------------------------------------------------------------------------------------------


@given(st.lists(TEXT, max_size=4))
def test_a_batch_gives_back_the_bytes_of_its_members(texts: list[str]) -> None:
    stored = chain(texts)
    members = list(split_batch(batch(stored)))
    assert [raw for raw, _ in members] == stored
    assert all(json.loads(raw) == document for raw, document in members)


@given(st.lists(TEXT, min_size=1, max_size=3), st.data())
def test_a_batch_that_was_cut_off_is_not_read(texts: list[str], data: st.DataObject) -> None:
    whole = batch(chain(texts))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(UndecodableMessage):
        list(split_batch(cut))


@given(st.binary(max_size=60))
def test_no_bytes_at_all_make_a_reader_fall_over(value: bytes) -> None:
    for read in (lambda: list(split_batch(value)), lambda: decode_bytes(value)):
        try:
            read()
        except UndecodableMessage:
            continue


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"[1]", b'["a"]', b"[[]]", b"[{}] ", b"[{}}", b"[{},]", b"[,{}]", b"\xff[]"]
)
def test_what_is_no_batch_of_events_is_refused(value: bytes) -> None:
    with pytest.raises(UndecodableMessage):
        list(split_batch(value))


# -- what cannot be read ---------------------------------------------------------------------------------------------


def changed(**attributes: object) -> bytes:
    """An envelope with some attributes replaced; None leaves one out."""
    document = {**json.loads(envelope().encode()), **attributes}
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def test_an_unknown_type_asks_to_upgrade_the_reader_first() -> None:
    with pytest.raises(UndecodableMessage, match="upgrade this reader first"):
        decode_bytes(changed(type="beeline.case.teleported.v1"))


@pytest.mark.parametrize(
    "value",
    [
        changed(id=None),
        changed(type=None),
        changed(type=["beeline.outcome.rated.v1"]),
        changed(time=None),
        changed(time=17),
        changed(time="garbage"),
        changed(time="2026-03-02T09:00:00"),  # in no time zone
        changed(id=17),
        changed(subject=["a"]),
        changed(sequence="1"),
        b'{"type":' + b"[" * 100_000,
        changed(data=None),
        changed(data="text"),
        changed(data={"by": "p"}),
        changed(data={"by": "p", "score": 5, "surplus": 1}),
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
    ],
)
def test_what_is_no_message_of_ours_is_said_to_be_none(value: bytes) -> None:
    with pytest.raises(UndecodableMessage):
        decode_bytes(value)
