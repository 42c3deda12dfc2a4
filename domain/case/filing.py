"""受理与立案 — how a report becomes a case, joins one, waits for a dispatcher, or leaves again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.case import commands as c
from domain.case import events as e
from domain.case.clocks import WINDOW, numbered, redispatched
from domain.case.events import Stage
from domain.case.handling import back_to_queue
from domain.case.state import OPEN, Case, Cell, Status, evolve_case
from domain.catalogue import CategoryTerms, Filing
from domain.decision import NOTHING, Decision, Fact, Refusal
from domain.directory import Directory
from domain.ids import case_id, uuid_of
from domain.place import Place, distance_metres
from domain.policy import reaches
from domain.routing import UNMAPPED, Route

ROUTER = "router"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A report about to be filed, wherever it comes from: the router, a dispatcher who admits or detaches it."""

    report: e.ReportOnCase
    occurred_at: datetime
    place: Place | None
    terms: CategoryTerms
    route: Route
    admitted_by: str | None = None
    detached_from: str | None = None


def file_report(cell: Cell, command: c.FileReport, at: datetime, directory: Directory) -> Decision:
    """受理 — attach to an open case of the same matter, hold for a dispatcher, or file a new case."""
    known = cell.reports.get(uuid_of(command.report))
    if known is not None and (known.fate != "withdrawn" or known.reporter == command.reporter):
        return NOTHING
    report = e.ReportOnCase(
        report=command.report,
        reporter=command.reporter,
        anonymous=command.anonymous,
        received_at=command.received_at,
    )
    filing = Candidate(report, command.occurred_at, command.place, command.terms, command.route)
    if command.terms.filing is Filing.DISPATCHER and duplicate_of(cell, filing) is None:
        held = e.ReportHeld(
            report=report,
            occurred_at=command.occurred_at,
            place=command.place,
            terms=command.terms,
            route=command.route,
        )
        return (Fact(command.report, held),)
    return _attach_or_file(cell, filing, at, directory)


def duplicate_of(cell: Cell, filing: Candidate) -> Case | None:
    """重复 — the nearest open case of the same category within the category's radius and window; ties to the oldest.

    Without coordinates nothing matches (docs/reference/rules.md).
    """
    if filing.place is None:
        return None
    window = timedelta(hours=filing.terms.duplicate_window_hours)
    near = [
        (metres, case)
        for case in cell.cases.values()
        if case.terms.code == filing.terms.code  # first, because it rules out most of a crowded cell
        and case.status in OPEN
        and case.id != filing.detached_from
        and case.place is not None
        and abs(filing.report.received_at - case.received_at) <= window
        and (metres := distance_metres(case.place, filing.place)) <= filing.terms.duplicate_radius_metres
    ]
    return min(near, key=lambda found: found[0])[1] if near else None


def _attach_or_file(cell: Cell, filing: Candidate, at: datetime, directory: Directory) -> tuple[Fact, ...]:
    case = duplicate_of(cell, filing)
    return _file(cell, filing, at, directory) if case is None else _attach(case, filing, at, directory)


def _attach(case: Case, filing: Candidate, at: datetime, directory: Directory) -> tuple[Fact, ...]:
    """并入 — a part-time worker's own report pays nothing, and a case they hold goes back to its unit's queue."""
    own_work = filing.report.reporter == case.holder or filing.report.reporter in case.handlers
    attached = e.ReportAttached(
        report=filing.report,
        occurred_at=filing.occurred_at,
        place=filing.place,
        rewarded=not own_work,
        admitted_by=filing.admitted_by,
    )
    facts = (Fact(case.id, attached),)
    if filing.report.reporter == case.holder and case.status is Status.ACCEPTED:
        return (*facts, Fact(case.id, back_to_queue(case, at, directory.calendar)))
    return facts


def _file(cell: Cell, filing: Candidate, at: datetime, directory: Directory) -> tuple[Fact, ...]:
    """立案 — and in the same commit 派遣 to the unit that answers for the place; the unmapped waits for a dispatcher."""
    calendar, limits = directory.calendar, filing.terms.limits
    handling = calendar.due(filing.report.received_at, limits.handle)
    unmapped = filing.route.how in UNMAPPED
    wanted = [(Stage.HANDLE, handling)]
    if unmapped:
        wanted.append((Stage.DISPATCH, calendar.due(at, limits.dispatch)))
    filed = e.CaseFiled(
        report=filing.report,
        occurred_at=filing.occurred_at,
        place=filing.place,
        terms=filing.terms,
        route=filing.route,
        handling_due=handling.at,
        deadlines=numbered(0, *wanted),
        admitted_by=filing.admitted_by,
        detached_from=filing.detached_from,
    )
    subject = case_id(cell.cell, cell.last_number + 1)
    if unmapped:
        return (Fact(subject, filed),)
    accept = numbered(1, (Stage.ACCEPT, calendar.due(at, limits.accept)))
    dispatched = e.CaseDispatched(
        route=filing.route,
        by=filing.admitted_by or ROUTER,
        handling_due=handling.at,
        deadlines=(*filed.deadlines, *accept),
    )
    return Fact(subject, filed), Fact(subject, dispatched)


