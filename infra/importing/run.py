"""导入历史 — a city's history, replayed as reports at their own times, on the log's clock."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from pathlib import Path

from domain.calendar import WorkingCalendar
from domain.case import events as e
from domain.case.commands import AdmitReport, RecordClosing
from domain.case.state import OPEN
from domain.directory import DirectoryCommand, PublishCalendar, PublishEdition
from domain.ids import NOWHERE, cell_at, cell_of, report_id, uuid_of
from domain.message import Actor, Envelope, Role, derived_id
from domain.net import Net
from domain.publication import publication
from domain.report import ReportSubmitted
from domain.rider import PointsAwarded, PointsClawedBack
from domain.routing import UNMAPPED, route
from infra.bootstrap import asks_of
from infra.database import ReadModels
from infra.embedded.bulk import BulkLog
from infra.embedded.clock import instant_of
from infra.embedded.log import LogReader
from infra.embedded.snapshots import Snapshots
from infra.holidays import working_calendar
from infra.importing.history import History, HistoryRow, Reject
from infra.importing.host import ReplayHost
from infra.keystore import KeyStore
from infra.net.coverage import coverage
from infra.net.shenzhen import shenzhen
from infra.projecting import cut_of, fold, positions
from infra.rebuilding import are_current, ends_of, rebuild
from infra.sealing import seal
from infra.seed import seed_edition
from infra.statements import Statements, state_months
from streams.reactor import Ask
from streams.record import NewRecord, Topic, partition_of

IMPORTER = "importer"
"""Who admits, completes and closes in a replayed history, and whose key seals what no reporter is named for."""
SOURCE = "/beeline/import"
BEFORE_FIRST = timedelta(seconds=1)
"""The directory is published so long before the first row."""
PROGRESS_EVERY = 100
CLOSED_TOO_EARLY = (
    "办结时间早于日志末尾, 案件仍未结 · closed before the end of the log, in which the case is still open"
)
CLOSING_NOTE = "导入: 该上报已办结 · import: this report was closed"

Progress = Callable[[str, int, int], None]
"""Told (what, done, of all) as the work goes on."""


class HistoryBeforeLog(ValueError):
    """The log has gone further than the first new row."""


@dataclass
class ImportResult:
    """What came of a history."""

    imported: int = 0
    known: int = 0
    filed: int = 0
    outside: int = 0
    """Cases that no grid of the net is found for: they wait at a dispatch desk."""
    attached: int = 0
    closed: int = 0
    points: int = 0
    refused: list[Reject] = field(default_factory=list)
    """Closings that lie before the end of a log in which their case is still open."""


def replay_history(
    data: Path, history: History, *, net: Net | None, zone: str, notices: bool, progress: Progress
) -> ImportResult:
    """Replay what is not known yet, then bring the read models up and state the months that have ended.

    Raises `HistoryBeforeLog`, `LogInUse`, `LogUnavailable`. An interruption leaves a log that the same import goes on from.
    """
    result = _replay(data, history, net, zone, notices, progress)
    models = ReadModels(data)
    try:
        _project(data, models, progress)
        _state(data, models, zone, progress)
    finally:
        models.close()
    return result


def _replay(
    data: Path, history: History, net: Net | None, zone: str, notices: bool, progress: Progress
) -> ImportResult:
    log = BulkLog(data)
    snapshots, keys = Snapshots(data / "snapshots.db"), KeyStore(data / "keys.db")
    gc.freeze()
    try:
        importer = _Importer(log, snapshots, keys, history, notices=notices)
        if importer.new or importer.closings:
            importer.publish(net, zone)
            importer.run(progress)
        return importer.result
    finally:
        gc.unfreeze()
        keys.close()
        snapshots.close()
        log.close()


class _Importer:
    """One run over one history."""

    def __init__(self, log: BulkLog, snapshots: Snapshots, keys: KeyStore, history: History, *, notices: bool) -> None:
        self.result = ImportResult()
        self._log, self._keys = log, keys
        self._case_of: dict[str, str] = {}
        self._held: list[str] = []
        known, self._end = _known_reports(log.reader), log.end_at_opening
        self.new = [row for row in history.rows if row.uuid not in known]
        self.result.known = len(history.rows) - len(self.new)
        if self.new and self._end is not None and self.new[0].opened_at < self._end:
            raise HistoryBeforeLog(_too_early(self.new[0], self._end))
        self._host = ReplayHost(log, snapshots, notices=notices, watch=self._see)
        self.closings = list(self._closings_to_come(row for row in history.rows if row.uuid in known))
        heapify(self.closings)

    def _closings_to_come(self, rows: Iterable[HistoryRow]) -> Iterator[tuple[datetime, int, HistoryRow]]:
        """Of rows that were imported before: they are closed when the log comes to that time, if it has not yet."""
        cases = {
            uuid_of(report.report): case
            for cell in self._host.cells()
            for case in cell.cases.values()
            for report in case.reports
        }
        self._case_of = {uuid: case.id for uuid, case in cases.items()}
        for row in rows:
            case = cases.get(row.uuid)
            if row.closed_at is None or case is None or _closing_id(row) in case.answered:
                continue
            if self._end is None or row.closed_at >= self._end:
                yield row.closed_at, row.line, row
            elif case.status in OPEN and uuid_of(case.reports[0].report) == row.uuid:
                self.result.refused.append(Reject(row.line, CLOSED_TOO_EARLY, row.closed_at.isoformat(), "closed"))

    def publish(self, net: Net | None, zone: str) -> None:
        """A net, a catalogue and a calendar, where there are none."""
        directory = self._host.directory
        commands: list[DirectoryCommand] = []
        if self._end is None and self.new:
            self._log.step_to(self.new[0].opened_at - BEFORE_FIRST)
            commands += [PublishCalendar(calendar=calendar_of(zone)), PublishEdition(edition=seed_edition())]
            net = net or shenzhen()
        if net is not None and net.version != directory.net.version:
            commands += publication(net, coverage=coverage(net))
        self._host.ask(asks_of(commands, self._log.now))
        self._host.settle()

    def run(self, progress: Progress) -> None:
        """Everything in order of time; at one instant what ends goes before what begins."""
        self._keys.ensure_all({row.reporter or IMPORTER for row in self.new if row.description} | {IMPORTER})
        of_all = len(self.new) + len(self.closings) + sum(row.closed_at is not None for row in self.new)
        for done, act in enumerate(self._acts(), start=1):
            act()
            self._host.flush_if_full()
            if done % PROGRESS_EVERY == 0 or done == of_all:
                progress("回放 · replaying", done, of_all)
        self._host.flush()
        self._host.save()

    def _acts(self) -> Iterator[Callable[[], None]]:
        for row in self.new:
            while self.closings and self.closings[0][0] <= row.opened_at:
                yield self._closing(heappop(self.closings)[2])
            yield self._opening(row)
            if row.closed_at is not None:
                heappush(self.closings, (row.closed_at, row.line, row))
        while self.closings:
            yield self._closing(heappop(self.closings)[2])

    def _opening(self, row: HistoryRow) -> Callable[[], None]:
        def act() -> None:
            self._host.step_to(row.opened_at)
            self._report(row)
            self._host.settle()
            while self._held:
                self._admit(self._held.pop(), row)
            self.result.imported += 1

        return act

    def _closing(self, row: HistoryRow) -> Callable[[], None]:
        """Nothing where the case has been archived meanwhile: it was another row's, and that one has been closed."""

        def act() -> None:
            if row.closed_at is None:
                return
            self._host.step_to(row.closed_at)
            case = self._host.find_case(self._case_of[row.uuid])
            if case is None:
                return
            identity = _closing_id(row)
            note = seal(self._keys, CLOSING_NOTE, person=IMPORTER, subject=identity, name="text")
            closing = RecordClosing(actor=self._actor(), case_id=case.id, report=_full_id(row), note=note)
            self._ask(identity, case.id, closing, row.closed_at)
            self._host.settle()

        return act

    def _report(self, row: HistoryRow) -> None:
        full, person = _full_id(row), row.reporter or f"anonymous-{row.uuid}"
        sealer = row.reporter or IMPORTER
        description = row.description and seal(
            self._keys, row.description, person=sealer, subject=full, name="description"
        )
        said = ReportSubmitted(
            report=full,
            reporter=person,
            anonymous=row.reporter is None,
            category=row.category,
            edition=self._host.directory.edition.version,
            place=row.place,
            occurred_at=row.opened_at,
            description=description or None,
        )
        envelope = Envelope(row.uuid, SOURCE, full, row.opened_at, said, row.uuid)
        partition = partition_of(cell_of(full), self._log.partitions)
        headers = {"id": row.uuid, "correlation-id": row.uuid}
        self._host.report(
            NewRecord(Topic.REPORT_EVENTS, partition, cell_of(full), envelope.encode(), headers, (envelope,))
        )

    def _admit(self, report: str, row: HistoryRow) -> None:
        """What a city has in its history, it has taken up."""
        directory = self._host.directory
        terms = directory.terms(row.category, directory.edition.version)
        admit = AdmitReport(actor=self._actor(), report=report, route=route(directory, row.place, terms))
        self._ask(derived_id("import", row.uuid, "admit"), report, admit, row.opened_at)
        self._host.settle()

    def _ask(self, identity: str, subject: str, data: AdmitReport | RecordClosing, at: datetime) -> None:
        command = Envelope(identity, SOURCE, subject, at, data, identity)
        self._host.ask([Ask(Topic.CASE_COMMANDS, cell_of(subject), command)])

    def _actor(self) -> Actor:
        return Actor(person=IMPORTER, roles=(Role.SYSTEM, Role.DISPATCHER), units=(self._host.directory.org.city,))

    def _see(self, event: Envelope) -> None:
        """Count what happens, and learn which case a report came to."""
        data = event.data
        match data:
            case e.CaseFiled():
                self._case_of[uuid_of(data.report.report)] = event.subject
                self.result.filed += 1
                self.result.outside += data.route.how in UNMAPPED
            case e.ReportAttached():
                self._case_of[uuid_of(data.report.report)] = event.subject
                self.result.attached += 1
            case e.ReportHeld():
                self._held.append(data.report.report)
            case e.CaseClosed():
                self.result.closed += 1
            case PointsAwarded():
                self.result.points += data.points
            case PointsClawedBack():
                self.result.points -= data.points


