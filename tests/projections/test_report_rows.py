"""What became of a report, in whatever order it is told."""

from __future__ import annotations

from itertools import permutations

import pytest
from sqlalchemy import Connection

from domain.case import events as e
from domain.ids import uuid_of
from domain.report import ReportSubmitted
from projections.cases import case_file, timeline
from projections.projector import digest
from projections.reports import content_of, report, reporters_of, reports_of
from projections.schema import metadata
from tests.domain.smallville import CASE, OTHER_RIDER, RIDER
from tests.domain.specification import (
    FIRST,
    IN_QUEUE,
    SECOND,
    attached,
    minute,
)
from tests.domain.specification import report as a_report
from tests.projections.story import fold, stream, submitted


def test_a_report_and_its_fate_may_come_in_any_order(connection: Connection) -> None:
    sources = [submitted(FIRST), submitted(SECOND), stream(*IN_QUEUE, attached())]
    digests = []
    for order in permutations(sources):
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        digests.append(digest(fold(connection, *order)))
    assert all(other == digests[0] for other in digests)
    first, second = report(connection, FIRST.report), report(connection, uuid_of(SECOND.report))
    assert first is not None
    assert second is not None
    assert (first.status, first.case_id, first.media, first.occurred_at) == ("filed", CASE, ("photo",), minute(-5))
    assert (second.status, second.received_at, second.status_at) == ("attached", minute(5), minute(2))
    assert reporters_of(connection, CASE) == {RIDER.person, OTHER_RIDER.person}


@pytest.mark.parametrize("submission_first", [True, False])
def test_a_report_whose_id_a_stranger_took_back_is_its_reporters_in_any_order(
    connection: Connection, submission_first: bool
) -> None:
    sent = [*submitted(FIRST, "stranger"), *submitted(FIRST)]
    fate = [
        *stream(e.ReportWithdrawn(report=FIRST.report, reporter="stranger"), subject=FIRST.report),
        *stream(*IN_QUEUE),
    ]
    fold(connection, *([sent, fate] if submission_first else [fate, sent]))
    found = report(connection, FIRST.report)
    assert found is not None
    assert (found.reporter, found.status) == (RIDER.person, "filed")


def test_a_report_sent_again_keeps_its_first_content(connection: Connection) -> None:
    (first,) = submitted(FIRST)
    fold(connection, [first], submitted(FIRST, category="danger"))
    found = report(connection, FIRST.report)
    assert found is not None
    assert isinstance(first.data, ReportSubmitted)
    assert (found.category, found.content) == ("hazard", content_of(first.data))


def test_the_content_of_a_report_is_what_the_reporter_says_whatever_the_edition() -> None:
    said = submitted(FIRST)[0].data
    assert isinstance(said, ReportSubmitted)
    assert content_of(said) == content_of(said.model_copy(update={"edition": "later"}))
    assert content_of(said) != content_of(said.model_copy(update={"media": ()}))


def test_a_tombstone_is_a_withdrawn_report_and_no_case(connection: Connection) -> None:
    withdrawn = e.ReportWithdrawn(report=FIRST.report, reporter=RIDER.person)
    fold(connection, stream(withdrawn, subject=FIRST.report))
    assert reports_of(connection, RIDER.person) == []  # nobody knows yet when it came
    fold(connection, submitted(FIRST))
    assert [found.status for found in reports_of(connection, RIDER.person)] == ["withdrawn"]
    assert case_file(connection, FIRST.report) is None
    assert timeline(connection, FIRST.report) == []


def test_ones_own_reports_come_newest_first_and_in_pages(connection: Connection) -> None:
    mine = [a_report(str(number), received=number) for number in range(5)]
    fold(connection, *(submitted(one) for one in mine), submitted(SECOND))
    first = reports_of(connection, RIDER.person, limit=3)
    rest = reports_of(connection, RIDER.person, limit=3, before=first[-1].report)
    assert [found.report for found in [*first, *rest]] == [one.report for one in reversed(mine)]
