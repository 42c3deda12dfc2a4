"""What a cell answers to a command: facts, a named refusal, or nothing because it was done already."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from domain.case import clocks, filing, handling, history, shelving
from domain.case import commands as c
from domain.case import events as e
from domain.case.state import AT_WORK, OPEN, Case, Cell, Status
from domain.decision import NOTHING, Decision, Fact, Refusal
from domain.directory import Directory
from domain.message import Actor, Command, Envelope
from domain.policy import COMMANDS, DESK, Reach, Right, may_ask

S = Status
ALLOWED: Mapping[type[c.OnCase], frozenset[Status]] = MappingProxyType(
    {
        c.DispatchCase: AT_WORK,
        c.AcceptDispatch: frozenset({S.DISPATCHED, S.ACCEPTED}),
        c.ReleaseDispatch: frozenset({S.ACCEPTED}),
        c.ReturnDispatch: frozenset({S.DISPATCHED, S.ACCEPTED}),
        c.CompleteHandling: frozenset({S.DISPATCHED, S.ACCEPTED}),
        c.PassInspection: frozenset({S.COMPLETED}),
        c.FailInspection: frozenset({S.COMPLETED}),
        c.RequestShelving: AT_WORK,
        c.ApproveShelving: AT_WORK,
        c.RejectShelving: AT_WORK,
        c.ResumeCase: frozenset({S.SHELVED}),
        c.DetachReport: OPEN,
        c.CloseCase: OPEN,
        c.VoidCase: OPEN,
        c.ReopenCase: frozenset({S.CLOSED}),
        c.RateOutcome: frozenset({S.CLOSED}),
        c.AddNote: frozenset(Status),
        c.RecordClosing: frozenset(Status),
        c.MissDeadline: OPEN,
        c.ArchiveCase: frozenset({S.CLOSED, S.VOIDED}),
    }
)
"""Where in its life a case takes which command; anything else is refused by name."""


def decide(cell: Cell, command: Envelope, at: datetime, directory: Directory) -> Decision:
    """Decide one command at the instant ``at`` (its received-at), under what the directory holds now."""
    ask = command.data
    if not isinstance(ask, Command):
        raise TypeError(f"{command.type} is no command")
    right = COMMANDS[type(ask).__name__]
    if not may_ask(ask.actor, right):
        return Refusal("RoleNotAllowed", type(ask).__name__)
    match ask:
        case c.FileReport():
            return filing.file_report(cell, ask, at, directory)
        case c.AdmitReport():
            return filing.admit(cell, ask, at, directory)
        case c.DeclineReport():
            return filing.decline(cell, ask)
        case c.WithdrawReport():
            return filing.withdraw(cell, ask, at)
        case c.OnCase():
            return _on_case(cell, command.id, ask, right, at, directory)
        case _:
            raise TypeError(f"{command.type} is no command of a case")


def _on_case(cell: Cell, command_id: str, ask: c.OnCase, right: Right, at: datetime, directory: Directory) -> Decision:
    case = cell.cases.get(ask.case_id)
    if case is None:
        return Refusal("CaseAlreadyArchived" if cell.is_archived(ask.case_id) else "NoSuchCase", ask.case_id)
    if command_id in case.answered:
        return NOTHING
    if refusal := _out_of_reach(case, ask.actor, right):
        return refusal
    if case.status not in ALLOWED[type(ask)]:
        return _wrong_stage(case, ask)
    return _decide_on(cell, case, ask, at, directory)


def _out_of_reach(case: Case, actor: Actor, right: Right) -> Refusal | None:
    within = case.in_subtree_of(actor.units)
    match right.reach:
        case Reach.OWN:
            return None if actor.person in case.reporters else Refusal("NotYourReport", case.id)
        case Reach.HOLDER:
            holds = actor.person == case.holder or actor.person in case.former_holders
            return None if holds else Refusal("NotTheHolder", case.id)
        case Reach.HOLDER_OR_DESK:
            at_desk = within and not DESK.isdisjoint(actor.roles)
            return None if at_desk or actor.person == case.holder else Refusal("NotTheHolder", case.id)
        case Reach.OWNER_UNIT:
            return None if case.owner.unit in actor.units else Refusal("OutsideYourUnit", case.owner.unit)
        case Reach.SUBTREE:
            return None if within else Refusal("OutsideYourUnit", case.owner.unit)
        case Reach.INSPECTION:
            return None if case.may_be_inspected_from(actor.units) else Refusal("OutsideYourUnit", case.owner.unit)
        case Reach.INVOLVED:
            involved = within or actor.person in case.reporters or actor.person == case.holder
            return None if involved else Refusal("OutsideYourUnit", case.owner.unit)
        case Reach.ANYWHERE:
            return None


def _wrong_stage(case: Case, ask: c.OnCase) -> Decision:
    match ask:
        case c.MissDeadline() | c.ArchiveCase():
            return NOTHING
        case c.CompleteHandling() if case.status is S.COMPLETED and case.holder == ask.actor.person:
            return NOTHING
        case c.VoidCase() if case.status is S.VOIDED:
            return NOTHING
        case c.ReopenCase() | c.RateOutcome():
            return Refusal("CaseNotClosed", case.status)
        case _ if case.status not in OPEN:
            return Refusal("CaseAlreadyClosed", case.status)
        case c.ApproveShelving() if case.status is S.SHELVED:
            return NOTHING
        case c.ResumeCase():
            return NOTHING if case.shelving else Refusal("CaseNotShelved", case.status)
        case _:
            return Refusal("CaseShelved" if case.status is S.SHELVED else "WrongStage", case.status)


def _decide_on(cell: Cell, case: Case, ask: c.OnCase, at: datetime, directory: Directory) -> Decision:
    calendar = directory.calendar
    match ask:
        case c.DispatchCase():
            return filing.dispatch(case, ask, at, directory)
        case c.AcceptDispatch():
            return handling.accept(case, ask, at, calendar)
        case c.ReleaseDispatch():
            return handling.release(case, ask, at, calendar)
        case c.ReturnDispatch():
            return handling.give_back(case, ask, at, calendar)
        case c.CompleteHandling():
            return handling.complete(case, ask, at, calendar)
        case c.PassInspection():
            return handling.pass_inspection(case, ask, at)
        case c.FailInspection():
            return handling.fail_inspection(case, ask, at, calendar)
        case c.DetachReport():
            return filing.detach(cell, case, ask, at, directory)
        case c.RequestShelving():
            return shelving.request(case, ask)
        case c.ApproveShelving() | c.RejectShelving():
            return shelving.decide_request(case, ask, at, calendar)
        case c.ResumeCase():
            return shelving.resume(case, ask.actor.person, at, calendar)
        case c.MissDeadline() if case.status is S.SHELVED:
            return shelving.year_over(case, ask.number, ask.actor.person, at, calendar)
        case c.MissDeadline():
            return clocks.miss(case, ask.number, at, calendar)
        case c.ReopenCase():
            return _reopen(case, ask, at, directory)
        case _:
            return _ending(case, ask, at)


def _ending(case: Case, ask: c.OnCase, at: datetime) -> Decision:
    person = ask.actor.person
    match ask:
        case c.CloseCase():
            return (Fact(case.id, handling.closed(case, ask.outcome, person, at, ask.reason)),)
        case c.VoidCase():
            voided = e.CaseVoided(
                reason=ask.reason,
                false_report=ask.false_report,
                by=person,
                reporters=case.reporters,
                window_ends=at + clocks.WINDOW,
            )
            return (Fact(case.id, voided),)
        case c.RateOutcome():
            return _rate(case, ask, at)
        case c.RecordClosing():
            return history.record_closing(case, ask, at)
        case c.AddNote():
            return (Fact(case.id, e.NoteAdded(by=person, text=ask.text, audience=ask.audience)),)
        case c.ArchiveCase():
            over = case.window_ends is not None and at >= case.window_ends
            everyone = (*case.reporters, *sorted(case.former_reporters.difference(case.reporters)))
            return (Fact(case.id, e.CaseArchived(reporters=everyone)),) if over else NOTHING
        case _:
            raise TypeError(f"{ask.wire_type} is not decided anywhere")


def _rate(case: Case, ask: c.RateOutcome, at: datetime) -> Decision:
    """评价 — once a reporter, within the window."""
    if case.window_ends is None or at > case.window_ends:
        return Refusal("RatingWindowOver", case.id)
    if ask.actor.person in case.raters:
        return Refusal("AlreadyRated", case.id)
    return (Fact(case.id, e.OutcomeRated(by=ask.actor.person, score=ask.score)),)


def _reopen(case: Case, ask: c.ReopenCase, at: datetime, directory: Directory) -> Decision:
    """重开 — back in the owner's queue with the category's own limits from now."""
    if case.window_ends is None or at > case.window_ends:
        return Refusal("ReopenWindowOver", case.id)
    limits, calendar = case.terms.limits, directory.calendar
    deadlines = clocks.numbered(
        case.deadline_count,
        (e.Stage.ACCEPT, calendar.due(at, limits.accept)),
        (e.Stage.HANDLE, calendar.due(at, limits.handle)),
    )
    return (Fact(case.id, e.CaseReopened(reason=ask.reason, by=ask.actor.person, deadlines=deadlines)),)
