"""The case file and its timeline."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from domain.case import events as e
from domain.case.events import Stage
from domain.message import Event
from projections import cases
from projections.cases import case_file, timeline
from projections.sentences import sentence
from tests.domain.smallville import (
    CASE,
    COMMUNITY,
    GRID_A,
    HERE,
    STREET,
    WORKER,
)
from tests.domain.specification import (
    CLOSED,
    DONE,
    HANDLE,
    HANDLE_DUE,
    IN_HAND,
    INSPECT,
    ON_THE_SHELF,
    RESUMED,
    SHELVED,
    TUESDAY_NOON,
    attached,
    escalated,
    held,
    minute,
    missed,
)
from tests.projections.story import UP, fold, reopened, sample, stream


def test_a_case_file_shows_who_answers_for_it_and_by_when(connection: Connection) -> None:
    found = case_file(fold(connection, stream(*IN_HAND, attached())), CASE)
    assert found is not None
    assert (found.status, found.owner, found.owner_level, found.holder) == ("accepted", GRID_A, "grid", WORKER.person)
    assert (found.handling_due, found.deadlines, found.reports, found.version) == (HANDLE_DUE, (HANDLE,), 2, 4)
    assert (found.place, found.received_at, found.filed_at) == (HERE, minute(0), minute(0))
    assert found.archived is False


def test_an_escalated_case_is_its_new_owners_to_accept(connection: Connection) -> None:
    late = stream(*IN_HAND, missed(HANDLE), escalated(COMMUNITY, Stage.HANDLE, UP))
    found = case_file(fold(connection, late), CASE)
    assert found is not None
    assert (found.owner, found.owner_level, found.status, found.holder) == (COMMUNITY, "community", "dispatched", None)
    assert found.deadlines == (UP,)


def test_a_shelved_case_says_when_it_goes_on_at_the_latest_and_a_resumed_one_what_was_left(
    connection: Connection,
) -> None:
    shelved = case_file(fold(connection, stream(*ON_THE_SHELF)), CASE)
    assert shelved is not None
    assert (shelved.status, shelved.holder, shelved.deadlines) == ("shelved", WORKER.person, SHELVED.deadlines)
    resumed = case_file(fold(connection, stream(*ON_THE_SHELF, RESUMED)[-1:]), CASE)
    assert resumed is not None
    assert (resumed.status, resumed.handling_due, resumed.deadlines) == ("accepted", TUESDAY_NOON, RESUMED.deadlines)


def test_a_reopened_case_has_no_outcome(connection: Connection) -> None:
    fold(connection, stream(*CLOSED))
    found = case_file(connection, CASE)
    assert found is not None
    assert (found.outcome, found.on_time, found.closed_at, found.deadlines) == ("resolved", True, minute(5), ())
    again = case_file(fold(connection, stream(*CLOSED, reopened())[-1:]), CASE)
    assert again is not None
    assert (again.status, again.outcome, again.on_time, again.closed_at) == ("dispatched", None, None, None)


def test_a_timeline_is_in_order_and_says_what_the_public_may_read(connection: Connection) -> None:
    entries = timeline(fold(connection, stream(*DONE, missed(INSPECT), escalated(STREET, Stage.INSPECT))), CASE)
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.time for entry in entries] == [minute(number) for number in range(6)]
    assert entries[3].by == WORKER.person
    assert entries[4].text_zh == f"超时: {GRID_A} 未按时核查"
    assert entries[5].text_zh == f"升级督办: 至街道 ({STREET}), 核查超时"
    assert entries[5].text_en == f"Escalated to the street ({STREET}): inspect limit missed"


KINDS: list[type[Event]] = [kind for kind in e.CaseEvent.__subclasses__() if kind in cases.HANDLES]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.wire_type)
@pytest.mark.parametrize("size", ["full", "minimal"])
def test_every_event_of_a_case_has_its_own_sentence_in_both_languages(kind: type[Event], size: str) -> None:
    zh, en, _ = sentence(sample(kind, size))
    assert any("一" <= letter <= "鿿" for letter in zh)
    assert en.isascii() or en.partition(":")[0].isascii()


def test_an_event_without_a_sentence_is_a_defect() -> None:
    with pytest.raises(TypeError, match=r"beeline\.report\.held\.v1"):
        sentence(held())
