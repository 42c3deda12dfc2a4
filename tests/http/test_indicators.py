"""Numbers over HTTP: what an answer says, who may ask about what, and what is wrong with a question."""

from __future__ import annotations

from typing import Any

import pytest

from domain.message import Role
from domain.net import Level, UnitKind
from projections.indicators.definitions import INDICATORS
from tests.http.city import NET, City

pytestmark = pytest.mark.asyncio(loop_scope="module")

CITY_UNIT = NET.units[0].code
TEAM = next(unit.code for unit in NET.units if unit.kind is UnitKind.TEAM)


def administrator(city: City) -> str:
    return city.token("root", Role.ADMINISTRATOR)


async def numbers(city: City, name: str, token: str = "", **asked: str) -> dict[str, Any]:
    """An answer that must be given."""
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    answer = await city.get(f"/v1/indicators/{name}?{query}", token or administrator(city))
    assert answer.status == 200, answer
    return dict(answer.body)


async def test_every_definition_is_described(city: City) -> None:
    described = (await city.get("/v1/indicators", city.rider())).body
    versions = [(each["name"], version["version"]) for each in described for version in each["versions"]]
    assert versions == [(each.name, each.version) for each in INDICATORS]
    on_time = next(each for each in described if each["name"] == "on_time_rate")["versions"]
    assert [("month" in version["dimensions"], version["unit"]) for version in on_time] == [
        (True, "percent"),
        (True, "percent"),
        (True, "percent"),
        (False, "percent"),
    ]
    assert all(on_time[0][key] for key in ("name_zh", "name_en", "definition_zh", "definition_en"))


async def test_an_answer_says_all_that_it_takes_to_defend_it(city: City) -> None:
    await city.filed(category="H-0101")
    await city.filed(category="C-0101")
    assert await city.node.host.caught_up(5)
    told = await numbers(city, "filing_rate", by="family")
    assert (told["indicator"], told["version"], told["unit"]) == ("filing_rate", "v1", "percent")
    assert (told["period"], told["start"], told["end"]) == ("2026-03", "2026-02-28T16:00:00Z", "2026-03-31T16:00:00Z")
    assert (told["zone"], told["as_of"], told["provisional"]) == ("Asia/Shanghai", "2026-03-31T16:01:00Z", True)
    assert (told["complete_until"], told["lag_records"], told["lag_seconds"]) == ("2026-03-02T04:00:00Z", 0, 0)
    lines = {line["key"]["family"]: line["measures"] for line in told["lines"]}
    assert lines["hazard"]["filed"] >= 1 <= lines["civility"]["filed"]
    assert told["names"]["family"]["hazard"] == {"zh": "安全隐患", "en": "Safety hazard"}
    assert sum(told["position"].values()) > 0


async def test_an_ended_period_is_not_provisional_and_empty_ones_have_no_number(city: City) -> None:
    told = await numbers(city, "closing_rate", period="2026-02")
    assert (told["provisional"], told["lines"][0]["value"]) == (False, None)


async def test_backlog_without_a_period_is_the_one_of_now(city: City) -> None:
    case_id = await city.filed()
    assert await city.node.host.caught_up(5)
    told = await numbers(city, "backlog", by="grid")
    assert (told["as_of"], told["provisional"]) == ("2026-03-02T04:00:00Z", True), "the instant is not over yet"
    grid = await city.unit_of(case_id)
    assert next(line for line in told["lines"] if line["key"]["grid"] == grid)["value"] >= 1
    assert told["names"]["grid"][grid]["zh"]
    assert (await numbers(city, "backlog", period="2026-03"))["as_of"] == "2026-03-31T16:01:00Z"


async def test_a_read_waits_for_ones_own_write(city: City) -> None:
    before = (await numbers(city, "filing_rate"))["lines"][0]["measures"]["submitted"]
    taken = await city.post("/v1/reports", city.report(), city.rider())
    after = await city.get(
        "/v1/indicators/filing_rate", administrator(city), beeline_after=taken.headers["beeline-position"]
    )
    assert after.body["lines"][0]["measures"]["submitted"] == before + 1
    assert after.headers["beeline-lag-records"].isdecimal()


