"""What can be asked, by whom, and what nobody is told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.calendar import WorkingCalendar
from domain.message import Role
from domain.net import Level
from infra.http.app import warnings
from tests.http.city import NET, City

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHOTO = {"photo": "photo-1"}


async def closed(city: City, rider: str) -> tuple[str, str]:
    """A case that has been dealt with: (case, grid)."""
    case_id = await city.filed(city.rider(rider))
    grid = await city.unit_of(case_id)
    worker, inspector = (
        city.staff(Role.GRID_WORKER, grid),
        city.staff(Role.INSPECTOR, city.above(grid, Level.COMMUNITY)),
    )
    await city.ask(case_id, "AcceptDispatch", worker)
    await city.ask(case_id, "CompleteHandling", worker, evidence=PHOTO)
    answer = await city.ask(case_id, "PassInspection", inspector)
    assert answer.status == 200, answer
    assert await city.node.host.caught_up(5)
    return case_id, grid


async def test_a_case_is_shown_with_its_timeline(city: City) -> None:
    case_id, grid = await closed(city, "r-1")
    seen = await city.get(f"/v1/cases/{case_id}", city.staff(Role.GRID_WORKER, grid))
    assert (seen.status, seen.body["synthetic"]) == (200, True)
    case = seen.body["case"]
    assert (case["status"], case["outcome"], case["on_time"], case["grid"]) == ("closed", "resolved", True, grid)
    kinds = [entry["type"].split(".")[1:3] for entry in seen.body["timeline"]]
    assert kinds == [
        ["case", "filed"],
        ["case", "dispatched"],
        ["dispatch", "accepted"],
        ["handling", "completed"],
        ["inspection", "passed"],
        ["case", "closed"],
    ]
    assert [entry["sequence"] for entry in seen.body["timeline"]] == [1, 2, 3, 4, 5, 6]
    assert all(entry["zh"] and entry["en"] for entry in seen.body["timeline"])
    assert seen.headers["beeline-lag-records"] == "0"


async def test_a_case_is_seen_by_its_reporters_and_by_staff_in_reach(city: City) -> None:
    case_id, grid = await closed(city, "ann")
    elsewhere = next(code for code in city.grids if code != grid)
    path = f"/v1/cases/{case_id}"
    for token in (
        city.rider("ann"),
        city.staff(Role.GRID_WORKER, grid),
        city.staff(Role.INSPECTOR, city.above(grid, Level.COMMUNITY)),
        city.staff(Role.SUPERVISOR, city.above(grid, Level.CITY)),
        city.token("root", Role.ADMINISTRATOR),
    ):
        assert (await city.get(path, token)).status == 200
    for token in (
        city.rider("bob"),
        city.staff(Role.GRID_WORKER, elsewhere),
        city.token("carl", Role.REPORTER, units=(grid,)),
    ):
        answer = await city.get(path, token)
        assert (answer.status, answer.body["reason"]) == (403, "OutsideYourUnit")
    unknown = await city.get("/v1/cases/ws10k8-999999", city.rider())
    assert (unknown.status, unknown.body["reason"]) == (404, "NoSuchCase")


async def test_handlers_never_learn_who_reported(city: City) -> None:
    reporter = city.rider("secret-rider")
    case_id, grid = await closed(city, "secret-rider")
    supervisor = city.staff(Role.SUPERVISOR, city.above(grid, Level.STREET))
    assert (await city.ask(case_id, "RateOutcome", reporter, score=4)).status == 200
    assert (await city.ask(case_id, "AddNote", reporter, text="谢谢")).status == 200
    withdrawn = await city.submit(city.report(), reporter)
    assert (await city.ask(withdrawn["id"], "WithdrawReport", reporter)).status == 200
    assert await city.node.host.caught_up(5)
    for case in (case_id, withdrawn["case_id"]):
        seen = await city.get(f"/v1/cases/{case}", supervisor)
        assert seen.status == 200
        assert "secret-rider" not in str(seen.body)
    queue = await city.get(f"/v1/units/{city.above(grid, Level.CITY)}/queue?subtree=true", supervisor)
    assert "secret-rider" not in str(queue.body)


async def test_a_detached_reporter_stays_unknown_to_the_case_they_left(city: City) -> None:
    first = city.report()
    case_id = await city.filed(**first)
    joined = await city.submit(city.report(place=first["place"]), city.rider("left-rider"))
    assert (await city.ask(case_id, "AddNote", city.rider("left-rider"), text="我也看到了")).status == 200
    dispatcher = city.staff(Role.DISPATCHER, await city.unit_of(case_id))
    assert (await city.ask(case_id, "DetachReport", dispatcher, report=joined["id"], reason="另一处")).status == 200
    assert await city.node.host.caught_up(5)
    seen = await city.get(f"/v1/cases/{case_id}", dispatcher)
    assert "我也看到了" in str(seen.body)
    assert "left-rider" not in str(seen.body)


async def test_reporters_see_the_public_part_and_staff_see_all(city: City) -> None:
    case_id, grid = await closed(city, "ann")
    worker = city.staff(Role.GRID_WORKER, grid)
    for text, audience in (("内部: 已联系水务", "staff"), ("已换新井盖", "reporter")):
        assert (await city.ask(case_id, "AddNote", worker, text=text, audience=audience)).status == 200
    assert await city.node.host.caught_up(5)

    async def notes(token: str) -> list[Any]:
        seen = await city.get(f"/v1/cases/{case_id}", token)
        return [entry["note"] for entry in seen.body["timeline"] if entry["note"]]

    assert await notes(worker) == ["内部: 已联系水务", "已换新井盖"]
    assert await notes(city.rider("ann")) == ["已换新井盖"]
    own = await city.get(f"/v1/cases/{case_id}", city.rider("ann"))
    assert own.body["case"]["holder"] is None
    assert "grid_worker-" not in str(own.body), "who works on it is not the reporter's business"


async def test_a_queue_is_its_units_and_the_most_urgent_comes_first(city: City) -> None:
    mild, urgent = await city.filed(category="C-0101"), await city.filed(category="H-0101")
    street = city.above(await city.unit_of(mild), Level.STREET)
    supervisor = city.staff(Role.SUPERVISOR, street)
    whole = await city.get(f"/v1/units/{street}/queue?subtree=true", supervisor)
    items = [item["item"] for item in whole.body["items"]]
    assert items.index(urgent) < items.index(mild)
    dues = [item["due"] for item in whole.body["items"]]
    assert dues == sorted(dues)
    assert (await city.get(f"/v1/units/{street}/queue", supervisor)).body["items"] == [], (
        "grids have queues of their own"
    )
    grid = await city.unit_of(urgent)
    own = await city.get(f"/v1/units/{grid}/queue", city.staff(Role.GRID_WORKER, grid))
    line = next(item for item in own.body["items"] if item["item"] == urgent)
    assert (line["kind"], line["stage"], line["role"], line["severity"]) == ("case", "accept", "owner", 4)
    assert (own.body["unit"], own.body["synthetic"]) == (grid, True)


async def test_a_queue_is_read_page_by_page(city: City) -> None:
    for _ in range(5):
        await city.filed()
    top = NET.units[0].code
    dispatcher = city.staff(Role.DISPATCHER, top)
    whole = (await city.get(f"/v1/units/{top}/queue?subtree=true", dispatcher)).body["items"]
    pages, after = [], ""
    while True:
        page = await city.get(f"/v1/units/{top}/queue?subtree=true&limit=2&after={after}", dispatcher)
        pages += page.body["items"]
        if page.body["next"] is None:
            break
        after = page.body["next"].replace("+", "%2B")
    assert pages == whole
    assert len(whole) >= 5


async def test_a_queue_is_not_for_everybody(city: City) -> None:
    grid, other = city.grids[0], city.grids[1]
    community = city.above(grid, Level.COMMUNITY)
    path = f"/v1/units/{grid}/queue"
    allowed = [
        (path, city.staff(Role.GRID_WORKER, grid)),
        (path, city.staff(Role.DISPATCHER, community)),
        (f"{path}?subtree=true", city.staff(Role.INSPECTOR, city.above(grid, Level.CITY))),
        (path, city.token("root", Role.ADMINISTRATOR)),
    ]
    for where, token in allowed:
        assert (await city.get(where, token)).status == 200
    refused = [
        (path, city.rider(), "RoleNotAllowed"),
        (path, city.staff(Role.GRID_WORKER, other), "OutsideYourUnit"),
        (f"{path}?subtree=true", city.staff(Role.GRID_WORKER, grid), "RoleNotAllowed"),
        (f"/v1/units/{community}/queue?subtree=true", city.staff(Role.DISPATCHER, grid), "OutsideYourUnit"),
    ]
    for where, token, reason in refused:
        answer = await city.get(where, token)
        assert (answer.status, answer.body["reason"]) == (403, reason), where
    assert (await city.get("/v1/units/nowhere/queue", city.staff(Role.DISPATCHER, grid))).status == 404


async def test_points_are_their_riders_own(city: City) -> None:
    case_id, _ = await closed(city, "earner")
    mine = await city.get("/v1/riders/earner/points", city.rider("earner"))
    assert mine.body["balance"]["balance"] == sum(entry["points"] for entry in mine.body["entries"]) > 0
    assert {entry["case_id"] for entry in mine.body["entries"]} == {case_id}
    assert (await city.get("/v1/riders/earner/points", city.rider("bob"))).status == 403
    assert (await city.get("/v1/riders/earner/points", city.token("root", Role.ADMINISTRATOR))).body == mine.body
    newest = await city.get("/v1/riders/earner/points?limit=1", city.rider("earner"))
    rest = await city.get(f"/v1/riders/earner/points?before={newest.body['next']}", city.rider("earner"))
    assert newest.body["entries"] + rest.body["entries"] == mine.body["entries"]
    month, quarter = [
        (await city.get(f"/v1/points/board?period={p}", city.rider())).body for p in ("2026-03", "2026-Q1")
    ]
    assert {"rider": "earner", "points": mine.body["balance"]["balance"]} in month["riders"]
    assert month["riders"] == quarter["riders"]
    assert (await city.get("/v1/points/board?period=2026-04", city.rider())).body["riders"] == []
    nobody = await city.get("/v1/riders/nobody/points", city.rider("nobody"))
    assert (nobody.body["balance"]["balance"], nobody.body["entries"]) == (0, [])


async def test_units_know_what_stands_above_and_under_them(city: City) -> None:
    grid = city.grids[0]
    unit = (await city.get(f"/v1/units/{grid}", city.rider())).body
    assert (unit["level"], unit["synthetic"], unit["children"]) == ("grid", True, [])
    above = (await city.get(f"/v1/units/{unit['parent']}", city.rider())).body
    assert grid in above["children"]
    assert unit["ancestors"] == [above["code"], *above["ancestors"]]
    assert (await city.get("/v1/units/nowhere", city.rider())).status == 404


async def test_the_catalogue_is_public(city: City) -> None:
    catalogue = (await city.get("/v1/catalogue")).body
    assert len(catalogue["families"]) == 3
    manhole = next(category for category in catalogue["categories"] if category["code"] == "H-0101")
    assert manhole["evidence"] == ["photo"]
    assert manhole["name_zh"]
    assert manhole["name_en"]


async def test_the_key_set_verifies_our_tokens(city: City) -> None:
    assert (await city.get("/.well-known/jwks.json")).body == city.node.identity.jwks()


async def test_a_node_says_that_it_lives_and_that_it_is_ready(city: City) -> None:
    assert (await city.get("/healthz")).body == {"status": "ok"}
    ready = await city.get("/readyz")
    assert (ready.status, ready.body["status"], ready.body["problems"]) == (200, "ok", [])
    assert ready.body["net"]["synthetic"] is True


@pytest.mark.parametrize(
    ("holidays", "last_year", "now", "word"),
    [
        ({date(2026, 1, 1)}, 2026, datetime(2026, 10, 31, tzinfo=UTC), ""),
        ({date(2026, 1, 1)}, 2026, datetime(2026, 11, 30, tzinfo=UTC), "ends with 2026"),
        (set(), 1, datetime(2016, 4, 6, tzinfo=UTC), "there is no holiday table"),
    ],
)
async def test_readiness_warns_of_the_end_of_the_holiday_table(
    holidays: set[date], last_year: int, now: datetime, word: str
) -> None:
    calendar = WorkingCalendar(version="test", holidays=frozenset(holidays), last_year=last_year)
    said = warnings(calendar, now)
    assert len(said) == bool(word)
    assert word in "".join(said)


async def test_the_description_is_openapi_3_1_and_names_every_route_and_problem(city: City) -> None:
    document = (await city.get("/openapi.json")).body
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/reports",
        "/v1/reports/batch",
        "/v1/reports/{report_id}",
        "/v1/reports/{report_id}/commands",
        "/v1/cases/{case_id}",
        "/v1/cases/{case_id}/commands",
        "/v1/commands/{command_id}",
        "/v1/units/{code}",
        "/v1/units/{code}/queue",
        "/v1/riders/{rider}/points",
        "/v1/points/board",
        "/v1/catalogue",
        "/v1/indicators",
        "/v1/indicators/{name}",
        "/healthz",
        "/readyz",
        "/.well-known/jwks.json",
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["description"], path
            problem = operation["responses"]["4XX"]["content"]["application/problem+json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/Problem"}
            secured = operation.get("security") == [{"HTTPBearer": []}]
            assert secured == (path.startswith("/v1/") and path != "/v1/catalogue"), path
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
