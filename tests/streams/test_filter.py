"""The one filter: what counts of a processor's output, when commits are lost, doubled, swapped, damaged or a former owner's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.message import Envelope
from domain.rider import PointsAwarded
from streams.commit import CommitHead, CorruptCommit, Kind, Outcome, commit_record, events_of, head_of
from streams.filter import FAULTS, CommitFilter, Verdict
from streams.record import NewRecord, Record, Topic

AT = datetime(2026, 3, 2, 4, tzinfo=UTC)
TOPIC, PARTITION, RIDER = Topic.RIDER_EVENTS, 3, "r-0001"
V = Verdict


def opened(owner: str) -> NewRecord:
    """A new owner."""
    return NewRecord(TOPIC, PARTITION, owner, b"[]", {"kind": Kind.OWNER_OPENED, "owner": owner})


def reopened(next_command: str) -> NewRecord:
    """A command log made anew."""
    return NewRecord(TOPIC, PARTITION, "", b"[]", {"kind": Kind.REOPENED, "next-command": next_command})


def commit(owner: str, command: int, events: Iterable[bytes] = ()) -> NewRecord:
    """An owner's answer to a command."""
    head = CommitHead(owner, command, f"command-{command}", "correlation", Outcome.EMPTY, AT, "net=t")
    return commit_record(TOPIC, PARTITION, RIDER, head, events)


def placed(*records: NewRecord) -> list[Record]:
    """The records as the log gives them back."""
    return [Record(n.topic, n.partition, at, AT, n.key, n.value, n.headers) for at, n in enumerate(records)]


def verdicts(*records: NewRecord) -> list[Verdict]:
    """What a reader makes of them, without the openings."""
    commits = CommitFilter()
    return [verdict for record in placed(*records) if (verdict := commits.admit(record)[0]) is not V.OWNER_OPENED]


A = (opened("a"), *(commit("a", number) for number in range(4)))


def test_an_owners_commits_in_order_all_count() -> None:
    assert verdicts(*A) == [V.APPLIED] * 4


def test_after_a_missing_commit_the_rest_of_that_owner_is_void() -> None:
    assert verdicts(*A[:2], *A[3:]) == [V.APPLIED, V.HOLE, V.AFTER_HOLE]


def test_a_hole_heals_when_the_next_owner_answers_from_there() -> None:
    healed = (opened("b"), *(commit("b", number) for number in (1, 2, 3)))
    assert verdicts(*A[:2], *A[3:], *healed) == [V.APPLIED, V.HOLE, V.AFTER_HOLE, *[V.APPLIED] * 3]


def test_a_doubled_commit_counts_once() -> None:
    assert verdicts(*A[:3], A[2], *A[3:]) == [V.APPLIED, V.APPLIED, V.DOUBLED, V.APPLIED, V.APPLIED]


def test_swapped_commits_are_a_hole_until_the_next_owner() -> None:
    assert verdicts(A[0], A[1], A[3], A[2], A[4]) == [V.APPLIED, V.HOLE, V.AFTER_HOLE, V.AFTER_HOLE]


def test_a_former_owner_that_wakes_changes_nothing() -> None:
    records = (*A[:3], opened("b"), A[3], commit("b", 2), A[4], commit("b", 3))
    assert verdicts(*records) == [V.APPLIED, V.APPLIED, V.FORMER_OWNER, V.APPLIED, V.FORMER_OWNER, V.APPLIED]


def test_nothing_counts_before_an_owner_has_opened() -> None:
    assert verdicts(commit("a", 0), *A) == [V.FORMER_OWNER, *[V.APPLIED] * 4]


def test_a_reopened_log_counts_from_its_new_place_and_has_no_owner() -> None:
    records = (*A, reopened("0"), commit("a", 0), opened("b"), commit("b", 0), commit("b", 1))
    assert verdicts(*records) == [*[V.APPLIED] * 4, V.REOPENED, V.FORMER_OWNER, V.APPLIED, V.APPLIED]


