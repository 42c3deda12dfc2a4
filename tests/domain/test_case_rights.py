"""权限 — who may ask what of a case, and how far their units reach (one table for the edge and the rules)."""

from __future__ import annotations

import pytest

from domain.case import commands as c
from domain.case import events as e
from domain.case.events import Stage
from domain.message import Actor, Message, Role, message_types
from domain.policy import COMMANDS, Reach, may_ask, reaches
from domain.sealing import Sealed
from tests.domain.smallville import (
    CASE,
    CITY,
    COMMUNITY,
    DISPATCHER,
    DISTRICT,
    FOREIGN_DISPATCHER,
    FOREIGN_WORKER,
    GRID_A,
    INSPECTOR,
    OTHER_COMMUNITY,
    OTHER_RIDER,
    PART_TIMER,
    RIDER,
    ROUTE,
    STREET,
    STREET_DISPATCHER,
    SUPERVISOR,
    WORKER,
    actor,
)
from tests.domain.specification import (
    ACCEPT,
    ASKED,
    CLOSED,
    DONE,
    FIRST,
    HANDLE,
    IN_HAND,
    IN_QUEUE,
    ON_THE_SHELF,
    SECOND,
    accepted,
    attached,
    escalated,
    file_report,
    given,
    minute,
)

TEXT = Sealed(person="p", cipher="AAAA")
NOBODY = Actor(person="nobody", roles=())


LIVES = (IN_QUEUE, IN_HAND, (*IN_HAND, ASKED), ON_THE_SHELF, (*DONE, attached()), CLOSED)
"""Every command finds a stage of its liking in one of these."""


def command_of(kind: type[c.OnCase], by: Actor) -> c.OnCase:
    """A command with something believable in every field that it needs."""
    about = {
        "report": SECOND.report,
        "reason": "原因",
        "occurred_at": minute(0),
        "route": ROUTE,
        "outcome": "resolved" if kind is c.PassInspection else "unfounded",
        "score": 3,
        "text": TEXT,
        "note": TEXT,
        "stage": Stage.ACCEPT,
        "number": 2,
    }
    fields = {name: value for name, value in about.items() if name in kind.model_fields}
    return kind(actor=by, case_id=CASE, **fields)


def case_commands() -> list[type[c.CaseCommand]]:
    found: list[type[Message]] = [kind for kind in message_types().values() if kind.__module__ == c.__name__]
    return [kind for kind in found if issubclass(kind, c.CaseCommand)]


ON_CASE = [kind for kind in case_commands() if issubclass(kind, c.OnCase)]


def test_every_command_of_a_case_stands_in_the_table_and_nothing_else_does() -> None:
    assert {kind.__name__ for kind in case_commands()} | {"SubmitReport"} == set(COMMANDS)


@pytest.mark.parametrize("kind", ON_CASE, ids=lambda kind: kind.__name__)
def test_without_a_role_nothing_can_be_asked(kind: type[c.OnCase]) -> None:
    given(*DONE).when(command_of(kind, NOBODY)).refused("RoleNotAllowed")


@pytest.mark.parametrize(
    "kind",
    [kind for kind in ON_CASE if COMMANDS[kind.__name__].reach in (Reach.SUBTREE, Reach.OWNER_UNIT, Reach.INSPECTION)],
    ids=lambda kind: kind.__name__,
)
def test_a_role_reaches_no_further_than_its_units(kind: type[c.OnCase]) -> None:
    for role in COMMANDS[kind.__name__].roles:
        elsewhere = command_of(kind, actor("somebody", role, OTHER_COMMUNITY))
        given(*DONE, attached()).when(elsewhere).refused("OutsideYourUnit")


@pytest.mark.parametrize("unit", [GRID_A, COMMUNITY, STREET, DISTRICT, CITY])
def test_a_dispatcher_reaches_the_whole_subtree_of_their_unit(unit: str) -> None:
    given(*IN_QUEUE).when(command_of(c.VoidCase, actor("d", Role.DISPATCHER, unit))).brings(e.CaseVoided)


def test_a_dispatcher_below_the_owner_has_no_say_once_the_case_has_climbed() -> None:
    climbed = (*IN_QUEUE, escalated(COMMUNITY, Stage.ACCEPT, ACCEPT), escalated(STREET, Stage.ACCEPT, ACCEPT))
    given(*climbed).when(command_of(c.VoidCase, DISPATCHER)).refused("OutsideYourUnit")
    given(*climbed).when(command_of(c.VoidCase, STREET_DISPATCHER)).brings(e.CaseVoided)


