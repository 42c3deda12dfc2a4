"""受理 — the router: a submitted report becomes a request to the cell of its place. No state."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from domain.case.commands import FileReport
from domain.directory import Directory
from domain.ids import cell_of
from domain.message import Envelope
from domain.report import ReportSubmitted
from domain.routing import route
from streams.reactor import Ask, follow
from streams.record import Topic


class Router:
    """Point → grid → unit, category → terms, by the directory of the moment."""

    name = "router"
    source = Topic.REPORT_EVENTS

    def react(self, event: Envelope, received_at: datetime, directory: Directory) -> Iterable[Ask]:
        """Ask the cell to file the report; the business clock starts at ``received_at``."""
        report = event.data
        if not isinstance(report, ReportSubmitted):
            raise TypeError(f"{event.type} is no report")
        terms = directory.terms(report.category, report.edition)
        file_report = FileReport(
            report=report.report,
            reporter=report.reporter,
            anonymous=report.anonymous,
            received_at=received_at,
            occurred_at=report.occurred_at,
            place=report.place,
            terms=terms,
            route=route(directory, report.place, terms),
        )
        command = follow(
            event, file_report, subject=report.report, source="/beeline/router", time=received_at, name="file"
        )
        yield Ask(Topic.CASE_COMMANDS, cell_of(report.report), command)
