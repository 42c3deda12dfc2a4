"""Random histories of a few cases that get far in their lives: whatever the rules decide about what people and the timer ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from random import Random

from domain.case import commands as c
from domain.case import events as e
from domain.case.decide import decide
from domain.case.state import Case, Cell, Status, evolve
from domain.decision import Refusal
from domain.message import Actor, Event, Role
from domain.rider import PointsAwarded, PointsClawedBack, Reversal
from tests.domain.smallville import (
    CELL,
    CITY,
    CITY_DESK,
    COMMUNITY,
    DANGER,
    DIRECTORY,
    DISTRICT,
    GRID_A,
    GRID_B,
    HAZARD,
    HERE,
    PANEL,
    QUARREL,
    ROUTE,
    STREET,
    TEAM,
    actor,
    east,
    to_unit,
)
from tests.domain.specification import START, Past, asked, envelopes, file_report, report
from tests.projections.lives import Happening, submission

UNITS = (GRID_A, GRID_B, PANEL, TEAM, COMMUNITY, STREET, DISTRICT, CITY, CITY_DESK)
WORKERS = ("li", "wang", "sun")
PAUSES = (0, 0, 1, 5, 16, 61, 500, 1_500, 4_000, 12_000)
"""Minutes between two things that happen."""
STEPS = 90

Make = Callable[[Case, Random], c.CaseCommand]


def somebody(person: str) -> Actor:
    """With every right everywhere: who may do what is not the matter here."""
    return Actor(person=person, roles=tuple(role for role in Role if role is not Role.SYSTEM), units=UNITS)


def _accept(case: Case, numbers: Random) -> c.CaseCommand:
    return c.AcceptDispatch(actor=somebody(numbers.choice(WORKERS)), case_id=case.id)


def _dispatch(case: Case, numbers: Random) -> c.CaseCommand:
    return c.DispatchCase(actor=somebody("desk"), case_id=case.id, route=to_unit(numbers.choice(UNITS)))


def _complete(case: Case, numbers: Random) -> c.CaseCommand:
    """By whoever holds it, or held it before it was escalated."""
    may = sorted({*case.former_holders, *([case.holder] if case.holder else ())})
    by = somebody(numbers.choice(may or WORKERS))
    return c.CompleteHandling(actor=by, case_id=case.id, evidence={"photo": "p"})


def _give_back(case: Case, _: Random) -> c.CaseCommand:
    return c.ReturnDispatch(actor=somebody(case.holder or "li"), case_id=case.id, reason="r")


def _release(case: Case, _: Random) -> c.CaseCommand:
    return c.ReleaseDispatch(actor=somebody(case.holder or "li"), case_id=case.id)


def _inspect(case: Case, numbers: Random) -> c.CaseCommand:
    by = somebody("inspector")
    passes = c.PassInspection(actor=by, case_id=case.id)
    return passes if numbers.random() < 0.6 else c.FailInspection(actor=by, case_id=case.id, reason="r")


def _shelve(case: Case, _: Random) -> c.CaseCommand:
    if case.shelving_request is None:
        return c.RequestShelving(actor=somebody("desk"), case_id=case.id, reason="r")
    return c.ApproveShelving(actor=somebody("head"), case_id=case.id)


def _resume(case: Case, _: Random) -> c.CaseCommand:
    return c.ResumeCase(actor=somebody("head"), case_id=case.id)


def _end(case: Case, numbers: Random) -> c.CaseCommand:
    by = somebody("desk")
    if numbers.random() < 0.5:
        return c.VoidCase(actor=by, case_id=case.id, reason="r", false_report=True)
    return c.CloseCase(actor=by, case_id=case.id, outcome="unfounded", reason="r")


def _reopen(case: Case, _: Random) -> c.CaseCommand:
    return c.ReopenCase(actor=somebody("head"), case_id=case.id, reason="r")


def _rate(case: Case, numbers: Random) -> c.CaseCommand:
    by = case.reporters[0] if case.reporters else "nobody"
    return c.RateOutcome(actor=somebody(by), case_id=case.id, score=numbers.randint(1, 5))


def _detach(case: Case, _: Random) -> c.CaseCommand:
    last = case.reports[-1] if case.reports else report("none")
    by, at = somebody("desk"), last.received_at
    return c.DetachReport(
        actor=by, case_id=case.id, report=last.report, reason="r", occurred_at=at, place=HERE, route=ROUTE
    )


def _withdraw(case: Case, _: Random) -> c.CaseCommand:
    first = case.reports[0] if case.reports else report("none")
    return c.WithdrawReport(actor=somebody(first.reporter), report=first.report)


S = Status
NEXT: Mapping[Status, tuple[Make, ...]] = {
    S.AWAITING_DISPATCH: (_dispatch, _dispatch, _shelve, _shelve, _end),
    S.DISPATCHED: (_accept, _accept, _accept, _accept, _complete, _dispatch, _give_back, _shelve, _detach),
    S.ACCEPTED: (_complete, _complete, _complete, _release, _give_back, _dispatch, _shelve, _shelve, _withdraw),
    S.COMPLETED: (_inspect, _inspect, _inspect, _detach, _end),
    S.SHELVED: (_resume, _resume, _end),
    S.CLOSED: (_reopen, _reopen, _rate, _rate),
    S.VOIDED: (_rate,),
}


class History:
    """A cell, what has happened in it, and the clock."""

    def __init__(self, seed: int) -> None:
        self._numbers, self._cell, self._now, self._count = Random(seed), Cell(CELL), START, 0
        self.happened: list[Happening] = []

    def live(self) -> list[Happening]:
        """Many steps: reports come, cases go on, the timer is sometimes late."""
        for _ in range(self._numbers.randrange(STEPS // 3, STEPS)):
            self._now += timedelta(minutes=self._numbers.choice(PAUSES))
            if self._numbers.random() < 0.6:
                self._fire()
            for command in self._wanted():
                self._ask(command)
        return self.happened

    def _wanted(self) -> Iterator[c.CaseCommand]:
        numbers, cases = self._numbers, list(self._cell.cases.values())
        if not cases or numbers.random() < 0.12:
            yield self._report()
        elif self._cell.held and numbers.random() < 0.3:
            yield self._decision_on(next(iter(self._cell.held)))
        else:
            case = numbers.choice(cases[-4:])
            yield numbers.choice(NEXT[case.status])(case, numbers)

    def _report(self) -> c.CaseCommand:
        """Of a report that came a little earlier; some reports never get so far."""
        numbers = self._numbers
        received = (self._now - START).total_seconds() / 60
        terms, place = (
            numbers.choice([HAZARD, HAZARD, DANGER, QUARREL]),
            numbers.choice([HERE, east(30), east(250), None]),
        )
        said = report(f"report {self._count}", actor(f"rider-{self._count % 3}", Role.REPORTER), received=received)
        submitted = submission(said).model_copy(update={"category": terms.code})
        self.happened.append((self._now, said.report, submitted))
        self._now += timedelta(minutes=numbers.choice([0, 0, 20]))
        if numbers.random() < 0.2:
            stray = report(f"stray {self._count}")
            self.happened.append((self._now, stray.report, submission(stray)))
        return file_report(said, terms, place)

    def _decision_on(self, held: str) -> c.CaseCommand:
        if self._numbers.random() < 0.7:
            unit = self._numbers.choice(UNITS)
            return c.AdmitReport(actor=somebody("desk"), report=held, route=to_unit(unit))
        return c.DeclineReport(actor=somebody("desk"), report=held, reason="r")

    def _fire(self) -> None:
        for case in list(self._cell.cases.values()):
            for deadline in case.deadlines:
                self._ask(c.MissDeadline(case_id=case.id, stage=deadline.stage, number=deadline.number))

    def _ask(self, command: c.CaseCommand) -> None:
        self._count += 1
        decision = decide(self._cell, asked(command, f"command {self._count}"), self._now, DIRECTORY)
        if isinstance(decision, Refusal):
            return
        for event in envelopes([Past(fact, self._now) for fact in decision], f"command {self._count}"):
            evolve(self._cell, event)
            assert isinstance(event.data, Event)
            self.happened += [(self._now, event.subject, event.data), *_paid(self._now, event.subject, event.data)]


def _paid(at: datetime, case: str, event: Event) -> Iterator[Happening]:
    """Points that follow; who gets them is not the matter here."""
    match event:
        case e.CaseFiled() | e.CaseClosed():
            awarded = PointsAwarded(case_id=case, report="r", kind="filing", asked=2, points=2, day=at.date())
            yield at, "rider", awarded
        case e.CaseVoided():
            back = (Reversal(report="r", points=1),)
            yield (
                at,
                "rider",
                PointsClawedBack(case_id=case, points=1, reason="unfounded", day=at.date(), reversals=back),
            )