# -- who may ask about what --------------------------------------------------------------------------------------------


async def test_staff_ask_about_their_own_units_and_administrators_about_all(city: City) -> None:
    case_id = await city.filed()
    grid = await city.unit_of(case_id)
    community, street = city.above(grid, Level.COMMUNITY), city.above(grid, Level.STREET)
    assert await city.node.host.caught_up(5)
    for role in (Role.SUPERVISOR, Role.DISPATCHER, Role.INSPECTOR):
        told = await numbers(city, "backlog", city.staff(role, community))
        assert told["filters"] == {"community": community}
        assert told["names"]["community"][community]["zh"]
    supervisor = city.staff(Role.SUPERVISOR, street)
    whole = (await numbers(city, "backlog", supervisor))["lines"][0]["value"]
    part = await numbers(city, "backlog", supervisor, unit=grid)
    assert part["filters"] == {"grid": grid}
    assert 1 <= part["lines"][0]["value"] <= whole
    assert (await numbers(city, "backlog", supervisor, unit=TEAM))["filters"] == {"unit": TEAM}
    assert (await numbers(city, "backlog", city.staff(Role.DISPATCHER, CITY_UNIT)))["filters"] == {}
    assert (await numbers(city, "backlog"))["filters"] == {}
    assert (await numbers(city, "backlog", unit=community))["filters"] == {"community": community}


async def test_nobody_asks_beyond_their_units(city: City) -> None:
    community, other = (unit.code for unit in NET.units if (unit.kind, unit.level) == (UnitKind.AREA, Level.COMMUNITY))
    supervisor = city.staff(Role.SUPERVISOR, community)
    for unit in (other, CITY_UNIT, city.above(community, Level.STREET)):
        answer = await city.get(f"/v1/indicators/backlog?unit={unit}", supervisor)
        assert (answer.status, answer.body["reason"], answer.pointers) == (403, "OutsideYourUnit", ["/query/unit"])
    for role in (Role.REPORTER, Role.GRID_WORKER, Role.MEDIATOR):
        answer = await city.get("/v1/indicators/backlog", city.staff(role, community))
        assert (answer.status, answer.body["reason"]) == (403, "RoleNotAllowed")
    homeless = await city.get("/v1/indicators/backlog", city.token("s", Role.SUPERVISOR))
    assert (homeless.status, homeless.pointers) == (404, ["/query/unit"])
    for path in ("/v1/indicators", "/v1/indicators/backlog"):
        assert (await city.get(path)).status == 401


# -- what is wrong with a question -------------------------------------------------------------------------------------

WRONG = {
    "nonsense": (404, "/path/name", "on_time_rate"),
    "on_time_rate?version=v9": (422, "/query/version", "v1, v2, a, b"),
    "backlog?period=soon": (422, "/query/period", "2026-W48"),
    "backlog?as_of=2026-06-30": (422, "/query/as_of", "zone"),
    "backlog?unit=nowhere": (404, "/query/unit", "nowhere"),
    "backlog?family=nothing": (422, "/query/family", "civility, dispute, hazard"),
    "backlog?category=nothing": (422, "/query/category", "H-0101"),
    "backlog?by=colour": (422, "/query/by", "district, street"),
    "backlog?by=month": (422, "/query/by", "worker"),
    "points?worker=li": (422, "/query/worker", "month"),
    f"backlog?worker={'x' * 81}": (422, "/query/worker", "80"),
}


@pytest.mark.parametrize("question", WRONG)
async def test_a_wrong_question_points_at_the_field_and_says_what_there_is(city: City, question: str) -> None:
    status, pointer, word = WRONG[question]
    answer = await city.get(f"/v1/indicators/{question}", administrator(city))
    assert (answer.status, answer.pointers) == (status, [pointer]), answer
    assert word in answer.body["errors"][0]["detail"]


async def test_staff_who_name_an_unknown_unit_are_told_that_there_is_none(city: City) -> None:
    answer = await city.get("/v1/indicators/backlog?unit=nowhere", city.staff(Role.SUPERVISOR, CITY_UNIT))
    assert (answer.status, answer.pointers) == (404, ["/query/unit"])
