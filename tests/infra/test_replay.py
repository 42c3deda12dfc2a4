"""A history replayed in bulk: what it leaves in the log, and what a second run of it does."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from domain.net import Net
from domain.place import Place
from infra.auditing import audit, changed_statements, differing_read_models
from infra.bootstrap import Settings, running
from infra.database import ReadModels
from infra.embedded.bulk import BulkLog
from infra.embedded.lock import LogInUse
from infra.embedded.log import LogReader, Position
from infra.importing.history import History, HistoryRow
from infra.importing.run import HistoryBeforeLog, ImportResult, replay_history
from infra.net.synthetic import tessellate
from infra.statements import Statements
from infra.uuid7 import uuid7_at
from projections.cases import case_file, case_table, timeline
from projections.indicators.answer import Answer
from projections.projector import digest
from projections.reports import report
from projections.summary import Summary, summary
from streams.commit import Kind, Outcome, head_of
from streams.record import NewRecord, Record, Topic

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""A Monday, 09:00 in Shenzhen."""
SQUARE = [[114.0, 22.5], [114.02, 22.5], [114.02, 22.52], [114.0, 22.52], [114.0, 22.5]]
MANHOLE, RUBBISH, QUARREL = "H-0101", "C-0101", "D-0204"
"""A category that is filed at once, another, and one that waits for a dispatcher."""


@pytest.fixture(scope="module")
def net() -> Net:
    return tessellate({"type": "Polygon", "coordinates": [SQUARE]}, 500, name="Pastville")


def row(
    line: int, hours: float, closed_after: float | None = None, category: str = MANHOLE, spot: int = 0
) -> HistoryRow:
    opened = START + timedelta(hours=hours)
    return HistoryRow(
        line=line,
        uuid=uuid7_at(opened, Random(line)),
        opened_at=opened,
        closed_at=None if closed_after is None else opened + timedelta(hours=closed_after),
        category=category,
        place=Place(lon=round(114.002 + spot * 0.0015, 6), lat=22.505),
        description="路上缺个井盖 · no cover",
        reporter="r-1" if line % 2 else None,
    )


ROWS = (
    row(2, 0, 1.0),
    row(3, 0.25, 5.0),
    row(4, 2, 24 * 3, RUBBISH, 3),
    row(5, 30, None, MANHOLE, 6),
    row(6, 40, 2.0, QUARREL, 8),
    row(7, 24 * 40, 1.0, RUBBISH, 9),
)
"""The second reports the matter of the first, which is open still; the fourth stays open for ever."""


def history(rows: Iterable[HistoryRow] = ROWS) -> History:
    return History(rows=tuple(rows))


def replayed(data: Path, net: Net, rows: Iterable[HistoryRow] = ROWS, *, notices: bool = False) -> ImportResult:
    return replay_history(data, history(rows), net=net, zone="Asia/Shanghai", notices=notices, progress=lambda *_: None)


def totals(data: Path) -> Summary:
    models = ReadModels(data)
    with models.reading() as connection:
        found = summary(connection)
    models.close()
    return found


def digests(data: Path) -> dict[str, str]:
    models = ReadModels(data)
    with models.reading() as connection:
        found = digest(connection)
    models.close()
    return found


def test_rows_become_reports_at_their_own_times_and_are_closed_at_theirs(tmp_path: Path, net: Net) -> None:
    result = replayed(tmp_path, net)
    assert (result.imported, result.known, result.filed, result.attached, result.closed) == (6, 0, 5, 1, 4)
    models = ReadModels(tmp_path)
    with models.reading() as connection:
        first = report(connection, ROWS[0].uuid)
        assert first is not None
        assert first.received_at == ROWS[0].opened_at
        found = case_file(connection, first.case_id or "")
        assert found is not None
        assert (found.status, found.outcome, found.on_time) == ("closed", "resolved", True)
        assert found.closed_at == ROWS[0].closed_at
        kinds = [entry.type.split(".", 1)[1] for entry in timeline(connection, found.case_id)]
        second = report(connection, ROWS[1].uuid)
        assert second is not None
        assert second.case_id == found.case_id
    models.close()
    assert kinds.count("note.added.v1") == 1, "an attached row's closing is a note"
    assert "inspection.passed.v1" not in kinds
    assert audit(tmp_path).ok
    assert differing_read_models(tmp_path) == []