def admit(cell: Cell, command: c.AdmitReport, at: datetime, directory: Directory) -> Decision:
    """立案 — by the dispatcher; a duplicate of an open case joins it all the same."""
    held = cell.held.get(command.report)
    if held is None:
        return _already(cell, command.report, wanted="on_case")
    if not reaches(command.actor, held.route.unit.unit, held.route.ancestors):
        return Refusal("OutsideYourUnit", held.route.unit.unit)
    filing = Candidate(
        held.report, held.occurred_at, held.place, held.terms, command.route, admitted_by=command.actor.person
    )
    return _attach_or_file(cell, filing, at, directory)


def decline(cell: Cell, command: c.DeclineReport) -> Decision:
    """不予立案."""
    held = cell.held.get(command.report)
    if held is None:
        return _already(cell, command.report, wanted="declined")
    if not reaches(command.actor, held.route.unit.unit, held.route.ancestors):
        return Refusal("OutsideYourUnit", held.route.unit.unit)
    declined = e.ReportDeclined(
        report=command.report, reporter=held.report.reporter, reason=command.reason, by=command.actor.person
    )
    return (Fact(command.report, declined),)


def _already(cell: Cell, report: str, *, wanted: str) -> Decision:
    known = cell.reports.get(uuid_of(report))
    if known is None:
        return Refusal("NoSuchReport", report)
    if known.fate == wanted:
        return NOTHING
    return Refusal(
        {
            "on_case": "ReportAlreadyFiled",
            "declined": "ReportAlreadyDeclined",
            "withdrawn": "ReportAlreadyWithdrawn",
        }[known.fate],
        report,
    )


def withdraw(cell: Cell, command: c.WithdrawReport, at: datetime) -> Decision:
    """撤回 — before filing a tombstone; later the case goes on if others reported it too, else it is void."""
    person = command.actor.person
    known = cell.reports.get(uuid_of(command.report))
    withdrawn = e.ReportWithdrawn(report=command.report, reporter=person)
    held = cell.held.get(command.report)
    reporter = held.report.reporter if held else known.reporter if known else person
    if reporter != person:
        return Refusal("NotYourReport", command.report)
    if held or known is None:
        return (Fact(command.report, withdrawn),)
    if known.fate != "on_case":
        return _already(cell, command.report, wanted="withdrawn")
    case = cell.cases.get(known.case or "")
    if case is None:
        return Refusal("CaseAlreadyArchived", known.case or "")
    if case.status not in OPEN:
        return Refusal("CaseAlreadyClosed", case.id)
    facts = (Fact(case.id, withdrawn),)
    if evolve_case(case, withdrawn, at).reports:
        return facts
    voided = e.CaseVoided(
        reason="撤回 · withdrawn by its only reporter",
        false_report=False,
        by=person,
        reporters=(),
        window_ends=at + WINDOW,
    )
    return (*facts, Fact(case.id, voided))


def detach(cell: Cell, case: Case, command: c.DetachReport, at: datetime, directory: Directory) -> Decision:
    """撤销合并 — the report leaves, and the decision of filing is made again without the case it left."""
    report = next((known for known in case.reports if known.report == command.report), None)
    if report is None:
        return Refusal("ReportNotInCase", command.report)
    if len(case.reports) == 1:
        return Refusal("LastReportOfCase", case.id)
    detached = e.ReportDetached(report=report, reason=command.reason, by=command.actor.person)
    filing = Candidate(
        report,
        command.occurred_at,
        command.place,
        case.terms,
        command.route,
        admitted_by=command.actor.person,
        detached_from=case.id,
    )
    return (Fact(case.id, detached), *_attach_or_file(cell, filing, at, directory))


def dispatch(case: Case, command: c.DispatchCase, at: datetime, directory: Directory) -> Decision:
    """派遣 / 改派 — to the queue of a unit, or to one worker of it, never the reporter."""
    if command.worker in case.reporters:
        return Refusal("OwnReport", case.id)
    handling_due, deadlines = redispatched(case, at, directory.calendar)
    dispatched = e.CaseDispatched(
        route=command.route,
        worker=command.worker,
        by=command.actor.person,
        handling_due=handling_due,
        deadlines=deadlines,
    )
    return (Fact(case.id, dispatched),)
