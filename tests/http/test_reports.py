"""上报 over HTTP: taken once, answered the same way ever after, and shown to those who may see it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from domain.crs import Crs, from_wgs84
from domain.message import Role
from domain.net import Level
from streams.record import Topic
from tests.http.city import NOON, City, city_in

pytestmark = pytest.mark.asyncio(loop_scope="module")


def records(city: City) -> int:
    """Reports in the log."""
    log = city.node.host.log
    return sum(log.end(Topic.REPORT_EVENTS, number) for number in range(log.partitions))


async def test_a_report_is_taken_and_can_be_followed(city: City) -> None:
    report = city.report()
    taken = await city.post("/v1/reports", report, city.rider())
    assert (taken.status, taken.body["status"], taken.body["uuid"]) == (202, "received", report["id"])
    assert taken.body["id"] == f"{taken.body['id'][:6]}-{report['id']}"
    assert taken.headers["location"] == taken.body["url"] == f"/v1/reports/{taken.body['id']}"
    position = taken.headers["beeline-position"]
    assert position.startswith("beeline.report.events.v1/")
    seen = await city.get(taken.headers["location"], city.rider(), beeline_after=position)
    assert (seen.status, seen.body["description"], seen.body["category"]) == (200, "井盖没了", "H-0101")
    assert seen.body["received_at"] == taken.body["received_at"]
    by_uuid = await city.get(f"/v1/reports/{report['id'].upper()}", city.rider())
    assert by_uuid.body["id"] == taken.body["id"]


async def test_who_prefers_to_wait_hears_what_became_of_it(city: City) -> None:
    report = city.report()
    filed = await city.post("/v1/reports", report, city.rider(), prefer="wait=5")
    assert (filed.status, filed.body["status"]) == (202, "filed")
    assert filed.headers["preference-applied"] == "wait=5"
    again = await city.submit(city.report(place=report["place"]), city.rider("r-2"))
    assert (again["status"], again["case_id"]) == ("attached", filed.body["case_id"])
    held = await city.submit(city.report(category="D-0204"))
    assert (held["status"], held["case_id"]) == ("held", None)
    repeated = await city.post("/v1/reports", report, city.rider(), prefer="wait=5")
    assert repeated.body == filed.body


async def test_the_same_id_with_the_same_content_is_the_same_report(city: City) -> None:
    report = city.report(contact={"name": "安", "phone": "13800000000"})
    first = await city.post("/v1/reports", report, city.rider())
    before = records(city)
    second = await city.post("/v1/reports", report, city.rider())
    assert (second.status, second.body) == (202, first.body)
    assert second.headers["beeline-position"] == first.headers["beeline-position"]
    assert records(city) == before


@pytest.mark.parametrize(
    "change",
    [
        {"category": "H-0102"},
        {"description": "井盖没了。"},
        {"description": None},
        {"place": {"lon": 114.0691, "lat": 22.5491}},
        {"place": None},
        {"occurred_at": (NOON - timedelta(minutes=4)).isoformat()},
        {"contact": {"phone": "1"}},
        {"media": ["photo-1"]},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_the_same_id_with_other_content_is_a_contradiction(city: City, change: dict[str, object]) -> None:
    report = city.report()
    assert (await city.post("/v1/reports", report, city.rider())).status == 202
    before = records(city)
    other = {name: value for name, value in (report | change).items() if value is not None}
    answer = await city.post("/v1/reports", other, city.rider())
    assert (answer.status, answer.pointers) == (409, ["/id"])
    assert answer.body["type"] == "urn:beeline:problem:contradiction"
    assert (await city.post("/v1/reports", report, city.rider("somebody else"))).status == 409
    assert records(city) == before


async def test_an_id_sent_many_times_at_once_is_one_report(city: City) -> None:
    report, before = city.report(), records(city)
    other = report | {"place": {"lon": 114.0691, "lat": 22.5491}}
    bodies = [report if number % 2 == 0 else other for number in range(10)]
    answers = await asyncio.gather(*(city.post("/v1/reports", body, city.rider()) for body in bodies))
    statuses = [answer.status for answer in answers]
    assert statuses in ([202, 409] * 5, [409, 202] * 5)  # whichever content came first, it is the report
    assert len({answer.body["id"] for answer in answers if answer.status == 202}) == 1
    assert records(city) == before + 1


async def test_a_phone_that_hangs_up_has_reported_once_all_the_same(city: City) -> None:
    report, before = city.report(), records(city)
    sending = asyncio.create_task(city.post("/v1/reports", report, city.rider()))
    for _ in range(1000):
        await asyncio.sleep(0)
        if city.node.app.state.intake._coming:
            break
    assert sending.cancel()
    assert (await city.post("/v1/reports", report, city.rider())).status == 202
    assert records(city) == before + 1


async def test_a_batch_answers_by_report_and_takes_the_good_ones(city: City) -> None:
    good, twin = city.report(), city.report()
    bad = [city.report(category="H-9999"), city.report(place={"lon": 200, "lat": 0}), 7]
    sent = [good, *bad, twin, good, twin | {"description": "another"}]
    answer = await city.post("/v1/reports/batch", {"reports": sent}, city.rider())
    assert (answer.status, answer.body["accepted"], answer.body["rejected"]) == (200, 3, 4)
    results = answer.body["results"]
    assert [item["status"] for item in results] == [202, 422, 422, 422, 202, 202, 409]
    assert results[0]["report"] == results[5]["report"]
    problems = [results[number]["problem"] for number in (1, 2, 3, 6)]
    pointers = [problem["errors"][0]["pointer"] for problem in problems]
    assert pointers == ["/reports/1/category", "/reports/2/place/lon", "/reports/3", "/reports/6/id"]
    assert problems[0]["instance"] == "/v1/reports/batch#/reports/1"
    bare = await city.post("/v1/reports/batch", [good], city.rider())
    assert bare.body["results"][0]["report"] == results[0]["report"]


async def test_a_report_twice_in_a_batch_points_at_each_place(city: City) -> None:
    bad = city.report(category="H-9999")
    answer = await city.post("/v1/reports/batch", {"reports": [bad, bad]}, city.rider())
    pointers = [item["problem"]["errors"][0]["pointer"] for item in answer.body["results"]]
    assert pointers == ["/reports/0/category", "/reports/1/category"]


async def test_phones_that_shift_the_map_are_put_right_and_keep_what_they_said(city: City) -> None:
    lon, lat = 114.0611, 22.5411
    for crs in (Crs.GCJ02, Crs.BD09):
        shown_lon, shown_lat = from_wgs84(lon, lat, crs)
        report = city.report(place={"lon": shown_lon, "lat": shown_lat, "crs": crs.value})
        await city.submit(report)
        place = (await city.get(f"/v1/reports/{report['id']}", city.rider())).body["place"]
        assert (place["lon"], place["lat"]) == (pytest.approx(lon, abs=2e-7), pytest.approx(lat, abs=2e-7))
        assert (place["crs"], place["original_lon"], place["original_lat"]) == (crs.value, shown_lon, shown_lat)


async def test_a_report_without_a_place_goes_to_the_dispatch_desk(city: City) -> None:
    taken = await city.submit(city.report(place=None))
    assert taken["id"].startswith("aaaaaa-")
    assert (await city.unit_of(taken["case_id"])).endswith("-desk")


async def test_nobody_else_sees_a_report_and_staff_do_not_see_whose_it_is(city: City) -> None:
    report = city.report(contact={"name": "安", "phone": "13800000000"})
    taken = await city.submit(report, city.rider("ann"))
    grid, path = await city.unit_of(taken["case_id"]), taken["url"]
    own = await city.get(path, city.rider("ann"))
    assert own.body["contact"] == {"name": "安", "phone": "13800000000"}
    stranger = await city.get(path, city.rider("bob"))
    assert (stranger.status, stranger.body["reason"]) == (403, "NotYourReport")
    elsewhere = next(code for code in city.grids if code != grid)
    assert (await city.get(path, city.staff(Role.GRID_WORKER, elsewhere))).status == 403
    assert (await city.get(path, city.token("carl", Role.REPORTER, units=(grid,)))).status == 403
    for token in (city.staff(Role.GRID_WORKER, grid), city.staff(Role.DISPATCHER, city.above(grid, Level.DISTRICT))):
        seen = await city.get(path, token)
        assert (seen.status, seen.body["description"], seen.body["contact"]) == (200, "井盖没了", None)
        assert "ann" not in str(seen.body)


async def test_a_report_that_joined_a_case_is_seen_where_the_case_stands(city: City) -> None:
    first = city.report()
    case_id = await city.filed(**first)
    joined = await city.submit(city.report(place=first["place"]), city.rider("r-2"))
    assert joined["status"] == "attached"
    worker = city.staff(Role.GRID_WORKER, await city.unit_of(case_id))
    assert (await city.get(joined["url"], worker)).status == 200


async def test_an_anonymous_report_is_followed_by_the_same_token(city: City) -> None:
    token = city.token("anonymous-8f2c", Role.ANONYMOUS)
    taken = await city.submit(city.report(), token)
    assert (await city.get(taken["url"], token)).body["description"] == "井盖没了"
    assert (await city.get("/v1/reports", token)).body["reports"][0]["id"] == taken["id"]
    withdrawn = await city.ask(taken["id"], "WithdrawReport", token)
    assert (withdrawn.status, withdrawn.body["outcome"]) == (200, "applied")


async def test_my_reports_come_newest_first_and_page_by_page(city: City) -> None:
    rider = city.rider("paging")
    sent = sorted([(await city.submit(city.report(), rider))["id"] for _ in range(3)])  # all in the same instant
    first = await city.get("/v1/reports?limit=2", rider)
    rest = await city.get(f"/v1/reports?limit=2&before={first.body['next']}", rider)
    shown = [report["id"] for report in first.body["reports"] + rest.body["reports"]]
    assert shown == sent[::-1]
    assert rest.body["next"] is None
    assert (await city.get("/v1/reports", city.rider("nobody yet"))).body["reports"] == []


async def test_an_unknown_report_is_not_found(city: City) -> None:
    for identifier in (city.uuid(), f"ws10k8-{city.uuid()}", "garbage"):
        answer = await city.get(f"/v1/reports/{identifier}", city.rider())
        assert (answer.status, answer.body["reason"]) == (404, "NoSuchReport")


async def test_who_was_erased_cannot_be_read_any_more(city: City) -> None:
    report = city.report(contact={"phone": "13800000000"})
    taken = await city.submit(report, city.rider("erased"))
    city.node.keys.destroy("erased")
    seen = await city.get(taken["url"], city.rider("erased"))
    assert seen.body["description"] == seen.body["contact"]["name"] == "已删除 · erased"


async def test_the_log_never_holds_what_a_person_wrote(city: City) -> None:
    secret = "the neighbour with the red door"
    taken = await city.submit(city.report(description=secret, contact={"phone": "13800138000"}), city.rider())
    assert (await city.get(taken["url"], city.rider())).body["description"] == secret
    files = [path for path in city.node.settings.data.iterdir() if path.is_file()]
    assert len(files) > 3
    assert [path.name for path in files if secret.encode() in path.read_bytes()] == []
    assert [path.name for path in files if b"13800138000" in path.read_bytes()] == []


async def test_a_restart_forgets_no_id(tmp_path: Path) -> None:
    async with city_in(tmp_path) as before:
        early, late = before.report(id=before.uuid(NOON - timedelta(days=1))), before.report()
        first = [await before.post("/v1/reports", report, before.rider()) for report in (early, late)]
    async with city_in(tmp_path) as after:
        held = records(after)
        again = [await after.post("/v1/reports", report, after.rider()) for report in (early, late)]
        assert [answer.body for answer in again] == [answer.body for answer in first]
        for report in (early, late):
            other = await after.post("/v1/reports", report | {"place": None}, after.rider())
            assert other.status == 409
        assert records(after) == held
        new = after.report(id=str(UUID(int=UUID(early["id"]).int + 1)), place={"lon": 114.069, "lat": 22.549})
        assert (await after.post("/v1/reports", new, after.rider())).status == 202


async def test_what_is_forgotten_is_found_in_the_read_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.http.intake.MAX_REMEMBERED", 3)
    async with city_in(tmp_path) as city:
        reports = [city.report() for _ in range(8)]
        first = [await city.post("/v1/reports", report, city.rider()) for report in reports]
        assert len(city.node.app.state.intake._lately) == 3
        again = [await city.post("/v1/reports", report, city.rider()) for report in reports]
        assert [answer.body for answer in again] == [answer.body for answer in first]
        assert records(city) == 8
        other = await city.post("/v1/reports", reports[0] | {"place": None}, city.rider())
        assert other.status == 409


async def test_a_trace_goes_with_the_report_to_its_points(city: City) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = await city.post("/v1/reports", city.report(), city.rider("traced"), traceparent=trace)
    assert answer.status == 202
    assert await city.node.host.caught_up(10)
    log = city.node.host.log
    for topic in (Topic.REPORT_EVENTS, Topic.CASE_COMMANDS, Topic.CASE_EVENTS, Topic.RIDER_EVENTS):
        records = [record for n in range(log.partitions_of(topic)) for record in log.read(topic, n, 0, 1000)]
        assert any(trace.encode() in record.value for record in records), topic


async def test_a_trace_that_is_none_is_left_behind(city: City) -> None:
    answer = await city.post("/v1/reports", city.report(), city.rider("untraced"), traceparent="00-xyz")
    assert answer.status == 202