def test_a_second_run_imports_nothing_and_leaves_the_log_as_it_is(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net)
    before, there = digests(tmp_path), LogReader(tmp_path).last_micros()
    again = replayed(tmp_path, net)
    assert (again.imported, again.known, again.filed, again.closed) == (0, 6, 0, 0)
    assert digests(tmp_path) == before
    assert LogReader(tmp_path).last_micros() == there


def test_deadlines_missed_on_the_way_are_recorded_when_they_were_due(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net)
    found = totals(tmp_path)
    assert found.missed["accept"] >= 4
    assert found.escalated["city"] >= 1
    models = ReadModels(tmp_path)
    with models.reading() as connection:
        open_case = connection.execute(case_table.select().where(case_table.c.status == "dispatched")).mappings().one()
        late = [e for e in timeline(connection, open_case["case_id"]) if e.type == "beeline.deadline.missed.v1"]
        notices = [e for e in timeline(connection, open_case["case_id"]) if e.type == "beeline.notice.issued.v1"]
    models.close()
    assert late[0].time == ROWS[3].opened_at + timedelta(minutes=15)
    assert len(notices) == 1, "once at the top of the ladder, and then silence"


def test_daily_notices_come_when_they_are_asked_for(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net, notices=True)
    models = ReadModels(tmp_path)
    with models.reading() as connection:
        open_case = connection.execute(case_table.select().where(case_table.c.status == "dispatched")).mappings().one()
        notices = [e for e in timeline(connection, open_case["case_id"]) if e.type == "beeline.notice.issued.v1"]
    models.close()
    assert len(notices) > 30
    assert all(after.time - before.time == timedelta(days=1) for before, after in pairwise(notices))


AT_ONE_INSTANT = (
    row(2, 0, 0.25),
    row(3, 0.25, 0.0, QUARREL, 3),
    row(4, 0.25, None, RUBBISH, 6),
    row(5, 0.25, 6.0, QUARREL, 8),
)
"""One is closed just when its limit to accept is over, and when others are reported, of which one is closed at once."""


class Killed(BaseException):
    """Nothing of what the process still wanted to do is done."""


