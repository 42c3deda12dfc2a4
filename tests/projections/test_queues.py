"""Who sees a line of a queue, and in what order."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, select

from domain.case import events as e
from domain.case.events import Stage
from domain.message import Envelope, Event
from projections.queues import FAR, cursor_of, item_table, queue, seat_table
from tests.domain.smallville import (
    CASE,
    CITY,
    COMMUNITY,
    DISTRICT,
    GRID_A,
    RIDER,
    STREET,
    SUPERVISOR,
    WORKER,
)
from tests.domain.specification import (
    A_YEAR_LATER,
    ACCEPT,
    ASKED,
    DONE,
    FIRST,
    HANDLE,
    IN_HAND,
    IN_QUEUE,
    ON_THE_SHELF,
    RESUMED,
    SECOND,
    TUESDAY_NOON,
    attached,
    closed,
    completed,
    deadline,
    dispatched,
    escalated,
    filed,
    held,
    minute,
    missed,
)
from tests.projections.story import UP, fold, reopened, sample, stream

ARCHIVED = e.CaseArchived(reporters=(RIDER.person,))


def roles(connection: Connection, item: str = CASE) -> dict[str, str]:
    """Who sees a line, and as what."""
    query = select(seat_table.c.unit, seat_table.c.role).where(seat_table.c.item == item)
    return dict(connection.execute(query).all())


def test_a_case_stands_in_one_queue_and_is_seen_from_above(connection: Connection) -> None:
    fold(connection, stream(*IN_QUEUE))
    assert roles(connection) == {
        GRID_A: "owner",
        COMMUNITY: "above",
        STREET: "above",
        DISTRICT: "above",
        CITY: "above",
    }
    (line,) = queue(connection, GRID_A)
    assert (line.item, line.stage, line.due, line.status, line.role) == (
        CASE,
        "accept",
        minute(15),
        "dispatched",
        "owner",
    )
    assert queue(connection, COMMUNITY) == []
    assert [seen.item for seen in queue(connection, COMMUNITY, subtree=True)] == [CASE]


def test_a_former_owner_keeps_watching_until_somebody_dispatches_anew(connection: Connection) -> None:
    climbed = [*IN_QUEUE, missed(ACCEPT), escalated(COMMUNITY, Stage.ACCEPT, UP)]
    climbed += [missed(UP, COMMUNITY), escalated(STREET, Stage.ACCEPT, UP, source=COMMUNITY)]
    events = stream(*climbed, dispatched())
    fold(connection, events[:-1])
    assert roles(connection) == {
        GRID_A: "watching",
        COMMUNITY: "watching",
        STREET: "owner",
        DISTRICT: "above",
        CITY: "above",
    }
    assert [line.role for line in queue(connection, GRID_A)] == ["watching"]
    fold(connection, events[-1:])
    assert roles(connection)[GRID_A] == "owner"
    assert "watching" not in roles(connection).values()


@pytest.mark.parametrize("end", [closed(), sample(e.CaseVoided)])
def test_an_ended_case_leaves_every_queue_and_comes_back_when_reopened(connection: Connection, end: Event) -> None:
    events = stream(*DONE, end, reopened(), closed(), ARCHIVED)
    fold(connection, events[:5])
    assert roles(connection) == {}
    fold(connection, events[5:6])
    assert roles(connection)[GRID_A] == "owner"
    fold(connection, events[6:])
    assert connection.execute(select(item_table)).all() == []


def test_a_shelved_case_stays_in_its_owners_queue_until_it_is_resumed(connection: Connection) -> None:
    *events, shelving, resuming = stream(*ON_THE_SHELF, RESUMED)
    lines = []
    for batch in (events, [shelving], [resuming]):
        lines += queue(fold(connection, batch), GRID_A)
    asked, shelved, resumed = lines
    assert (asked.status, asked.stage, asked.request) == ("accepted", "handle", "shelving")
    assert (shelved.status, shelved.stage, shelved.due, shelved.request) == ("shelved", "shelved", A_YEAR_LATER, None)
    assert (resumed.status, resumed.stage, resumed.due) == ("accepted", "handle", TUESDAY_NOON)
    assert {line.holder for line in lines} == {WORKER.person}


REJECTED = e.ShelvingRejected(by=SUPERVISOR.person, reason="应尽快处置")


@pytest.mark.parametrize("settled", [[REJECTED], [completed()], [closed("referred"), reopened()]])
def test_a_request_waits_in_the_queue_until_it_is_settled(connection: Connection, settled: list[Event]) -> None:
    fold(connection, stream(*IN_HAND, ASKED, *settled))
    assert [line.request for line in queue(connection, GRID_A)] == [None]


DECLINED = e.ReportDeclined(report=FIRST.report, reporter=RIDER.person, reason="不属实", by="d")
WITHDRAWN = e.ReportWithdrawn(report=FIRST.report, reporter=RIDER.person)


@pytest.mark.parametrize(
    "decided",
    [
        stream(held(), DECLINED, subject=FIRST.report)[1:],
        stream(held(), WITHDRAWN, subject=FIRST.report)[1:],
        stream(*IN_QUEUE),
        stream(filed(SECOND), dispatched(), attached(FIRST)),
    ],
    ids=["declined", "withdrawn", "filed", "attached"],
)
def test_a_held_report_stands_at_the_communitys_desk_until_it_is_decided(
    connection: Connection, decided: list[Envelope]
) -> None:
    fold(connection, stream(held(), subject=FIRST.report))
    (line,) = queue(connection, COMMUNITY)
    assert (line.item, line.kind, line.status, line.due) == (FIRST.report, "held_report", "held", None)
    assert roles(connection, FIRST.report) == {
        COMMUNITY: "owner",
        STREET: "above",
        DISTRICT: "above",
        CITY: "above",
    }
    fold(connection, decided)
    assert roles(connection, FIRST.report) == {}


def test_the_most_urgent_comes_first_and_a_page_ends_anywhere(connection: Connection) -> None:
    never = stream(held(), subject=FIRST.report)
    soon, later = deadline(Stage.ACCEPT, 2, minute(10)), deadline(Stage.ACCEPT, 2, minute(20))
    for number, due in enumerate([later, soon, later], start=7):
        fold(connection, stream(filed(), dispatched(HANDLE, due), subject=f"cell00-{number}"))
    fold(connection, never)
    lines = queue(connection, COMMUNITY, subtree=True)
    assert [line.item for line in lines] == ["cell00-8", "cell00-7", "cell00-9", FIRST.report]
    assert cursor_of(lines[-1])[0] == FAR
    for at, line in enumerate(lines, start=1):
        assert queue(connection, COMMUNITY, subtree=True, after=cursor_of(line)) == lines[at:]
