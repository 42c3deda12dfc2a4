"""What the edge turns away: always a problem, always with the field."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.message import Role
from domain.policy import COMMANDS
from tests.http.city import NOON, City

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGES = {
    "tomorrow": NOON + timedelta(days=1, minutes=1),
    "last season": NOON - timedelta(days=91),
}
BAD_FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("/category", {"category": "H-9999"}),
    ("/category", {"category": 7}),
    ("/category", {"category": "x" * 33}),
    ("/place/lon", {"place": {"lon": 180.1, "lat": 22.5}}),
    ("/place/lon", {"place": {"lon": float("nan"), "lat": 22.5}}),
    ("/place/lon", {"place": {"lon": float("inf"), "lat": 22.5}}),
    ("/place/lon", {"place": {"lon": "114.05", "lat": 22.5}}),
    ("/place/lat", {"place": {"lon": 114.05, "lat": -90.5}}),
    ("/place/lat", {"place": {"lon": 114.05, "lat": True}}),
    ("/place/lat", {"place": {"lon": 114.05}}),
    ("/place/crs", {"place": {"lon": 114.05, "lat": 22.5, "crs": "epsg4326"}}),
    ("/place/altitude", {"place": {"lon": 114.05, "lat": 22.5, "altitude": 7}}),
    ("/place", {"place": {"lon": -180, "lat": 0, "crs": "bd09"}}),
    ("/place", {"place": [114.05, 22.5]}),
    ("/occurred_at", {"occurred_at": (NOON + timedelta(seconds=61)).isoformat()}),
    ("/occurred_at", {"occurred_at": (NOON - timedelta(days=7, seconds=1)).isoformat()}),
    ("/occurred_at", {"occurred_at": "2026-03-02T12:00:00"}),
    ("/occurred_at", {"occurred_at": "2026-03-02"}),
    ("/occurred_at", {"occurred_at": 1772424000}),
    ("/occurred_at", {"occurred_at": "0001-01-01T00:00:00+14:00"}),
    ("/occurred_at", {"occurred_at": "9999-12-31T23:59:59-14:00"}),
    ("/occurred_at", {"occurred_at": "yesterday"}),
    ("/id", {"id": "garbage"}),
    ("/id", {"id": str(uuid4())}),
    ("/id", {"id": 7}),
    ("/id", {"id": "ffffffff-ffff-7fff-bfff-ffffffffffff"}),
    ("/id", {"id": "00000000-0000-7000-8000-000000000000"}),
    ("/description", {"description": "长" * 4001}),
    ("/description", {"description": "x" * 5_000_000}),
    ("/description", {"description": "half a letter \ud800"}),
    ("/contact/phone", {"contact": {"phone": "1" * 41}}),
    ("/contact/passport", {"contact": {"passport": "E1"}}),
    ("/media", {"media": ["photo"] * 10}),
    ("/media/0", {"media": ["p" * 201]}),
    ("/reporter", {"reporter": "somebody else"}),
    ("/a~1b~0c", {"a/b~c": 1}),
]


@pytest.mark.parametrize(("pointer", "change"), BAD_FIELDS, ids=lambda value: str(value)[:60])
async def test_a_bad_field_is_pointed_at(city: City, pointer: str, change: dict[str, Any]) -> None:
    answer = await city.post("/v1/reports", city.report(**change), city.rider())
    assert (answer.status, answer.pointers[0]) == (422, pointer), answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["status"] == 422
    assert answer.body["instance"] == "/v1/reports"
    assert "·" in answer.body["title"]


@pytest.mark.parametrize("field", ["id", "category", "occurred_at"])
async def test_a_missing_field_is_pointed_at(city: City, field: str) -> None:
    report = city.report()
    del report[field]
    answer = await city.post("/v1/reports", report, city.rider())
    assert (answer.status, answer.pointers) == (422, [f"/{field}"])


@pytest.mark.parametrize("age", AGES)
async def test_an_id_must_be_of_our_time(city: City, age: str) -> None:
    answer = await city.post("/v1/reports", city.report(id=city.uuid(AGES[age])), city.rider())
    assert (answer.status, answer.pointers) == (422, ["/id"])


async def test_the_edges_of_what_is_taken(city: City) -> None:
    for change in (
        {"occurred_at": (NOON + timedelta(seconds=60)).isoformat()},
        {"occurred_at": (NOON - timedelta(days=7)).isoformat()},
        {"id": city.uuid(NOON + timedelta(days=1))},
        {"id": city.uuid(NOON - timedelta(days=90))},
        {"description": "长" * 4000},
        {"place": {"lon": 180, "lat": 90}},
        {"place": {"lon": -180.0, "lat": -90.0}},
    ):
        answer = await city.post("/v1/reports", city.report(**change), city.rider())
        assert answer.status == 202, (change, answer)


async def test_every_mistake_is_named_at_once_and_near_categories_are_offered(city: City) -> None:
    report = city.report(category="H0101", occurred_at=(NOON + timedelta(days=1)).isoformat())
    answer = await city.post("/v1/reports", report, city.rider())
    assert answer.pointers == ["/category", "/occurred_at"]
    assert "H-0101" in answer.body["errors"][0]["detail"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b'{"id": ', b"\xff\xfe", b"nonsense", b"[" * 100_000, b'{"id":' + b"9" * 5000 + b"}"],
    ids=["empty", "open", "cut", "bytes", "nonsense", "deep", "long number"],
)
@pytest.mark.parametrize("path", ["/v1/reports", "/v1/reports/batch", "/v1/cases/ws10k8-1/commands"])
async def test_broken_json_is_a_bad_request(city: City, path: str, raw: bytes) -> None:
    token = city.token("both", Role.REPORTER, Role.GRID_WORKER)
    answer = await city.post(path, raw, token)
    expected = (400, 422) if raw == b"" else (400,)  # an empty body is a missing one
    assert answer.status in expected, answer
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [[], 7, "text", None, {"reports": []}, {"reports": {}}, {}])
async def test_a_batch_is_a_list_of_reports(city: City, body: Any) -> None:
    answer = await city.post("/v1/reports/batch", body, city.rider())
    assert (answer.status, answer.pointers) == (422, ["/reports"])


async def test_a_batch_has_an_end(city: City) -> None:
    answer = await city.post("/v1/reports/batch", {"reports": [city.report()] * 101}, city.rider())
    assert (answer.status, answer.pointers) == (422, ["/reports"])
    assert "101" in answer.body["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "jsonish"])
async def test_only_json_is_read(city: City, kind: str) -> None:
    answer = await city.post("/v1/reports", city.report(), city.rider(), content_type=kind)
    assert (answer.status, answer.body["type"]) == (415, "urn:beeline:problem:unsupported-media-type")


async def test_a_body_that_is_too_large_is_not_read(city: City) -> None:
    announced = await city.post("/v1/reports", b"{}", city.rider(), content_length="99999999")
    assert (announced.status, announced.body["type"]) == (413, "urn:beeline:problem:too-large")
    silent = await city.post("/v1/reports", b"x" * 17_000_000, city.rider())
    assert silent.status == 413


async def test_unknown_paths_and_methods_are_problems_too(city: City) -> None:
    assert (await city.get("/v1/nothing")).body["type"] == "urn:beeline:problem:not-found"
    wrong = await city.send("DELETE", "/v1/reports", None, city.rider())
    assert (wrong.status, wrong.body["type"]) == (405, "urn:beeline:problem:method-not-allowed")
    assert set(wrong.headers["allow"].split(", ")) <= {"GET", "POST"}


@pytest.mark.parametrize("authorization", ["", "Basic YTpi", "Bearer", "Bearer x.y.z"])
async def test_who_does_not_say_who_they_are_is_asked_to(city: City, authorization: str) -> None:
    headers = {"authorization": authorization} if authorization else {}
    for answer in (await city.post("/v1/reports", city.report(), **headers), await city.get("/v1/reports", **headers)):
        assert (answer.status, answer.body["type"]) == (401, "urn:beeline:problem:unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_who_may_not_report_is_told_who_may(city: City) -> None:
    answer = await city.post("/v1/reports", city.report(), city.staff(Role.INSPECTOR, city.grids[0]))
    assert (answer.status, answer.body["reason"]) == (403, "RoleNotAllowed")
    assert "reporter" in answer.body["detail"]


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/reports?limit=0", "/query/limit"),
        ("/v1/reports?limit=many", "/query/limit"),
        ("/v1/reports?before=2026-03-02T12:00:00", "/query/before"),
        ("/v1/units/990101001001001/queue?after=rubbish", "/query/after"),
        ("/v1/units/990101001001001/queue?after=2026-13-45T00:00:00.00~-1~ws10k8-1", "/query/after"),
        ("/v1/units/990101001001001/queue?after=9999-12-31T23:59:59-14:00~-1~ws10k8-1", "/query/after"),
        ("/v1/riders/root/points?before=99999999999999999999", "/query/before"),
        ("/v1/points/board?period=2026-13", "/query/period"),
        ("/v1/points/board?period=2026-Q5", "/query/period"),
        ("/v1/commands/garbage", "/path/command_id"),
    ],
)
async def test_a_bad_question_is_pointed_at(city: City, path: str, pointer: str) -> None:
    answer = await city.get(path, city.token("root", Role.ADMINISTRATOR, Role.REPORTER))
    assert (answer.status, answer.pointers) == (422, [pointer]), answer


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("prefer", "wait=soon"),
        ("prefer", "wait=²"),
        ("prefer", "wait=-1"),
        ("beeline_after", "rubbish"),
        ("beeline_after", "beeline.report.events.v1/0/²"),
        ("beeline_after", "beeline.report.events.v1/99/0"),
        ("beeline_after", "beeline.directory.events.v1/0/0"),
        ("beeline_after", "beeline.report.events.v1/0/" + "9" * 5000),
    ],
)
async def test_a_bad_header_is_pointed_at(city: City, header: str, value: str) -> None:
    if header == "prefer":
        answer = await city.post("/v1/reports", city.report(), city.rider(), **{header: value})
    else:
        answer = await city.get("/v1/reports", city.rider(), **{header: value})
    assert (answer.status, answer.pointers) == (422, [f"/headers/{header.replace('_', '-')}"]), answer


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["id", "category", "place", "occurred_at", "description", "contact", "media", "lon", ""])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(changes=st.dictionaries(FIELDS, JSON, min_size=1, max_size=3))
async def test_whatever_is_sent_is_taken_or_a_problem(city: City, changes: dict[str, Any]) -> None:
    answer = await city.post("/v1/reports", city.report() | changes, city.rider())
    assert answer.status in (202, 400, 422), answer
    if answer.status != 202:
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "instance", "errors"} <= set(answer.body)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(kind=st.sampled_from(sorted(COMMANDS)) | st.text(max_size=5), data=JSON)
async def test_whatever_is_asked_of_a_case_is_answered_by_name(city: City, kind: str, data: Any) -> None:
    token = city.token("everybody", *(role for role in Role if role is not Role.SYSTEM))
    answer = await city.post("/v1/cases/ws10k8-1/commands", {"id": city.uuid(), "type": kind, "data": data}, token)
    assert answer.status in (404, 422), answer
    assert answer.status == 422 or answer.body["reason"] in ("NoSuchCase", "NoSuchReport")
