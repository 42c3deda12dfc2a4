"""Statements: what was said of an ended period is said ever after, and the audit names one that was changed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect
from threading import Barrier

import pytest
from sqlalchemy import delete

from infra.database import ReadModels, open_engine
from infra.projecting import Cut
from infra.statements import Statements, ask, changed, state_months
from projections.facts import fact_table
from projections.indicators.answer import Answer
from projections.indicators.definitions import INDICATORS, indicator
from projections.indicators.period import period_of
from projections.indicators.question import SETTLING, Question
from projections.projector import create_tables
from projections.schema import MICROSECOND
from tests.projections.lives import SHANGHAI, Lives
from tests.projections.test_indicators import JUNE_END, MARCH, a_march, a_year_later, march


@pytest.fixture
def models(tmp_path: Path) -> Iterator[ReadModels]:
    models = ReadModels(tmp_path)
    file = models.next_file()
    create_tables(open_engine(file))
    models.go_live(file)
    with models.writing() as connection:
        Lives(connection).go_on(a_march())
    yield models
    models.close()


@pytest.fixture
def statements(tmp_path: Path) -> Iterator[Statements]:
    statements = Statements(tmp_path)
    yield statements
    statements.close()


def test_the_first_answer_about_an_ended_period_is_given_ever_after(models: ReadModels, statements: Statements) -> None:
    usual, definition = Question.usual(MARCH, SHANGHAI), indicator("closing_rate")
    early = ask(models, statements, definition, usual, Cut(march(31), march(31), {}))
    assert early.provisional
    assert list(statements.all()) == []
    given = ask(models, statements, definition, usual, Cut(usual.as_of + MICROSECOND, usual.as_of + MICROSECOND, {}))
    assert [Answer.model_validate_json(said).lines for _, said in statements.all()] == [given.lines]
    with models.writing() as connection:
        connection.execute(delete(fact_table).where(fact_table.c.case_id == "a"))
    assert ask(models, statements, definition, usual, Cut(JUNE_END, JUNE_END, {})) == given
    (found,) = changed(models, statements)
    assert found.startswith('["closing_rate", "v1", "2026-02-28T16:00:00+00:00"')
    assert found.endswith("the numbers of today are others")


def test_statements_outlive_whatever_happens_later(models: ReadModels, statements: Statements) -> None:
    until = Cut(MARCH.end + timedelta(days=1), MARCH.end + timedelta(days=1), {})
    steps: list[int] = []
    for _ in range(2):
        state_months(models, statements, SHANGHAI, until, lambda done, _: steps.append(done))
    assert len(list(statements.all())) == len(steps) == 2 * len(INDICATORS)
    with models.writing() as connection:
        Lives(connection).go_on(each for each in a_year_later() if each[0] > MARCH.end + SETTLING)
    assert changed(models, statements) == []


def test_a_question_as_of_another_instant_is_not_stated(models: ReadModels, statements: Statements) -> None:
    question = Question(MARCH, JUNE_END, SHANGHAI)
    later = Cut(JUNE_END + MICROSECOND, JUNE_END + MICROSECOND, {})
    assert not ask(models, statements, indicator("closing_rate"), question, later).provisional
    assert list(statements.all()) == []


@pytest.mark.parametrize(
    ("column", "old", "new", "wrong"),
    [
        ("answer", '"closed":2', '"closed":3', "the numbers of today are others"),
        ("answer", '"value":40.0', '"value":60.0', "the numbers of today are others"),
        ("answer", '"filters":{}', '"filters":{"district":"Nanshan"}', "another question"),
        ("answer", '"period":"2026-03"', '"period":"2026-04"', "another question"),
        ("answer", '"as_of":"2026-03-31T16:01:00Z"', '"as_of":"2026-06-01T00:00:00Z"', "another question"),
        ("question", '"v1"', '"a"', "another question"),
        ("answer", '"version":"v1"', '"version":"v9"', "cannot be checked"),
        ("answer", '"zone":"Asia/Shanghai"', '"zone":"Asia/Nowhere"', "cannot be checked"),
        ("answer", '{"indicator"', '"indicator"', "cannot be checked"),
    ],
)
def test_a_statement_that_was_changed_by_hand_is_named(
    models: ReadModels, statements: Statements, tmp_path: Path, column: str, old: str, new: str, wrong: str
) -> None:
    usual, late = Question.usual(MARCH, SHANGHAI), Cut(JUNE_END, JUNE_END, {})
    given = ask(models, statements, indicator("closing_rate"), usual, late)
    assert changed(models, statements) == []
    with closing(connect(tmp_path / "statements.db", isolation_level=None)) as by_hand:
        altered = by_hand.execute(f"UPDATE statement SET {column} = replace({column}, ?, ?)", (old, new))
        assert (altered.rowcount, by_hand.execute("SELECT count(*) FROM statement").fetchone()) == (1, (1,))
    (found,) = changed(models, statements)
    assert wrong in found
    if not old.startswith("{"):
        return
    assert ask(models, statements, indicator("closing_rate"), usual, late) == given


def test_of_two_who_answer_at_once_both_give_what_was_kept_first(models: ReadModels, tmp_path: Path) -> None:
    """Many processes, a file that is not there yet: nobody fails, and there is one statement."""
    usual, start = Question.usual(MARCH, SHANGHAI), Barrier(4)

    def answered(hours: int) -> Answer:
        start.wait()
        until = JUNE_END + timedelta(hours=hours)
        statements = Statements(tmp_path / "new")
        try:
            return ask(models, statements, indicator("closing_rate"), usual, Cut(until, until, {}))
        finally:
            statements.close()

    (tmp_path / "new").mkdir()
    with ThreadPoolExecutor(4) as pool:
        assert len(set(map(Answer.model_dump_json, pool.map(answered, range(4))))) == 1


def test_a_longer_answer_is_not_kept(
    models: ReadModels, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_day = Question.usual(MARCH, SHANGHAI, by=("day",))
    late = Cut(JUNE_END, JUNE_END, {})
    monkeypatch.setattr("infra.statements.MAX_LINES", 2)
    assert len(ask(models, statements, indicator("filing_rate"), by_day, late).lines) > 2
    ask(models, statements, indicator("filing_rate"), Question.usual(MARCH, SHANGHAI), late)
    assert len(list(statements.all())) == 1


def test_a_statement_is_shown_under_the_name_that_was_asked_for(models: ReadModels, statements: Statements) -> None:
    labels = ("2026-03", "2026-03-01/2026-03-31")
    late = Cut(JUNE_END, JUNE_END, {})
    given = [
        ask(models, statements, indicator("backlog"), Question.usual(period_of(label, SHANGHAI), SHANGHAI), late)
        for label in labels
    ]
    assert tuple(each.period for each in given) == labels
    assert given[0].lines == given[1].lines
    assert len(list(statements.all())) == 1


def test_a_new_version_is_stated_of_months_that_have_ended_and_the_old_ones_stay(
    models: ReadModels, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = Cut(MARCH.end + timedelta(days=1), MARCH.end + timedelta(days=1), {})
    monkeypatch.setattr("infra.statements.INDICATORS", [each for each in INDICATORS if each.version != "v2"])
    state_months(models, statements, SHANGHAI, until, lambda _, __: None)
    before = list(statements.all())
    monkeypatch.setattr("infra.statements.INDICATORS", INDICATORS)
    state_months(models, statements, SHANGHAI, until, lambda _, __: None)
    after = list(statements.all())
    assert set(before) < set(after)
    assert all('"v2"' in asked for asked, _ in set(after) - set(before))
    assert changed(models, statements) == []
