"""The protocol of an output partition: taking over, resuming, answering; and no history can make two truths of one command."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decision import Decision
from domain.directory import UNPUBLISHED, Directory, PublishCalendar
from domain.message import SYSTEM, Actor, Envelope, Role
from domain.rider import Account, AwardPoints
from infra.simulator.log import MemoryLog
from streams.commit import CorruptCommit, Kind, Outcome, events_of, head_of
from streams.filter import CommitFilter, Finding, Verdict
from streams.protocol import CommandLogMismatch, Commitment, PartitionOwner, StepFailed
from streams.record import NewRecord, Record, Topic, partition_of
from streams.rider import RiderProcessor

AT = datetime(2026, 3, 2, 4, tzinfo=UTC)
PARTITIONS = 2
RIDERS = [rider for rider in (f"r-{number}" for number in range(20)) if partition_of(rider, PARTITIONS) == 0][:3]
COMMANDS, EVENTS = (Topic.RIDER_COMMANDS, 0), (Topic.RIDER_EVENTS, 0)
STRANGER = Actor(person="stranger", roles=(Role.REPORTER,))


def asked(number: int, *, actor: Actor = SYSTEM) -> NewRecord:
    """The command that awards something to one of the riders; another number, another report."""
    rider = RIDERS[number % len(RIDERS)]
    data = AwardPoints(actor=actor, rider=rider, case_id="ws10k8-1", report=f"x-{number}", kind="filing", points=1)
    command = Envelope(f"command-{number}", "/test", rider, AT, data, f"correlation-{number}")
    headers = {"id": command.id, "correlation-id": command.correlationid}
    return NewRecord(Topic.RIDER_COMMANDS, 0, rider, command.encode(), headers)


def write(log: MemoryLog, records: Iterable[NewRecord | Record]) -> None:
    """Append, in order; what was read elsewhere as if it were new."""
    for record in records:
        log.append(NewRecord(record.topic, record.partition, record.key, record.value, record.headers))


def log_with(*commands: NewRecord) -> MemoryLog:
    """A log that holds these commands."""
    log = MemoryLog(PARTITIONS, AT)
    write(log, commands)
    return log


def owner_of(name: str, *, poisonous: str = "", found: list[Finding] | None = None) -> PartitionOwner[Account]:
    """A new owner of partition 0."""
    report = ([] if found is None else found).append
    return PartitionOwner(RiderProcessor(), 0, PARTITIONS, name, poisonous=frozenset({poisonous}), report=report)


def take_over(log: MemoryLog, owner: PartitionOwner[Account]) -> int:
    """Steps 1 and 2."""
    log.append(owner.opening())
    while not any(owner.fold(record) for record in log.read(*EVENTS, owner.state.next_record, 1)):
        pass
    place = owner.state.filter.expected
    before = log.read(*COMMANDS, place - 1, 1) if place else []
    return owner.resume(log.end(*COMMANDS), before[0] if before else None)


def answers(log: MemoryLog, owner: PartitionOwner[Account], place: int, count: int = 100) -> list[Commitment]:
    """Step 3: what the owner decides; it still has to be written."""
    return [owner.answer(record, UNPUBLISHED) for record in log.read(*COMMANDS, place, count)]


def served(log: MemoryLog, owner: PartitionOwner[Account]) -> list[Commitment]:
    """Take over and answer everything."""
    batch = answers(log, owner, take_over(log, owner))
    write(log, (item.commit for item in batch))
    return batch


def applied(log: MemoryLog) -> Iterator[tuple[Record, tuple[Envelope, ...]]]:
    """What the log says: the valid commits and their events."""
    commits = CommitFilter()
    for record in log.read(*EVENTS, 0, 10_000):
        if commits.admit(record)[0] is Verdict.APPLIED:
            yield record, events_of(record)


def rewritten(log: MemoryLog, where: tuple[Topic, int], at: int, record: Record) -> MemoryLog:
    """The same log with one record that is another one."""
    changed = MemoryLog(PARTITIONS, AT)
    for partition in (COMMANDS, EVENTS):
        records = log.read(*partition, 0, 10_000)
        write(changed, (record if (partition, old.offset) == (where, at) else old for old in records))
    return changed


def test_every_command_is_answered_in_order_with_its_headers() -> None:
    log = log_with(asked(0), asked(1, actor=STRANGER), asked(0))
    heads = [item.head for item in served(log, owner_of("a"))]
    assert [head.command_offset for head in heads] == [0, 1, 2]
    assert [head.outcome for head in heads] == [Outcome.APPLIED, Outcome.REFUSED, Outcome.EMPTY]
    assert [head.correlation_id for head in heads] == ["correlation-0", "correlation-1", "correlation-0"]
    assert (heads[1].reason, heads[1].command_id) == ("RoleNotAllowed", "command-1")


def test_a_new_owner_goes_on_with_the_state_and_the_place_of_the_last_one() -> None:
    log = log_with(asked(0), asked(1))
    first, second = owner_of("a"), owner_of("b")
    served(log, first)
    log.append(asked(2))
    assert take_over(log, second) == 2
    assert second.state.keys == first.state.keys
    assert second.state.effective_at == first.state.effective_at


def test_received_at_never_goes_back() -> None:
    log = log_with(asked(0))
    log.now = AT - timedelta(hours=1)
    log.append(asked(1))
    assert [item.head.effective_at for item in served(log, owner_of("a"))] == [AT, AT]


def test_a_frozen_owner_that_wakes_changes_nothing_and_is_named() -> None:
    log = log_with(asked(0), asked(1), asked(2))
    frozen, found = owner_of("frozen"), list[Finding]()
    late = answers(log, frozen, take_over(log, frozen))
    served(log, owner_of("b"))
    write(log, (item.commit for item in late))
    third = owner_of("c", found=found)
    assert take_over(log, third) == 3
    assert [(finding.verdict, finding.offset) for finding in found] == [(Verdict.FORMER_OWNER, at) for at in (5, 6, 7)]
    assert {finding.stream for finding in found} == set(RIDERS)


def test_a_command_log_shorter_than_what_was_answered_stops_the_owner() -> None:
    log = log_with(asked(0), asked(1), asked(2))
    served(log, owner_of("a"))
    shortened = log_with(asked(0), asked(1))
    write(shortened, log.read(*EVENTS, 0, 100))
    with pytest.raises(CommandLogMismatch, match=r"rider\.commands\.v1\[0\] ends at 2, but 3 commands"):
        take_over(shortened, owner_of("b"))


def test_a_command_log_made_anew_stops_the_owner() -> None:
    log = log_with(asked(0), asked(1))
    served(log, owner_of("a"))
    other = rewritten(log, COMMANDS, 1, log.append(asked(7)))
    with pytest.raises(CommandLogMismatch, match="command command-7, but the last one answered is command-1"):
        take_over(other, owner_of("b"))


def test_after_the_operators_reopening_counting_goes_on_in_the_new_command_log() -> None:
    log = log_with(asked(0), asked(1))
    served(log, owner_of("a"))
    anew = log_with(asked(5))
    write(anew, log.read(*EVENTS, 0, 100))
    anew.append(NewRecord(*EVENTS, "", b"[]", {"kind": Kind.REOPENED, "next-command": "0"}))
    assert [item.head.command_id for item in served(anew, owner_of("b"))] == ["command-5"]
    assert [head_of(record).command_id for record, _ in applied(anew)] == ["command-0", "command-1", "command-5"]


def test_a_changed_byte_in_an_event_stops_the_fold_and_names_the_stream() -> None:
    log = log_with(asked(0), asked(1))
    served(log, owner_of("a"))
    record = log.read(*EVENTS, 2, 1)[0]
    damaged = replace(record, value=record.value.replace(b'"asked":1', b'"asked":2'))
    with pytest.raises(CorruptCommit) as raised:
        take_over(rewritten(log, EVENTS, 2, damaged), owner_of("b"))
    error = raised.value
    assert (error.topic, error.partition, error.offset, error.stream) == (*EVENTS, 2, RIDERS[1])


def test_an_event_that_does_not_follow_its_stream_stops_the_fold() -> None:
    log = log_with(asked(0), asked(3))
    owner = owner_of("a")
    first, second = (item.commit for item in answers(log, owner, take_over(log, owner)))
    write(log, (first, replace(second, value=first.value)))
    with pytest.raises(CorruptCommit, match="event 1 does not follow event 1") as raised:
        take_over(log, owner_of("b"))
    assert (raised.value.offset, raised.value.stream) == (2, RIDERS[0])


class Defective(RiderProcessor):
    """Cannot decide about the second command."""

    def decide(self, state: Account, command: Envelope, at: datetime, directory: Directory) -> Decision:
        if command.id == "command-3":
            raise ZeroDivisionError
        return super().decide(state, command, at, directory)


def test_a_step_that_raises_stops_before_its_command_and_leaves_the_state() -> None:
    log = log_with(asked(0), asked(3))
    owner: PartitionOwner[Account] = PartitionOwner(Defective(), 0, PARTITIONS, "a")
    answers(log, owner, take_over(log, owner), 1)
    before = copy.deepcopy(owner.state)
    with pytest.raises(StepFailed, match=r"rider\.commands\.v1\[0\]@1: the step for command command-3") as raised:
        answers(log, owner, 1)
    assert raised.value.command_id == "command-3"
    assert owner.state == before


def test_a_command_that_the_operator_declares_poisonous_is_passed_over() -> None:
    log = log_with(asked(0), asked(3), asked(6))
    owner: PartitionOwner[Account] = PartitionOwner(Defective(), 0, PARTITIONS, "a", poisonous=frozenset({"command-3"}))
    outcomes = [item.head.outcome for item in served(log, owner)]
    assert outcomes == [Outcome.APPLIED, Outcome.POISON, Outcome.APPLIED]


def foreign() -> NewRecord:
    """A command whose key belongs elsewhere."""
    stranger = next(rider for rider in (f"s-{n}" for n in range(20)) if partition_of(rider, PARTITIONS) == 1)
    return replace(asked(1), key=stranger)


@pytest.mark.parametrize(
    ("poison", "why"),
    [
        (replace(asked(1), value=b"\xff\x00"), "not JSON"),
        (replace(asked(1), value=b"[1]"), "not a JSON object"),
        (replace(asked(1), value=asked(1).value.replace(b"award_points", b"give_points")), "unknown message type"),
        (replace(asked(1), value=asked(1).value.replace(b'"points":1', b'"points":-1')), "not a message of ours"),
        (replace(asked(1), value=asked(1).value.replace(b'"2026-03', b'"2026-33')), "month"),
        (replace(asked(1), headers={"id": "other"}), "the id in the headers"),
        (foreign(), "does not belong in partition 0"),
    ],
)
def test_what_cannot_be_read_is_answered_as_poison_and_kept_as_a_dead_letter(poison: NewRecord, why: str) -> None:
    log = log_with(asked(0), poison, asked(2))
    good, bad, last = served(log, owner_of("a"))
    assert (good.dead_letter, bad.head.outcome, last.head.outcome) == (None, Outcome.POISON, Outcome.APPLIED)
    assert why in bad.head.reason
    letter = bad.dead_letter
    assert letter is not None
    assert (letter.topic, letter.key, letter.value) == (Topic.DEAD_LETTERS, poison.key, poison.value)
    where = [letter.headers[name] for name in ("dead-topic", "dead-partition", "dead-offset", "dead-error")]
    assert where == [Topic.RIDER_COMMANDS, "0", "1", bad.head.reason]
    assert take_over(log, owner_of("b")) == 3


def test_an_owner_answers_only_the_next_command() -> None:
    log = log_with(asked(0), asked(1))
    owner = owner_of("a")
    take_over(log, owner)
    with pytest.raises(CommandLogMismatch, match="handed command 1, but 0 is the next one"):
        answers(log, owner, 1)


def test_a_command_of_another_processor_is_poison() -> None:
    data = PublishCalendar(calendar=UNPUBLISHED.calendar)
    command = Envelope("other", "/test", "directory", AT, data, "other")
    record = NewRecord(Topic.RIDER_COMMANDS, 0, RIDERS[0], command.encode(), {"id": "other"})
    (answer,) = served(log_with(record), owner_of("a"))
    assert answer.head.outcome is Outcome.POISON
    assert "no command of the rider processor" in answer.head.reason


Write = tuple[int, str, int]
WRITES = st.lists(
    st.tuples(
        st.integers(0, 1), st.sampled_from(("decide", "write", "lose first", "lose rest", "die")), st.integers(1, 4)
    ),
    max_size=25,
)


class Writer:
    """One of two processes that both believe in themselves: it opens, decides, writes all or some, and dies."""

    def __init__(self, name: str, log: MemoryLog) -> None:
        self.name, self.log, self.lives = name, log, 0
        self.owner: PartitionOwner[Account] | None = None
        self.batch: list[Commitment] = []
        self.place = 0

    def act(self, what: str, count: int) -> None:
        """One step; what was lost on the way to the log is known to the writer only by its death."""
        if self.owner is None:
            self.lives += 1
            self.owner, self.batch = owner_of(f"{self.name}{self.lives}"), []
            self.place = take_over(self.log, self.owner)
        elif what == "decide":
            decided = answers(self.log, self.owner, self.place, count)
            self.batch += decided
            self.place += len(decided)
        else:
            kept = {"write": self.batch, "lose first": self.batch[1:], "lose rest": self.batch[:count], "die": []}[what]
            write(self.log, (item.commit for item in kept))
            self.batch = []
            self.owner = self.owner if what == "write" else None


def history(log: MemoryLog) -> list[tuple[int, bytes]]:
    """The valid answers: command offsets and events as stored."""
    return [(head_of(record).command_offset, record.value) for record, _ in applied(log)]


@given(WRITES)
def test_no_interleaving_of_two_owners_makes_another_history_than_one_owner_would(writes: Sequence[Write]) -> None:
    commands = [asked(number % 7, actor=STRANGER if number == 5 else SYSTEM) for number in range(10)]
    undisturbed, log = log_with(*commands), log_with(*commands)
    served(undisturbed, owner_of("only"))
    writers = (Writer("a", log), Writer("b", log))
    for which, what, count in writes:
        writers[which].act(what, count)
    served(log, last := owner_of("last"))
    assert history(log) == history(undisturbed)
    assert [offset for offset, _ in history(log)] == list(range(10))
    reader = owner_of("reader")
    take_over(log, reader)
    assert reader.state.keys == last.state.keys
