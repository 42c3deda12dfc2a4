"""受理与立案 — how a report becomes a case, joins one, waits for a dispatcher, or leaves again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.case import events as e
from domain.case.commands import (
    AdmitReport,
    CompleteHandling,
    DeclineReport,
    DetachReport,
    DispatchCase,
    FailInspection,
    WithdrawReport,
)
from domain.case.events import Stage
from domain.case.state import REPORT_MEMORY, Status
from domain.message import Actor
from domain.place import Place
from tests.domain.smallville import (
    CASE,
    CITY_DESK,
    DANGER,
    DISPATCHER,
    FOREIGN_DISPATCHER,
    GRID_B,
    HERE,
    INSPECTOR,
    OTHER_RIDER,
    PART_TIMER,
    QUARREL,
    RIDER,
    ROUTE,
    SECOND_CASE,
    WORKER,
    east,
    to_unit,
)
from tests.domain.specification import (
    CLOSED,
    DONE,
    FIRST,
    HANDLE,
    HANDLE_DUE,
    IN_HAND,
    IN_QUEUE,
    SECOND,
    accepted,
    after,
    attached,
    completed,
    deadline,
    dispatched,
    file_report,
    filed,
    given,
    held,
    minute,
    on,
    report,
)

WITHDRAWN = e.ReportWithdrawn(report=FIRST.report, reporter=RIDER.person)
DECLINED = e.ReportDeclined(report=FIRST.report, reporter=RIDER.person, reason="无此事", by=DISPATCHER.person)


def admit(by: Actor = DISPATCHER, name: str = FIRST.report, *, to: str | None = None) -> AdmitReport:
    return AdmitReport(actor=by, report=name, route=to_unit(to) if to else ROUTE)


def decline(by: Actor = DISPATCHER) -> DeclineReport:
    return DeclineReport(actor=by, report=FIRST.report, reason="无此事")


def withdraw(by: Actor = RIDER, name: str = FIRST.report) -> WithdrawReport:
    return WithdrawReport(actor=by, report=name)


def detach(name: str = SECOND.report, place: Place = HERE) -> DetachReport:
    return DetachReport(
        actor=DISPATCHER,
        case_id=CASE,
        report=name,
        reason="另一件事",
        occurred_at=minute(5),
        place=place,
        route=ROUTE,
    )


# -- filing ----------------------------------------------------------------------------------------------------------


def test_a_report_becomes_a_case_in_the_queue_of_its_grid() -> None:
    given().when(file_report(), at=0).then(filed(), dispatched())


def test_the_handling_clock_starts_when_the_city_received_the_report_however_late_the_router_was() -> None:
    accept_later = deadline(Stage.ACCEPT, 2, minute(40 + 15))
    given().when(file_report(), at=40).then(filed(), dispatched(HANDLE, accept_later))


def test_a_report_that_is_filed_already_changes_nothing() -> None:
    given(*IN_QUEUE).when(file_report()).nothing_happens()


def test_cases_of_a_cell_are_numbered_on() -> None:
    elsewhere = file_report(SECOND, place=east(400))
    assert given(*IN_QUEUE).when(elsewhere).cell.cases.keys() == {CASE, SECOND_CASE}


def test_an_ended_and_archived_case_never_gives_its_number_away() -> None:
    archived = e.CaseArchived(reporters=(RIDER.person,))
    spec = given(*CLOSED, archived).when(file_report(SECOND))
    assert list(spec.cell.cases) == [SECOND_CASE]


@pytest.mark.parametrize("place", [None, Place(lon=113.93, lat=22.53)], ids=["no place", "nowhere"])
def test_what_cannot_be_mapped_waits_at_the_city_desk_for_a_dispatcher(place: Place | None) -> None:
    spec = given().when(file_report(place=place), at=0).brings(e.CaseFiled)
    assert (spec.case.owner.unit, spec.case.status) == (CITY_DESK, Status.AWAITING_DISPATCH)
    assert spec.case.deadlines == (HANDLE, deadline(Stage.DISPATCH, 2, minute(20)))


def test_a_dispatcher_sends_the_unmapped_to_a_unit() -> None:
    spec = given(filed(route=to_unit(CITY_DESK), deadlines=(HANDLE, deadline(Stage.DISPATCH, 2, minute(20)))))
    command = DispatchCase(
        actor=Actor(person="d", roles=DISPATCHER.roles, units=(CITY_DESK,)), case_id=CASE, route=ROUTE
    )
    spec.when(command, at=10).then(dispatched(HANDLE, deadline(Stage.ACCEPT, 3, minute(25)), by="d"))


# -- duplicates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metres", "hours", "attaches"),
    [(0, 0, True), (49.9, 0, True), (50.1, 0, False), (0, 72, True), (0, 72.01, False), (0, -1, True)],
)
def test_the_same_matter_is_near_in_place_and_time(metres: float, hours: float, attaches: bool) -> None:
    second = report("second", OTHER_RIDER, received=hours * 60)
    spec = given(*IN_QUEUE).when(file_report(second, place=east(metres)), at=max(0, hours * 60))
    spec.brings(*([e.ReportAttached] if attaches else [e.CaseFiled, e.CaseDispatched]))


def test_a_duplicate_joins_the_open_case() -> None:
    given(*DONE).when(file_report(SECOND)).then(attached())


def test_another_category_is_another_matter() -> None:
    given(*IN_QUEUE).when(file_report(SECOND, DANGER)).brings(e.CaseFiled, e.CaseDispatched)


def test_nothing_joins_a_case_that_has_ended() -> None:
    given(*CLOSED).when(file_report(SECOND)).brings(e.CaseFiled, e.CaseDispatched)


def test_without_coordinates_nothing_is_the_same_matter() -> None:
    desk = to_unit(CITY_DESK)
    given(filed(place=None, route=desk)).when(file_report(SECOND, place=None)).brings(e.CaseFiled)
    given(filed(place=None, route=desk)).when(file_report(SECOND)).brings(e.CaseFiled, e.CaseDispatched)


def test_a_duplicate_joins_the_nearest_case_and_of_equals_the_oldest() -> None:
    neighbour = filed(report("neighbour"), place=east(40))
    given(*IN_QUEUE, on(SECOND_CASE, neighbour)).when(file_report(SECOND, place=east(30))).then(
        on(SECOND_CASE, attached().model_copy(update={"place": east(30)}))
    )
    twin = on(SECOND_CASE, filed(report("twin")))
    given(*IN_QUEUE, twin).when(file_report(SECOND)).then(attached())


def test_the_holders_own_report_pays_nothing_and_the_case_returns_to_the_queue() -> None:
    own = report("own", PART_TIMER, received=30)
    given(*IN_QUEUE, accepted(PART_TIMER)).when(file_report(own), at=30).then(
        attached(own, rewarded=False),
        e.DispatchReleased(holder=PART_TIMER.person, deadlines=(HANDLE, deadline(Stage.ACCEPT, 3, minute(45)))),
    )


def test_rework_of_somebody_who_has_since_reported_the_matter_returns_to_the_queue() -> None:
    own = report("own", PART_TIMER, received=65)
    done = (*IN_QUEUE, accepted(PART_TIMER), after(60, completed(PART_TIMER)))
    spec = given(*done).when(file_report(own), at=65).then(attached(own, rewarded=False))
    fail = FailInspection(actor=INSPECTOR, case_id=CASE, reason="未清理")
    spec.when(fail, at=80, command_id="fail").brings(e.InspectionFailed, e.DispatchReleased)
    assert (spec.case.status, spec.case.holder) == (Status.DISPATCHED, None)
    assert [(d.stage, d.number) for d in spec.case.deadlines] == [(Stage.HANDLE, 4), (Stage.ACCEPT, 5)]


def test_the_report_of_somebody_who_handled_the_case_before_pays_nothing() -> None:
    rework = e.InspectionFailed(by=INSPECTOR.person, reason="未清理", deadlines=(HANDLE,))
    own = report("own", PART_TIMER)
    done_before = (*IN_QUEUE, accepted(PART_TIMER), completed(PART_TIMER), rework, dispatched(), accepted())
    given(*done_before).when(file_report(own)).then(attached(own, rewarded=False))


def test_whoever_reported_the_matter_may_not_complete_it() -> None:
    complete = CompleteHandling(actor=WORKER, case_id=CASE, evidence={"photo": "p"})
    given(*IN_HAND, attached(report("own", WORKER))).when(complete).refused("OwnReport")


# -- held reports ----------------------------------------------------------------------------------------------------


def test_a_category_that_wants_a_dispatcher_holds_the_report() -> None:
    spec = given().when(file_report(terms=QUARREL, to=ROUTE), at=0).then(held())
    spec.when(file_report(terms=QUARREL, to=ROUTE), command_id="again").nothing_happens()


def test_a_held_category_joins_an_open_case_at_once() -> None:
    given(filed(terms=QUARREL), dispatched()).when(file_report(SECOND, QUARREL)).then(attached())


def test_an_admitted_report_becomes_a_case_by_the_route_of_today_and_the_clock_of_its_receipt() -> None:
    admitted = {"admitted_by": DISPATCHER.person}
    given(held()).when(admit(to=GRID_B), at=60).then(
        filed(terms=QUARREL, route=to_unit(GRID_B)).model_copy(update=admitted),
        dispatched(HANDLE, deadline(Stage.ACCEPT, 2, minute(75)), route=to_unit(GRID_B), by=DISPATCHER.person),
    )


def test_an_admitted_duplicate_joins_the_open_case() -> None:
    spec = given(filed(terms=QUARREL), dispatched(), held(SECOND)).when(admit(name=SECOND.report))
    spec.then(attached().model_copy(update={"admitted_by": DISPATCHER.person}))
    assert spec.cell.held == {}


def test_a_declined_report_ends_with_a_reason() -> None:
    assert given(held()).when(decline()).then(DECLINED).cell.held == {}


def test_what_was_decided_on_a_held_report_is_not_decided_again() -> None:
    given(held(), DECLINED).when(decline()).nothing_happens()
    given(held(), DECLINED).when(admit()).refused("ReportAlreadyDeclined")
    given(held(), filed(terms=QUARREL)).when(admit()).nothing_happens()
    given(held(), filed(terms=QUARREL)).when(decline()).refused("ReportAlreadyFiled")
    given(held(), on(FIRST.report, WITHDRAWN)).when(admit()).refused("ReportAlreadyWithdrawn")
    given().when(decline()).refused("NoSuchReport")


def test_a_held_report_is_decided_in_its_own_unit() -> None:
    given(held()).when(admit(FOREIGN_DISPATCHER)).refused("OutsideYourUnit")
    given(held()).when(decline(FOREIGN_DISPATCHER)).refused("OutsideYourUnit")


# -- withdrawing -----------------------------------------------------------------------------------------------------


def test_withdrawing_before_filing_leaves_a_tombstone_and_the_later_filing_does_nothing() -> None:
    spec = given().when(withdraw()).then(on(FIRST.report, WITHDRAWN))
    spec.when(file_report(), command_id="file").nothing_happens()


def test_a_strangers_tombstone_stops_nobodys_report() -> None:
    stranger = on(FIRST.report, WITHDRAWN.model_copy(update={"reporter": OTHER_RIDER.person}))
    given(stranger).when(file_report(), at=0).then(filed(), dispatched())


def test_a_held_report_can_be_withdrawn() -> None:
    spec = given(held()).when(withdraw()).then(on(FIRST.report, WITHDRAWN))
    assert spec.cell.held == {}
    spec.when(withdraw(), command_id="again").nothing_happens()


def test_the_case_goes_on_if_others_reported_it_too() -> None:
    spec = given(*IN_HAND, attached()).when(withdraw()).then(WITHDRAWN)
    assert (spec.case.reporters, spec.case.status) == ((OTHER_RIDER.person,), Status.ACCEPTED)


def test_a_case_whose_only_reporter_withdraws_is_void() -> None:
    spec = given(*IN_HAND).when(withdraw()).brings(e.ReportWithdrawn, e.CaseVoided)
    assert spec.case.status is Status.VOIDED
    assert spec.case.window_ends == minute(60) + timedelta(days=7)
    spec.when(withdraw(), command_id="again").nothing_happens()


def test_only_its_reporter_withdraws_a_report_and_not_after_the_end() -> None:
    given(*IN_QUEUE).when(withdraw(OTHER_RIDER)).refused("NotYourReport")
    given(held()).when(withdraw(OTHER_RIDER)).refused("NotYourReport")
    given(*CLOSED).when(withdraw()).refused("CaseAlreadyClosed")
    given(*CLOSED, e.CaseArchived(reporters=())).when(withdraw()).refused("CaseAlreadyArchived")
    given(held(), DECLINED).when(withdraw()).refused("ReportAlreadyDeclined")


def test_a_held_report_belongs_to_its_reporter_however_long_it_waits() -> None:
    late = after(REPORT_MEMORY.total_seconds() / 60 + 1, filed(SECOND, place=east(400)), SECOND_CASE)
    spec = given(held(), late)
    assert len(spec.cell.reports) == 1
    spec.when(withdraw(OTHER_RIDER)).refused("NotYourReport")


def test_reports_are_remembered_for_ninety_days() -> None:
    ninety = REPORT_MEMORY.total_seconds() / 60
    then = given(*IN_QUEUE, after(ninety, held(SECOND)), after(ninety + 5, held(report("third"))))
    assert len(then.cell.reports) == 2


# -- detaching -------------------------------------------------------------------------------------------------------


def test_a_detached_report_is_filed_as_a_case_of_its_own_with_the_clock_of_its_receipt() -> None:
    spec = given(*IN_QUEUE, attached()).when(detach(), at=60)
    spec.brings(e.ReportDetached, e.CaseFiled, e.CaseDispatched)
    own = spec.cell.cases[SECOND_CASE]
    assert (own.reports, own.received_at, own.handling_due) == ((SECOND,), minute(5), HANDLE_DUE + timedelta(minutes=5))
    assert spec.case.reports == (FIRST,)
    spec.when(detach(), command_id="command").nothing_happens()


def test_a_detached_report_may_join_another_case_but_never_the_one_it_left() -> None:
    neighbour = on(SECOND_CASE, filed(report("neighbour"), place=east(40)))
    spec = given(*IN_QUEUE, neighbour, attached()).when(detach())
    spec.brings(e.ReportDetached, e.ReportAttached)
    assert SECOND in spec.cell.cases[SECOND_CASE].reports


def test_the_last_report_of_a_case_and_a_report_of_another_case_cannot_be_detached() -> None:
    given(*IN_QUEUE).when(detach(FIRST.report)).refused("LastReportOfCase")
    given(*IN_QUEUE, attached()).when(detach(report("elsewhere").report)).refused("ReportNotInCase")


def test_after_the_first_report_leaves_the_next_is_the_first() -> None:
    spec = given(*IN_HAND, attached()).when(detach(FIRST.report), at=10)
    assert spec.case.reports[0] == SECOND
