"""What holds for a cell whatever is asked of it, in whatever order: random commands, one cell, events folded one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.case import commands as c
from domain.case import events as e
from domain.case.decide import ALLOWED, decide
from domain.case.state import OPEN, Case, Cell, Status, evolve
from domain.catalogue import CategoryTerms
from domain.decision import NOTHING, Fact, Refusal
from domain.message import Actor, Envelope, Role
from domain.policy import COMMANDS, Reach
from domain.refusals import REFUSALS
from domain.sealing import Sealed
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
    east,
    to_unit,
)
from tests.domain.specification import START, Past, asked, envelopes, file_report, report

PEOPLE = [Actor(person=f"person-{number}", roles=(Role.REPORTER,)) for number in range(4)]
"""Few, so that they often meet: each reports, and each works with every right."""
UNITS = (GRID_A, GRID_B, PANEL, TEAM, COMMUNITY, STREET, DISTRICT, CITY, CITY_DESK)
CELL_STATE = TypeAdapter(Cell)
MAIN_LIFE = (
    *(c.AcceptDispatch, c.ReleaseDispatch, c.CompleteHandling, c.FailInspection, c.PassInspection, c.RateOutcome),
    *(c.ApproveShelving, c.ResumeCase),
)
"""What a case is asked more often than the rest."""
MINUTES = st.sampled_from([0, 1, 5, 16, 31, 61, 245, 500, 1500, 12_000])


@dataclass(frozen=True)
class Move:
    """A step of a run: what is asked, of which case, by whom, after how long. Numbers are taken modulo what there is."""

    kind: int
    target: int
    person: int
    detail: int
    minutes: float


MOVES = st.lists(
    st.builds(Move, *[st.integers(0, 9_999)] * 4, MINUTES),
    min_size=1,
    max_size=40,
)


@dataclass
class Run:
    """A cell, what has happened in it, and the clock."""

    cell: Cell = field(default_factory=lambda: Cell(CELL))
    now: datetime = START
    numbers: dict[str, list[int]] = field(default_factory=dict)
    count: int = 0

    def play(self, moves: list[Move]) -> Iterator[tuple[Fact, ...]]:
        """The decisions of the moves, each folded before the next, and each asked twice."""
        for self.count, move in enumerate(moves):
            self.now += timedelta(minutes=move.minutes)
            command = asked(command_of(self.cell, move, self.count, self.now), f"command {self.count}")
            decision = self.decide(command)
            for event in envelopes([Past(fact, self.now) for fact in decision], command.id):
                self._fold(event)
            yield decision
            self._ask_again(command, decision)

    def decide(self, command: Envelope) -> tuple[Fact, ...]:
        """What is decided; a refusal must be one that people can read."""
        decision = decide(self.cell, command, self.now, DIRECTORY)
        if isinstance(decision, Refusal):
            assert decision.reason in REFUSALS
            return NOTHING
        return decision

    def _fold(self, event: Envelope) -> None:
        evolve(self.cell, event)
        for deadline in getattr(event.data, "deadlines", ()):
            numbers = self.numbers.setdefault(event.subject, [])
            if deadline.number not in numbers:
                numbers.append(deadline.number)

    def _ask_again(self, command: Envelope, first: tuple[Fact, ...]) -> None:
        """What has been done is not done again; an archived case says that it is gone."""
        if first:
            assert self.decide(command) == NOTHING


def _pick(options: list[str], number: int) -> str:
    return options[number % len(options)] if options else "none"


def _person(move: Move, units: tuple[str, ...] = UNITS) -> Actor:
    roles = tuple(role for role in Role if role is not Role.SYSTEM)
    return Actor(person=PEOPLE[move.person % len(PEOPLE)].person, roles=roles, units=units)


def command_of(cell: Cell, move: Move, count: int, now: datetime) -> c.CaseCommand:
    """The command that a move asks for, as far as it can be asked of the cell as it is."""
    makers: list[Callable[[], c.CaseCommand]] = [
        *[lambda: _file(move, count, now)] * 2,
        *[lambda: _about_a_report(cell, move)],
        *[lambda: _timer(cell, move)] * 2,
        *[lambda: _on_case(cell, move, now)] * 6,
    ]
    return makers[move.kind % len(makers)]()


def _file(move: Move, count: int, now: datetime) -> c.FileReport:
    terms: CategoryTerms = (HAZARD, DANGER, QUARREL)[move.detail % 3]
    place = (HERE, east(30), east(90), None)[move.target % 4]
    received = (now - START).total_seconds() / 60
    return file_report(report(str(count), PEOPLE[move.person % len(PEOPLE)], received=received), terms, place)


def _about_a_report(cell: Cell, move: Move) -> c.CaseCommand:
    held, actor = list(cell.held), _person(move)
    reports = [*held, *(known.report for each in cell.cases.values() for known in each.reports)]
    withdraw = c.WithdrawReport(actor=actor, report=_pick(reports, move.target))
    return (
        c.AdmitReport(actor=actor, report=_pick(held, move.target), route=ROUTE),
        c.DeclineReport(actor=actor, report=_pick(held, move.target), reason="无此事"),
        withdraw,
        withdraw,
    )[move.detail % 4]


def _on_case(cell: Cell, move: Move, now: datetime) -> c.OnCase:
    """A command about a case: mostly one that fits its stage, asked by somebody who may."""
    about = list(cell.cases.values())[move.target % len(cell.cases)] if cell.cases else None
    makers = _commands_on(about.id if about else "none", about, move, now)
    fitting = [kind for kind in makers if about and about.status in ALLOWED[kind]]
    kinds = [*fitting, *[kind for kind in fitting if kind in MAIN_LIFE] * 3] if move.person % 5 else list(makers)
    kind = kinds[move.detail % len(kinds)] if kinds else c.AddNote
    return makers[kind](_asker(about, move, COMMANDS[kind.__name__].reach))


def _asker(about: Case | None, move: Move, reach: Reach) -> Actor:
    actor = _person(move)
    if about and about.holder and reach is Reach.HOLDER:
        return actor.model_copy(update={"person": about.holder})
    if about and about.reports and reach is Reach.OWN:
        return actor.model_copy(update={"person": about.reporters[0]})
    return actor


def _commands_on(
    name: str, about: Case | None, move: Move, now: datetime
) -> dict[type[c.OnCase], Callable[[Actor], c.OnCase]]:
    reports = [known.report for known in about.reports] if about else []
    unit, photo, note = UNITS[move.person % len(UNITS)], {"photo": "p"}, Sealed(person="p", cipher="AA==")
    detached = _pick(reports, move.person)
    return {
        c.DispatchCase: lambda by: c.DispatchCase(actor=by, case_id=name, route=to_unit(unit)),
        c.AcceptDispatch: lambda by: c.AcceptDispatch(actor=by, case_id=name),
        c.ReleaseDispatch: lambda by: c.ReleaseDispatch(actor=by, case_id=name),
        c.ReturnDispatch: lambda by: c.ReturnDispatch(actor=by, case_id=name, reason="不属本单位"),
        c.CompleteHandling: lambda by: c.CompleteHandling(actor=by, case_id=name, evidence=photo),
        c.PassInspection: lambda by: c.PassInspection(actor=by, case_id=name),
        c.FailInspection: lambda by: c.FailInspection(actor=by, case_id=name, reason="未清理"),
        c.CloseCase: lambda by: c.CloseCase(actor=by, case_id=name, outcome="unfounded", reason="查无此事"),
        c.VoidCase: lambda by: c.VoidCase(actor=by, case_id=name, reason="误报", false_report=True),
        c.RequestShelving: lambda by: c.RequestShelving(actor=by, case_id=name, reason="等待产权单位"),
        c.ApproveShelving: lambda by: c.ApproveShelving(actor=by, case_id=name),
        c.RejectShelving: lambda by: c.RejectShelving(actor=by, case_id=name, reason="应尽快处置"),
        c.ResumeCase: lambda by: c.ResumeCase(actor=by, case_id=name),
        c.ReopenCase: lambda by: c.ReopenCase(actor=by, case_id=name, reason="复发"),
        c.RateOutcome: lambda by: c.RateOutcome(actor=by, case_id=name, score=move.person % 5 + 1),
        c.AddNote: lambda by: c.AddNote(actor=by, case_id=name, text=note),
        c.DetachReport: lambda by: c.DetachReport(
            actor=by, case_id=name, report=detached, reason="另一件事", occurred_at=now, place=HERE, route=ROUTE
        ),
    }


def _timer(cell: Cell, move: Move) -> c.OnCase:
    due = [(each.id, deadline) for each in cell.cases.values() for deadline in each.deadlines]
    if not due or move.detail % 5 == 0:
        return c.ArchiveCase(case_id=_pick(list(cell.cases), move.target))
    name, deadline = min(due, key=lambda found: (found[1].due, found[0]))
    return c.MissDeadline(case_id=name, stage=deadline.stage, number=deadline.number)


# -- what holds ------------------------------------------------------------------------------------------------------


def check_case(case: Case) -> None:
    """What holds for a case between two commands."""
    if case.status in OPEN:
        assert case.deadlines, "an open case always has a clock"
        assert case.window_ends is None
        assert case.reports
    else:
        assert case.deadlines == ()
        assert case.window_ends is not None
    if case.status is Status.ACCEPTED:
        assert case.holder is not None
        assert case.holder not in case.reporters
    if case.status in (Status.DISPATCHED, Status.AWAITING_DISPATCH):
        assert case.holder is None
    assert len({deadline.number for deadline in case.deadlines}) == len(case.deadlines)
    assert all(deadline.number <= case.deadline_count for deadline in case.deadlines)
    assert len({deadline.stage for deadline in case.deadlines}) == len(case.deadlines), "one clock for a stage"
    assert case.owner.unit == case.route.unit.unit or case.owner.unit in case.route.ancestors


def check_cell(cell: Cell) -> None:
    """What holds for the cell between two commands: every report has one fate, and stands in at most one case."""
    on_cases = [known.report for each in cell.cases.values() for known in each.reports]
    assert len(on_cases) == len(set(on_cases))
    assert set(on_cases).isdisjoint(cell.held)
    for each in cell.cases.values():
        check_case(each)


@settings(max_examples=150)
@given(MOVES)
def test_whatever_is_asked_the_cell_stays_whole(moves: list[Move]) -> None:
    run = Run()
    for _ in run.play(moves):
        check_cell(run.cell)


@given(MOVES)
def test_every_missed_deadline_lifts_the_case_or_brings_a_notice_in_the_same_commit(moves: list[Move]) -> None:
    for decision in Run().play(moves):
        kinds = [type(fact.data) for fact in decision]
        for number, kind in enumerate(kinds):
            if kind is e.DeadlineMissed:
                assert kinds[number:] in ([e.DeadlineMissed, e.CaseEscalated], [e.DeadlineMissed, e.NoticeIssued])
        assert kinds.count(e.DeadlineMissed) <= 1


@given(MOVES)
def test_no_deadline_is_missed_twice_and_none_before_its_time(moves: list[Move]) -> None:
    run, missed = Run(), set[tuple[str, int]]()
    for decision in run.play(moves):
        for fact in decision:
            if isinstance(fact.data, e.DeadlineMissed):
                assert (fact.subject, fact.data.number) not in missed
                assert fact.data.due <= run.now
                missed.add((fact.subject, fact.data.number))


@given(MOVES)
def test_deadlines_of_a_case_are_numbered_on_and_never_again(moves: list[Move]) -> None:
    run = Run()
    list(run.play(moves))
    for numbers in run.numbers.values():
        assert all(earlier < later for earlier, later in pairwise(numbers))


@given(MOVES)
def test_nobody_handles_or_inspects_what_they_reported_or_inspects_what_they_handled(moves: list[Move]) -> None:
    run = Run()
    reporters, handlers = dict[str, set[str]](), dict[str, set[str]]()
    for decision in run.play(moves):
        for fact in decision:
            data, mine = fact.data, reporters.setdefault(fact.subject, set())
            match data:
                case e.CaseFiled() | e.ReportAttached():
                    mine.add(data.report.reporter)
                case e.ReportDetached() | e.ReportWithdrawn():
                    mine.clear()
                    mine.update(run.cell.cases[fact.subject].reporters if fact.subject in run.cell.cases else ())
                case e.DispatchAccepted():
                    assert data.holder not in mine
                case e.HandlingCompleted():
                    assert data.by not in mine
                    handlers.setdefault(fact.subject, set()).add(data.by)
                case e.InspectionPassed() | e.InspectionFailed():
                    assert data.by not in mine | handlers[fact.subject]
                case _:
                    pass


@given(MOVES)
def test_the_state_survives_being_written_and_read(moves: list[Move]) -> None:
    run = Run()
    list(run.play(moves))
    again = CELL_STATE.validate_json(CELL_STATE.dump_json(run.cell))
    assert again == run.cell
    assert list(again.reports) == list(run.cell.reports)


def _random_move(numbers: Random) -> Move:
    kind, target, person, detail = (numbers.randrange(10_000) for _ in range(4))
    return Move(kind, target, person, detail, minutes=numbers.choice([0, 1, 5, 16, 61, 500, 12_000]))


def test_the_moves_reach_every_event_of_a_case() -> None:
    """The properties above are about something: seeded runs meet everything that can happen to a case."""
    met, numbers = set[type[object]](), Random(7)
    for _ in range(60):
        run = Run()
        for decision in run.play([_random_move(numbers) for _ in range(60)]):
            met.update(type(fact.data) for fact in decision)
            check_cell(run.cell)
    assert met == set(e.CaseEvent.__subclasses__())