def _too_early(row: HistoryRow, end: datetime) -> str:
    return (
        f"第 {row.line} 行早于日志末尾 · line {row.line} ({row.opened_at:%Y-%m-%d %H:%M:%S} UTC) lies before the end of the log "
        f"({end:%Y-%m-%d %H:%M:%S} UTC): a history goes into an empty folder (--data), or after what is there"
    )


def calendar_of(zone: str) -> WorkingCalendar:
    """The working calendar of a time zone: China's has holidays; elsewhere weekdays count, and deadlines are marked so."""
    chinese = working_calendar()
    return chinese if zone == chinese.zone else WorkingCalendar(version=f"weekdays-{zone}", zone=zone, last_year=1)


def _closing_id(row: HistoryRow) -> str:
    return derived_id("import", row.uuid, "closing")


def _full_id(row: HistoryRow) -> str:
    return report_id(cell_at(row.place.lon, row.place.lat) if row.place else NOWHERE, row.uuid)


def _known_reports(reader: LogReader) -> set[str]:
    """The ids of every report in the log."""
    known: set[str] = set()
    for number in range(reader.partitions):
        offset = 0
        while records := reader.read(Topic.REPORT_EVENTS, number, offset, 5000):
            known.update(record.headers.get("id", "") for record in records)
            offset = records[-1].offset + 1
    return known


def _project(data: Path, models: ReadModels, progress: Progress) -> None:
    def told(done: int, of_all: int) -> None:
        progress("投影 · projecting", done, of_all)

    if not are_current(models):
        rebuild(data, models, told)
        return
    reader = LogReader(data)
    try:
        with models.reading() as connection:
            places = positions(connection, reader)
        fold(reader.read, models.writing, places, ends_of(reader), told)
    finally:
        reader.close()


def _state(data: Path, models: ReadModels, zone: str, progress: Progress) -> None:
    reader, statements = LogReader(data), Statements(data)
    try:
        with models.reading() as connection:
            places = positions(connection, reader)
        cut = cut_of(reader, places, instant_of(reader.last_micros()))
        state_months(models, statements, zone, cut, lambda done, of_all: progress("月报 · stating", done, of_all))
    finally:
        statements.close()
        reader.close()
