"""The HTTP application."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Response

from domain.calendar import WorkingCalendar
from infra.database import Reads
from infra.http import commands, indicators, queries, reports
from infra.http.edge import Edge, Node, TheEdge, keep_trace
from infra.http.limits import BodyLimits
from infra.http.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, SCHEMA, install
from infra.identity import Identity
from infra.indicators import Indicators
from infra.keystore import KeyStore

HOLIDAY_TABLE_NOTICE = timedelta(days=60)
"""How long before its end the holiday table is worth a warning."""

health = APIRouter(tags=["health"])


@health.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@health.get("/readyz")
async def readyz(edge: TheEdge, response: Response) -> dict[str, Any]:
    """Whether reports and commands are taken now; 503 with what is wrong."""
    problems = edge.node.problems()
    if problems:
        response.status_code = 503
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    net = edge.node.directory.net
    return {
        "status": "waiting" if problems else "ok",
        "problems": problems,
        "warnings": warnings(edge.node.directory.calendar, edge.node.now()),
        "time": edge.node.now(),
        "lag_records": edge.node.lag_records(),
        "directory": edge.node.directory.version,
        "net": {"name_zh": net.name_zh, "name_en": net.name_en, "synthetic": net.synthetic},
    }


def warnings(calendar: WorkingCalendar, now: datetime) -> list[str]:
    """What does not stop anything yet, but will be wrong soon."""
    if (now + HOLIDAY_TABLE_NOTICE).year <= calendar.last_year:
        return []
    if not calendar.holidays:
        return ["没有节假日表 · there is no holiday table; weekdays count"]
    last = calendar.last_year
    return [f"节假日表止于 {last} 年 · the holiday table ends with {last}; beyond it weekdays count"]


@health.get("/.well-known/jwks.json")
async def jwks(edge: TheEdge) -> dict[str, Any]:
    """The key with which bearer tokens are verified (RFC 7517)."""
    return edge.identity.jwks()


PROBLEM = {"description": "A problem", "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


class Documented(FastAPI):
    """Describes its errors as what they are."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document."""
        if self.openapi_schema is None:
            super().openapi()["components"]["schemas"]["Problem"] = dict(SCHEMA)
        return super().openapi()


def create_app(node: Node, reads: Reads, numbers: Indicators, identity: Identity, keys: KeyStore) -> FastAPI:
    """The application over one node."""
    app = Documented(
        title="Beeline 蜂线",
        version=version("beeline"),
        summary="网格化治理事件上报 · Issue reporting for grid governance",
        description="Errors are RFC 9457 problems whose `errors` point at the fields. Times are UTC.",
        redoc_url=None,
        responses={"4XX": PROBLEM, 503: PROBLEM},
        dependencies=[Depends(keep_trace)],
    )
    app.state.edge = Edge(node, reads, numbers, identity, keys)
    install(app)
    for router in (reports.router, commands.router, queries.router, indicators.router, health):
        app.include_router(router)
    app.add_middleware(BodyLimits)
    return app