@pytest.mark.parametrize("after", range(1, 14))
def test_an_import_that_was_killed_goes_on_from_whatever_it_wrote_last(
    tmp_path: Path, net: Net, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr("infra.importing.host.FLUSH_RECORDS", 1)
    expected = whole(tmp_path, net, AT_ONE_INSTANT)
    parts = tmp_path / "parts"
    parts.mkdir()
    shutil.copy(tmp_path / "whole" / "keys.db", parts)  # the same keys, the same sealed bytes
    written, flush = 0, BulkLog.flush

    def flush_and_die(log: BulkLog, positions: Iterable[Position]) -> None:
        nonlocal written
        flush(log, positions)
        written += 1
        if written == after:
            raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(BulkLog, "flush", flush_and_die)
        with suppress(Killed):
            replayed(parts, net, AT_ONE_INSTANT)
    result = replayed(parts, net, AT_ONE_INSTANT)
    assert result.imported + result.known == len(AT_ONE_INSTANT)
    assert result.refused == []
    assert digests(parts) == expected
    assert audit(parts).ok


def whole(folder: Path, net: Net, rows: Iterable[HistoryRow]) -> dict[str, str]:
    """The read models of a history that was imported at one go."""
    replayed(folder / "whole", net, rows)
    return digests(folder / "whole")


async def test_a_replay_is_what_the_running_host_makes_of_the_same_history(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path / "bulk", net)
    settings = Settings(data=tmp_path / "live", net=net, stepped_from=ROWS[0].opened_at - timedelta(seconds=1))
    with_reader = LogReader(tmp_path / "bulk")
    inputs = [
        record
        for topic in (Topic.REPORT_EVENTS, Topic.CASE_COMMANDS)
        for number in range(with_reader.partitions)
        for record in with_reader.read(topic, number, 0, 10_000)
        if b'"source":"/beeline/import"' in record.value
    ]
    with_reader.close()
    async with running(settings, timer=False) as beeline:
        host = beeline.host
        for record in sorted(inputs, key=lambda record: (record.time, record.topic is Topic.CASE_COMMANDS)):
            await host.step_to(record.time)
            await host.append([NewRecord(record.topic, record.partition, record.key, record.value, record.headers)])
            await host.quiesce()
        assert await host.caught_up(30)
        live = await beeline.reads.read(summary)
    bulk = totals(tmp_path / "bulk")
    assert live == bulk


def test_a_closing_that_becomes_known_later_is_made_good(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net, [replace(ROWS[0], closed_at=None)])
    result = replayed(tmp_path, net, ROWS[:1])
    assert (result.imported, result.known, result.closed) == (0, 1, 1)


def test_a_closing_from_before_the_end_of_the_log_is_explained(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net, [replace(ROWS[0], closed_at=None), ROWS[4]])
    result = replayed(tmp_path, net, [ROWS[0], ROWS[4]])
    (reject,) = result.refused
    assert (reject.line, reject.column) == (2, "closed")
    assert "before the end of the log" in reject.reason


def test_the_closing_of_a_row_whose_case_was_archived_long_ago_is_left_out(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net, [row(2, 0, 1.0), row(3, 0.25, 24 * 30)])
    reader = LogReader(tmp_path)
    heads = [head_of(record) for record in commits_in(reader)]
    reader.close()
    assert [head.reason for head in heads if head.outcome is Outcome.REFUSED] == []
    assert audit(tmp_path).ok


async def test_a_log_that_was_only_opened_later_does_not_end_later(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net, ROWS[:1])
    async with running(Settings(data=tmp_path, stepped_from=START + timedelta(days=90)), timer=False):
        pass
    replayed(tmp_path, net, [ROWS[0], ROWS[3]])
    models = ReadModels(tmp_path)
    with models.reading() as connection:
        found = report(connection, ROWS[3].uuid)
    models.close()
    assert found is not None
    assert found.received_at == ROWS[3].opened_at
    assert audit(tmp_path).ok


def commits_in(reader: LogReader) -> list[Record]:
    """What the case processor answered."""
    return [
        record
        for number in range(reader.partitions)
        for record in reader.read(Topic.CASE_EVENTS, number, 0, 10_000)
        if record.headers["kind"] == Kind.COMMIT
    ]


def test_a_case_that_nobody_deals_with_is_proposed_only_until_it_stands_at_the_top(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net, [row(2, 0), row(3, 24 * 60, 1.0, spot=6)])
    reader = LogReader(tmp_path)
    answers = [head_of(record).outcome for record in commits_in(reader)]
    reader.close()
    assert Outcome.EMPTY not in answers
    assert len(answers) < 20


def test_rows_older_than_the_log_are_refused(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net, ROWS[2:])
    with pytest.raises(HistoryBeforeLog, match="line 2"):
        replayed(tmp_path, net)


async def test_a_server_goes_on_from_where_the_history_ends(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net)
    before = digests(tmp_path)
    last = ROWS[-1].closed_at
    async with running(Settings(data=tmp_path), timer=False) as beeline:
        assert last is not None
        assert last <= beeline.host.now() < last + timedelta(minutes=5)
        assert await beeline.host.caught_up(30)
        assert beeline.host.directory.net.version == net.version
        with pytest.raises(LogInUse):
            replayed(tmp_path, net)
    assert digests(tmp_path) == before


def test_months_that_have_ended_are_stated_and_the_audit_finds_a_changed_one(tmp_path: Path, net: Net) -> None:
    replayed(tmp_path, net)
    statements = Statements(tmp_path)
    kept = [Answer.model_validate_json(said) for _, said in statements.all()]
    statements.close()
    assert {answer.period for answer in kept} == {"2026-03"}
    filing = next(answer for answer in kept if answer.indicator == "filing_rate" and not answer.by)
    assert (filing.lines[0].measures, filing.provisional) == ({"submitted": 5, "filed": 4}, False)
    assert changed_statements(tmp_path) == []
    models = ReadModels(tmp_path)
    with models.writing() as connection:
        connection.exec_driver_sql("DELETE FROM report_fact")
    models.close()
    assert any("filing_rate" in each for each in changed_statements(tmp_path))
