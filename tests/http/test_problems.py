"""The two literal tables of the edge agree with the rules."""

from __future__ import annotations

from domain.message import Role
from domain.policy import COMMANDS
from domain.refusals import REFUSALS
from infra.http.commands import ON_CASE, ON_REPORT
from infra.http.problems import REFUSAL_STATUS, Problem, pointer


def test_every_status_belongs_to_a_refusal_that_exists() -> None:
    assert set(REFUSAL_STATUS) <= set(REFUSALS)


def test_every_command_that_people_have_rights_to_can_be_asked() -> None:
    people = {name for name, right in COMMANDS.items() if right.roles != {Role.SYSTEM}}
    assert set(ON_CASE) | set(ON_REPORT) == people - {"SubmitReport"}


def test_a_pointer_escapes_what_json_pointers_must() -> None:
    assert pointer(["reports", 3, "a/b", "c~d", ""]) == "/reports/3/a~1b/c~0d/"


def test_a_problem_of_a_part_points_into_the_whole() -> None:
    problem = Problem(422, "invalid", "no", errors=[("/id", "bad"), ("", "worse")], reason="X")
    document = problem.under("/reports/3").document("/v1/reports/batch")
    assert [error["pointer"] for error in document["errors"]] == ["/reports/3/id", "/reports/3"]
    assert document["reason"] == "X"
    assert problem.errors[0] == ("/id", "bad"), "the part's own problem stays as it is"