def test_only_the_queue_that_holds_the_case_accepts_it() -> None:
    for stranger in (FOREIGN_WORKER, DISPATCHER, FOREIGN_DISPATCHER):
        given(*IN_QUEUE).when(command_of(c.AcceptDispatch, stranger)).refused("OutsideYourUnit")


def test_a_part_time_worker_has_a_workers_rights_in_the_named_grids() -> None:
    given(*IN_QUEUE).when(command_of(c.AcceptDispatch, PART_TIMER)).then(accepted(PART_TIMER, HANDLE))


def test_a_rider_has_no_rights_over_the_case_of_their_report() -> None:
    for kind in (c.AcceptDispatch, c.CompleteHandling, c.PassInspection, c.VoidCase, c.ReopenCase):
        given(*DONE).when(command_of(kind, RIDER)).refused("RoleNotAllowed")


def test_reopening_is_for_supervisors() -> None:
    given(*CLOSED).when(command_of(c.ReopenCase, DISPATCHER)).refused("RoleNotAllowed")
    given(*CLOSED).when(command_of(c.ReopenCase, SUPERVISOR)).brings(e.CaseReopened)


def test_an_anonymous_reporter_may_withdraw_but_not_rate() -> None:
    anonymous = Actor(person=RIDER.person, roles=(Role.ANONYMOUS,))
    given(*CLOSED).when(command_of(c.RateOutcome, anonymous)).refused("RoleNotAllowed")
    withdraw = c.WithdrawReport(actor=anonymous, report=FIRST.report)
    given(*IN_HAND).when(withdraw).brings(e.ReportWithdrawn, e.CaseVoided)


@pytest.mark.parametrize("writer", [RIDER, WORKER, INSPECTOR, SUPERVISOR], ids=lambda writer: str(writer.person))
def test_everybody_involved_may_add_a_note(writer: Actor) -> None:
    given(*IN_HAND).when(command_of(c.AddNote, writer)).brings(e.NoteAdded)


@pytest.mark.parametrize("stranger", [OTHER_RIDER, FOREIGN_WORKER, FOREIGN_DISPATCHER], ids=lambda who: str(who.person))
def test_a_stranger_may_not_add_a_note(stranger: Actor) -> None:
    given(*IN_HAND).when(command_of(c.AddNote, stranger)).refused("OutsideYourUnit")


def test_filing_is_the_routers_own() -> None:
    given().when(file_report().model_copy(update={"actor": DISPATCHER})).refused("RoleNotAllowed")


def test_a_unit_reaches_itself_and_what_stands_under_it() -> None:
    assert reaches(DISPATCHER, GRID_A, ROUTE.ancestors)
    assert reaches(DISPATCHER, COMMUNITY, ())
    assert not reaches(FOREIGN_DISPATCHER, GRID_A, ROUTE.ancestors)


def test_a_right_is_for_any_of_the_roles_that_one_person_has() -> None:
    both = Actor(person="p", roles=(Role.REPORTER, Role.SUPERVISOR), units=(COMMUNITY,))
    assert may_ask(both, COMMANDS["ReopenCase"])
    assert not may_ask(both, COMMANDS["VoidCase"])


@pytest.mark.parametrize(
    "kind", [kind for kind in ON_CASE if kind is not c.ArchiveCase], ids=lambda kind: kind.__name__
)
def test_the_same_command_again_changes_nothing(kind: type[c.OnCase]) -> None:
    right = COMMANDS[kind.__name__]
    person = {Reach.OWN: RIDER.person, Reach.HOLDER: WORKER.person}.get(right.reach, "somebody")
    asker = Actor(person=person, roles=tuple(right.roles), units=(GRID_A, COMMUNITY))
    command = command_of(kind, asker)
    if isinstance(command, c.CompleteHandling):
        command = command.model_copy(update={"evidence": {"photo": "p"}})
    specs = [given(*past).when(command, at=80) for past in LIVES]
    applied = [spec for spec in specs if spec.events]
    assert applied
    for spec in applied:
        spec.when(command, at=81).nothing_happens()
