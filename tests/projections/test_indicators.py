"""Indicators: the same question about the past has the same answer for ever, and the parts add up to the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from domain.calendar import WorkingCalendar
from domain.case import events as e
from domain.case.events import Stage
from domain.directory import CalendarActivated, NetPartPublished
from domain.message import Event, Role
from domain.net import Level
from domain.rider import PointsAwarded
from infra.database import open_engine
from infra.indicators import Asked, CannotAnswer, question_of
from projections import directory
from projections.directory import zone_of
from projections.indicators.answer import Answer
from projections.indicators.definitions import INDICATORS, indicator
from projections.indicators.period import NoPeriod, Period, period_of
from projections.indicators.question import BUCKETS, SETTLING, WORKER, CannotAsk, Question
from projections.projector import create_tables
from projections.schema import MICROSECOND
from tests.domain.smallville import CITY, CITY_DESK, GRID_A, NET, OTHER_RIDER, PANEL, STREET, TEAM, actor, rung
from tests.domain.specification import HANDLE, accepted, attached, completed, escalated, missed, report
from tests.projections.lives import SHANGHAI, Happening, Lives, closing, filed_case, route_in, submission
from tests.projections.story import stream

MARCH = period_of("2026-03", SHANGHAI)
JUNE_END = datetime(2026, 6, 30, tzinfo=UTC)
WAYS: tuple[tuple[str, ...], ...] = ((), ("district",), ("unit",), (WORKER,), ("day",), ("week", "family"), ("month",))
"""Breakdowns that are tried with everything that knows them."""


def march(day: int, hour: float = 9) -> datetime:
    """A day of March 2026, local."""
    return MARCH.start + timedelta(days=day - 1, hours=hour)


def everything(lives: Lives, period: Period, as_of: datetime, ways: Sequence[tuple[str, ...]] = WAYS) -> list[Answer]:
    """Every indicator, in every way that it knows."""
    return [
        lives.ask(Question(period, as_of, SHANGHAI, by=by), each.name, each.version)
        for each in INDICATORS
        for by in ways
        if set(by) <= set(each.dimensions)
    ]


def opened(case: str, at: datetime, district: str = "Nanshan") -> list[Happening]:
    """A report and its case, to be handled within two days."""
    of = report(case).model_copy(update={"received_at": at})
    return [
        (at, of.report, submission(of)),
        (at, case, filed_case(of, at + timedelta(days=2), route_in(district))),
    ]


def worked(case: str, at: datetime, worker: str = "li", *, on_time: bool = True) -> list[Happening]:
    """Accepted, completed, inspected and closed within two hours."""
    steps: list[Event] = [
        accepted(actor(worker, Role.GRID_WORKER)),
        completed(actor(worker, Role.GRID_WORKER)),
        e.InspectionPassed(by="i"),
        closing(on_time=on_time),
    ]
    return [(at + timedelta(minutes=30 * number), case, step) for number, step in enumerate(steps)]


def dispatched_to(district: str, due: datetime) -> e.CaseDispatched:
    """改派."""
    return e.CaseDispatched(route=route_in(district), by="d", handling_due=due, deadlines=())


def reopening() -> e.CaseReopened:
    """重开."""
    return e.CaseReopened(reason="r", by="s", deadlines=())


def voiding() -> e.CaseVoided:
    """注销."""
    return e.CaseVoided(reason="r", false_report=False, by="d", reporters=(), window_ends=JUNE_END)


def shelving() -> e.CaseShelved:
    """挂账."""
    return e.CaseShelved(
        reason="r", by="s", resume_by=JUNE_END, stopped=(), handling_left_seconds=0, deadlines=(HANDLE,)
    )


def resuming(due: datetime) -> e.CaseResumed:
    """恢复."""
    return e.CaseResumed(by="s", status="accepted", handling_due=due, deadlines=())


def a_march() -> list[Happening]:
    """Five cases: closed on time, closed late, open, shelved, and completed but not inspected."""
    return [
        *opened("a", march(2)),
        *worked("a", march(3)),
        (march(4), "a", e.OutcomeRated(by="r", score=5)),
        *opened("b", march(5), "Futian"),
        (march(7), "b", missed(HANDLE)),
        (march(7), "b", escalated(STREET, Stage.HANDLE)),
        *worked("b", march(9), "wang", on_time=False),
        *opened("c", march(10), "Futian"),
        *opened("d", march(12)),
        (march(13), "d", accepted(actor("li", Role.GRID_WORKER))),
        (march(13, 10), "d", shelving()),
        *opened("e", march(28)),
        (march(28, 10), "e", accepted(actor("zhao", Role.GRID_WORKER))),
        (march(28, 11), "e", completed(actor("zhao", Role.GRID_WORKER))),
    ]


def a_year_later() -> list[Happening]:
    """What became of them, and new ones."""
    april = MARCH.end
    late = [(april + timedelta(days=1), "e", e.InspectionFailed(by="i", reason="r", deadlines=()))]
    return [
        (april + timedelta(hours=1), "a", reopening()),
        (april + timedelta(hours=2), "a", dispatched_to("Futian", march(4))),
        *worked("a", april + timedelta(days=3), "sun", on_time=False),
        (april + timedelta(days=4), "a", e.OutcomeRated(by="x", score=1)),
        (april + timedelta(days=1), "c", dispatched_to("Nanshan", march(12))),
        *worked("c", april + timedelta(days=2), "li", on_time=False),
        (april + timedelta(days=30), "d", resuming(april + timedelta(days=33))),
        *worked("d", april + timedelta(days=31)),
        *late,
        *worked("e", april + timedelta(days=5), "sun"),
        (
            april + timedelta(days=6),
            "b",
            e.CaseVoided(reason="r", false_report=True, by="d", reporters=(), window_ends=JUNE_END),
        ),
        *(
            happening
            for month in range(12)
            for happening in opened(f"n{month}", april + timedelta(days=30 * month + 1))
        ),
    ]


# -- as of -------------------------------------------------------------------------------------------------------------


def test_a_months_numbers_are_the_same_after_a_year_of_further_events(connection: Connection) -> None:
    lives = Lives(connection)
    lives.go_on(a_march())
    at_once = everything(lives, MARCH, MARCH.end + SETTLING)
    lives.go_on(a_year_later())
    assert everything(lives, MARCH, MARCH.end + SETTLING) == at_once


def test_june_sees_what_later_facts_made_of_march(connection: Connection) -> None:
    lives = Lives(connection)
    lives.go_on([*a_march(), *a_year_later()])
    numbers = {
        (each.name, each.version): (lives.value(*key, "2026-03"), lives.value(*key, "2026-03", JUNE_END))
        for each in INDICATORS
        if (key := (each.name, each.version))
    }
    assert numbers["closing_rate", "v1"] == (40.0, 100.0)  # b is voided, d is due in May; c and e are closed
    assert numbers["on_time_rate", "v1"] == (20.0, 33.33)  # a was reopened and closed late, e in time
    assert numbers["on_time_rate", "v2"] == (25.0, 33.33)
    assert numbers["on_time_rate", "a"] == (50.0, 0.0)  # of March's closings only b's is left
    assert numbers["on_time_rate", "b"] == (25.0, 0.0)
    assert numbers["satisfaction", "v1"] == (100.0, 100.0)  # a rating stays where it was given
    assert numbers["backlog", "v1"] == (3, 3)
    assert numbers["missed_deadlines", "v1"] == numbers["escalations", "v1"] == (1, 1)


def test_whose_work_it_was_is_what_was_known_then(connection: Connection) -> None:
    lives = Lives(connection)
    at = march(20)
    lives.go_on(opened("a", at))

    def holders(as_of: datetime, name: str) -> dict[str | None, float | int | None]:
        answered = lives.ask(Question(MARCH, as_of, SHANGHAI, by=(WORKER,)), name)
        return {line.key[WORKER]: line.value for line in answered.lines}

    assert holders(at, "backlog") == {None: 1}
    lives.go_on(worked("a", MARCH.end + timedelta(days=1)))
    assert holders(at, "backlog") == {None: 1}
    assert holders(MARCH.end + SETTLING, "closing_rate") == {None: 0.0}
    assert holders(JUNE_END, "closing_rate") == {"li": 100.0}


def test_a_period_that_goes_on_is_the_number_so_far(connection: Connection) -> None:
    lives = Lives(connection)
    lives.go_on(a_march())
    usual = Question.usual(MARCH, SHANGHAI)
    half = lives.ask(usual, "filing_rate", at=march(10))
    assert (half.provisional, half.lines[0].measures) == (True, {"submitted": 3, "filed": 3})
    assert lives.ask(usual, "closing_rate", at=march(10)).lines[0].measures == {"should_have_closed": 2, "closed": 2}
    for early, provisional in ((timedelta(seconds=1), True), (timedelta(0), True), (-MICROSECOND, False)):
        assert lives.ask(usual, "filing_rate", at=usual.as_of - early).provisional is provisional
    future = lives.ask(Question.usual(period_of("2027", SHANGHAI), SHANGHAI), "filing_rate", at=march(10))
    assert (future.provisional, future.lines[0].value) == (True, None)


def test_a_case_that_was_shelved_in_time_is_not_overdue(connection: Connection) -> None:
    lives = Lives(connection)
    lives.go_on(opened("in time", march(2)) + opened("too late", march(2)) + opened("resumed", march(2)))
    lives.go_on(
        [(march(3), "in time", shelving()), (march(9), "too late", shelving()), (march(3), "resumed", shelving())]
    )
    lives.go_on([(march(10), "resumed", resuming(march(12)))])
    (line,) = lives.ask(Question.usual(MARCH, SHANGHAI), "on_time_rate", "b").lines
    assert line.measures["overdue"] == 2


def handled_back(left: float) -> e.DispatchReturned:
    """回退."""
    return e.DispatchReturned(reason="r", by="li", desk=rung(STREET), handling_left_seconds=left, deadlines=())


def test_a_case_whose_clock_a_return_has_stopped_in_time_is_not_overdue(connection: Connection) -> None:
    lives = Lives(connection)
    lives.go_on(opened("in time", march(2)) + opened("too late", march(2)) + opened("sent on", march(2)))
    lives.go_on([(march(3), "in time", handled_back(60)), (march(9), "too late", handled_back(0))])
    lives.go_on(
        [(march(3), "sent on", handled_back(60)), (march(8), "sent on", dispatched_to("Futian", march(8, hour=10)))]
    )
    for as_of in (MARCH.end + SETTLING, JUNE_END):
        (line,) = lives.ask(Question(MARCH, as_of, SHANGHAI), "on_time_rate", "b").lines
        assert line.measures["overdue"] == 2


def test_a_case_that_ended_while_it_was_shelved_is_not_shelved_any_more(connection: Connection) -> None:
    lives = Lives(connection)
    for case in ("closed", "reopened", "voided", "waiting"):
        lives.go_on([*opened(case, march(2)), (march(3), case, shelving())])
    lives.go_on([(march(6), "closed", closing(on_time=False)), (march(6), "reopened", closing(on_time=False))])
    lives.go_on([(march(7), "reopened", reopening()), (march(6), "voided", voiding())])
    (line,) = lives.ask(Question.usual(MARCH, SHANGHAI), "on_time_rate", "v2").lines
    assert line.measures["should_have_closed"] == 2


def test_what_waits_for_its_inspection_is_in_the_hands_of_who_completed_it(connection: Connection) -> None:
    """Also once nobody inspected it in time; and whoever held it before it was lifted may complete it."""
    lives, li = Lives(connection), actor("li", Role.GRID_WORKER)
    lives.go_on(
        [*opened("late", march(2)), (march(2, 10), "late", accepted(li)), (march(2, 11), "late", completed(li))]
    )
    lives.go_on([(march(2, 12), "late", escalated(STREET, Stage.INSPECT))])
    lives.go_on([*opened("lifted", march(2)), (march(2, 10), "lifted", accepted(li))])
    lives.go_on([(march(4), "lifted", escalated(STREET, Stage.HANDLE))])
    question = Question(MARCH, march(5), SHANGHAI, by=(WORKER,))
    assert {line.key[WORKER]: line.value for line in lives.ask(question, "backlog").lines} == {"li": 1, None: 1}
    lives.go_on([(march(4, 10), "lifted", completed(li))])
    assert {line.key[WORKER]: line.value for line in lives.ask(question, "backlog").lines} == {"li": 2}


# -- any history -------------------------------------------------------------------------------------------------------

STEPS: tuple[Event, ...] = (
    accepted(actor("li", Role.GRID_WORKER)),
    accepted(actor("wang", Role.GRID_WORKER)),
    e.DispatchReleased(holder="li", deadlines=()),
    e.DispatchReturned(reason="r", by="li", desk=rung(STREET), handling_left_seconds=60, deadlines=()),
    dispatched_to("Nanshan", march(20)),
    dispatched_to("Futian", march(45)),
    completed(actor("li", Role.GRID_WORKER)),
    completed(actor("wang", Role.GRID_WORKER)),
    e.InspectionFailed(by="i", reason="r", deadlines=()),
    e.InspectionPassed(by="i"),
    closing(on_time=True),
    closing(on_time=False),
    reopening(),
    voiding(),
    shelving(),
    resuming(march(50)),
    missed(HANDLE),
    escalated(STREET, Stage.HANDLE),
    e.OutcomeRated(by="r", score=2),
    e.OutcomeRated(by="r", score=5),
    attached(report("again", OTHER_RIDER)),
)
CASES = ("a", "b", "c")
HISTORY = st.lists(
    st.tuples(st.sampled_from(CASES), st.sampled_from(STEPS), st.integers(0, 4 * 24 * 60)), min_size=1, max_size=25
)
"""Steps of cases in any order, so many minutes apart: what is folded need not make sense to be remembered."""


def told(history: Sequence[tuple[str, Event, int]]) -> list[Happening]:
    """From the end of February on, with points for every step."""
    at, happenings = march(-3), list[Happening]()
    for number, (case, step, minutes) in enumerate(history):
        at += timedelta(minutes=minutes)
        if all(subject != case for _, subject, _ in happenings):
            happenings += opened(case, at, CASES[number % 3])
        awarded = PointsAwarded(case_id=case, report="r", kind="filing", asked=1, points=1, day=at.date())
        happenings += [(at, case, step), (at, f"rider of {case}", awarded)]
    return happenings


@pytest.fixture(scope="module")
def shared() -> Iterator[Connection]:
    engine = open_engine(None)
    create_tables(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@settings(max_examples=15)
@given(history=HISTORY, cut=st.integers(0, 60 * 24 * 60), by=st.sampled_from(WAYS))
def test_what_comes_later_changes_no_number_of_the_past(
    shared: Connection, history: list[tuple[str, Event, int]], cut: int, by: tuple[str, ...]
) -> None:
    as_of, happenings = march(-3) + timedelta(minutes=cut), told(history)
    period = Period("any", march(1), min(MARCH.end, max(as_of, march(1))))
    with shared.begin_nested() as apart:
        lives = Lives(shared)
        lives.go_on(each for each in happenings if each[0] <= as_of)
        before = everything(lives, period, as_of, [by])
        lives.go_on(each for each in happenings if each[0] > as_of)
        assert everything(lives, period, as_of, [by]) == before
        apart.rollback()


@settings(max_examples=15)
@given(history=HISTORY, by=st.sampled_from(WAYS[1:]))
def test_the_parts_of_every_breakdown_add_up_to_the_whole(
    shared: Connection, history: list[tuple[str, Event, int]], by: tuple[str, ...]
) -> None:
    with shared.begin_nested() as apart:
        lives = Lives(shared)
        lives.go_on(told(history))
        wholes: dict[tuple[str, str], Answer] = {}
        for answered in everything(lives, MARCH, JUNE_END, [(), by]):
            whole = wholes.setdefault((answered.indicator, answered.version), answered)
            (line,) = whole.lines
            for measure, number in line.measures.items():
                if not measure.endswith("_seconds") and measure != "outstanding":
                    assert sum(part.measures[measure] or 0 for part in answered.lines) == number
        apart.rollback()


# -- periods and buckets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "zone", "start", "end"),
    [
        ("2026-03", SHANGHAI, "2026-02-28T16:00", "2026-03-31T16:00"),
        ("2026-12", SHANGHAI, "2026-11-30T16:00", "2026-12-31T16:00"),
        ("2026-Q1", "UTC", "2026-01-01T00:00", "2026-04-01T00:00"),
        ("2026", "UTC", "2026-01-01T00:00", "2027-01-01T00:00"),
        ("2026-W53", "UTC", "2026-12-28T00:00", "2027-01-04T00:00"),
        ("2026-01-30/2026-02-01", "UTC", "2026-01-30T00:00", "2026-02-02T00:00"),
        ("2026-03-29", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours long
        ("2026-10-25", "Europe/Berlin", "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours long
    ],
)
def test_a_period_begins_and_ends_at_local_midnight(text: str, zone: str, start: str, end: str) -> None:
    period = period_of(text, zone)
    assert (period.start, period.end) == (datetime.fromisoformat(f"{start}Z"), datetime.fromisoformat(f"{end}Z"))


@pytest.mark.parametrize(
    "text", ["", "2026-13", "2026-W54", "2027-W53", "2026-02-30", "0000", "2026-Q5", "2026-02/2026-01", "x/y"]
)
def test_what_is_no_period_is_said_to_be_none(text: str) -> None:
    with pytest.raises(NoPeriod, match="2026-W48"):
        period_of(text, SHANGHAI)


@pytest.mark.parametrize(
    ("zone", "bucket", "instants", "expected"),
    [
        (SHANGHAI, "day", ["2026-03-01T15:59", "2026-03-01T16:00"], {"2026-03-01": 1, "2026-03-02": 1}),
        (SHANGHAI, "month", ["2026-03-31T15:59", "2026-03-31T16:00"], {"2026-03": 1, "2026-04": 1}),
        (
            SHANGHAI,
            "week",
            ["2026-12-27T16:00", "2027-01-03T15:59", "2027-01-03T16:00"],
            {"2026-W53": 2, "2027-W01": 1},
        ),
        (
            "Europe/Berlin",
            "day",
            ["2026-03-28T22:59", "2026-03-28T23:00", "2026-03-29T21:59", "2026-03-29T22:00"],
            {"2026-03-28": 1, "2026-03-29": 2, "2026-03-30": 1},
        ),
        ("Asia/Kathmandu", "day", ["2026-03-01T18:14", "2026-03-01T18:15"], {"2026-03-01": 1, "2026-03-02": 1}),
    ],
)
def test_local_days_weeks_and_months_begin_at_local_midnight(
    connection: Connection, zone: str, bucket: str, instants: list[str], expected: dict[str, int]
) -> None:
    lives = Lives(connection)
    for number, instant in enumerate(instants):
        lives.go_on(opened(f"case {number}", datetime.fromisoformat(f"{instant}Z")))
    whole = Question(period_of("2026-01-01/2027-02-01", zone), datetime(2028, 1, 1, tzinfo=UTC), zone, by=(bucket,))
    assert {line.key[bucket]: line.measures["filed"] for line in lives.ask(whole, "filing_rate").lines} == expected


# -- what can be asked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version", "dimension"),
    [("backlog", "", "day"), ("on_time_rate", "b", "month"), ("filing_rate", "", WORKER), ("points", "", WORKER)],
)
def test_a_dimension_that_the_facts_do_not_have_is_refused_with_those_they_have(
    connection: Connection, name: str, version: str, dimension: str
) -> None:
    definition = indicator(name, version)
    assert dimension not in definition.dimensions
    for filters, by in (({}, (dimension,)), ({dimension: "x"}, ())):
        with pytest.raises(CannotAsk, match=", ".join(definition.dimensions)):
            Lives(connection).ask(Question.usual(MARCH, SHANGHAI, filters, by), name, version)


def test_a_time_is_no_filter(connection: Connection) -> None:
    for bucket in BUCKETS:
        with pytest.raises(CannotAsk):
            Lives(connection).ask(Question.usual(MARCH, SHANGHAI, {bucket: "2026-03"}), "filing_rate")


@pytest.mark.parametrize(
    ("unit", "filters"),
    [
        ("", {}),
        (CITY, {}),
        (STREET, {"street": STREET}),
        (GRID_A, {"grid": GRID_A}),
        (TEAM, {"unit": TEAM}),
        (PANEL, {"unit": PANEL}),
        (CITY_DESK, {"unit": CITY_DESK}),
    ],
)
def test_an_area_is_asked_about_by_place_and_a_team_by_its_queue(
    connection: Connection, unit: str, filters: dict[str, str]
) -> None:
    directory.apply(connection, stream(NetPartPublished(net="n", part=0, units=NET.units)))
    _, question = question_of(connection, Asked("backlog", unit=unit), SHANGHAI, march(10))
    assert (question.filters, question.as_of, question.period) == (filters, march(10), MARCH)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Asked("nonsense"), "name"),
        (Asked("backlog", version="v9"), "version"),
        (Asked("backlog", period="soon"), "period"),
        (Asked("backlog", as_of="2026-06-30"), "as_of"),
        (Asked("backlog", as_of="0001-01-01T00:00:00+14:00"), "as_of"),
        (Asked("backlog", unit="nowhere"), "unit"),
        (Asked("backlog", family="nothing"), "family"),
        (Asked("backlog", category="nothing"), "category"),
        (Asked("backlog", by=("colour",)), "by"),
    ],
)
def test_what_is_wrong_with_a_question_is_named(connection: Connection, asked: Asked, field: str) -> None:
    with pytest.raises(CannotAnswer, match=" · ") as refused:
        question_of(connection, asked, SHANGHAI, march(10))
    assert refused.value.field == field


def test_days_are_counted_in_the_zone_of_the_calendar_that_came_last(connection: Connection) -> None:
    assert zone_of(connection) == SHANGHAI
    zones = ("Asia/Urumqi", "Asia/Kathmandu")
    calendars = [CalendarActivated(calendar=WorkingCalendar(version=zone, last_year=2026, zone=zone)) for zone in zones]
    directory.apply(connection, stream(*calendars))
    assert zone_of(connection) == "Asia/Kathmandu"


def test_every_level_can_be_asked_about() -> None:
    levels = {level.value for level in Level} - {"city"}
    for definition in INDICATORS:
        wanted = {"district"} if definition.name == "coverage" else levels
        assert wanted <= set(definition.dimensions)