@pytest.mark.parametrize(
    "damaged",
    [
        NewRecord(TOPIC, PARTITION, RIDER, b"[]", {"kind": "commmit"}),
        NewRecord(TOPIC, PARTITION, RIDER, b"[]", {"kind": Kind.COMMIT, "owner": "a"}),
        NewRecord(TOPIC, PARTITION, RIDER, b"[]", {"kind": Kind.OWNER_OPENED}),
        reopened("minus one"),
    ],
)
def test_damaged_headers_stop_the_reader_and_say_where(damaged: NewRecord) -> None:
    with pytest.raises(CorruptCommit) as raised:
        CommitFilter().admit(replace(placed(damaged)[0], offset=77))
    assert (raised.value.topic, raised.value.partition, raised.value.offset) == (TOPIC, PARTITION, 77)


def test_a_finding_says_where_a_void_record_lies_and_what_was_expected() -> None:
    commits = CommitFilter(owner="b", expected=5)
    record = placed(commit("a", 4))[0]
    verdict, head = commits.admit(record)
    finding = commits.explain(record, verdict, head)
    assert (finding.topic, finding.partition, finding.offset, finding.stream) == (TOPIC, PARTITION, 0, RIDER)
    assert "owner a, command 4; expected owner b, command 5" in str(finding)


def test_headers_are_read_back_as_they_were_written() -> None:
    head = CommitHead("a", 7, "id", "correlation", Outcome.REFUSED, AT, "net=t", "NoSuchCase", "ws10k8-9")
    assert head_of(placed(commit_record(TOPIC, PARTITION, RIDER, head, ()))[0]) == head


def award(sequence: int) -> bytes:
    """A sealed event."""
    data = PointsAwarded(case_id="ws10k8-1", report="ws10k8-x", kind="filing", asked=1, points=1, day=date(2026, 3, 2))
    return Envelope(
        f"e{sequence}", "/beeline/rider", RIDER, AT, data, "c", sequence=sequence, previoushash="0"
    ).encode()


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_stops_the_reader_and_names_topic_partition_offset(at: int, change: int) -> None:
    record = placed(opened("a"), commit("a", 0, (award(1), award(2))))[1]
    value = bytearray(record.value)
    value[at % len(value)] ^= change
    with pytest.raises(CorruptCommit) as raised:
        events_of(replace(record, value=bytes(value)))
    assert (raised.value.topic, raised.value.partition, raised.value.offset) == (TOPIC, PARTITION, 1)


def test_a_changed_event_is_named_by_its_stream() -> None:
    record = placed(commit("a", 0, (award(1).replace(b'"points":1', b'"points":9'),)))[0]
    with pytest.raises(CorruptCommit, match=rf"{RIDER}.*does not have the hash") as raised:
        events_of(record)
    assert raised.value.stream == RIDER


def test_an_event_without_its_seal_is_none_of_ours() -> None:
    unsealed = award(1)[: award(1).index(b',"sequence"')] + b"}"
    with pytest.raises(CorruptCommit):
        events_of(placed(commit("a", 0, (unsealed,)))[0])


@st.composite
def spoiled_logs(draw: st.DrawFn) -> Sequence[NewRecord]:
    """Owners that each answer on from anywhere, with commits lost, doubled, swapped and written by the ones before."""
    records: list[NewRecord] = []
    for owner in "abc"[: draw(st.integers(1, 3))]:
        records.append(opened(owner))
        for _ in range(draw(st.integers(0, 8))):
            writer = draw(st.sampled_from("abc"[: "abc".index(owner) + 1]))
            records.append(commit(writer, draw(st.integers(0, 5))))
    return records


@given(spoiled_logs())
def test_whatever_lies_in_the_log_answers_count_once_in_order_and_by_the_latest_owner(
    records: Sequence[NewRecord],
) -> None:
    commits, owner, answered, holes = CommitFilter(), "", list[int](), 0
    for record in placed(*records):
        verdict, head = commits.admit(record)
        if head is None:
            owner, holes = record.headers["owner"], 0
        elif verdict is V.APPLIED:
            assert head.owner == owner
            assert not holes
            answered.append(head.command_offset)
        else:
            assert verdict in FAULTS
            holes += verdict is V.HOLE
    assert answered == list(range(len(answered)))
    assert commits.expected == len(answered)
