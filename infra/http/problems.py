"""RFC 9457: every error is a problem that names itself, points at the field, and says what to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from domain.refusals import refusal_text
from infra.embedded.log import LogUnavailable
from infra.keystore import KeysUnavailable

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
SCHEMA: Mapping[str, Any] = MappingProxyType(
    {
        "title": "Problem",
        "description": "RFC 9457. `reason` names a refusal; `errors` point (RFC 6901) at what is wrong.",
        "type": "object",
        "required": ["type", "title", "status", "instance"],
        "properties": {
            "type": {"type": "string", "format": "uri", "examples": ["urn:beeline:problem:invalid"]},
            "title": {"type": "string", "examples": ["内容有误 · the content is not valid"]},
            "status": {"type": "integer", "examples": [422]},
            "detail": {"type": "string"},
            "instance": {"type": "string", "examples": ["/v1/reports"]},
            "reason": {"type": "string", "examples": ["CaseAlreadyClosed"]},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": {"type": "string", "examples": ["/place/lon"]},
                        "detail": {"type": "string"},
                    },
                },
            },
        },
    }
)
"""A problem, in JSON Schema."""
RETRY_AFTER_SECONDS = 5
MAX_ERRORS = 20
"""Fields named in one problem."""

TITLES = MappingProxyType(
    {
        "bad-request": "请求无法解析 · the request cannot be read",
        "unauthorized": "请先登录 · a bearer token is missing or not valid",
        "not-found": "不存在 · there is no such thing",
        "method-not-allowed": "不支持该方法 · the method is not allowed here",
        "too-large": "内容过大 · the body is too large",
        "unsupported-media-type": "仅接受 JSON · only JSON is accepted",
        "invalid": "内容有误 · the content is not valid",
        "contradiction": "编号已用于其他内容 · the id is known with other content",
        "unavailable": "暂不可用, 请稍后重试 · not available now, try again later",
        "internal": "内部错误 · an internal error",
    }
)
_BY_STATUS = MappingProxyType(
    {
        400: "bad-request",
        401: "unauthorized",
        404: "not-found",
        405: "method-not-allowed",
        413: "too-large",
        503: "unavailable",
    }
)

REFUSAL_STATUS: Mapping[str, int] = MappingProxyType(
    {
        "NoSuchCase": 404,
        "NoSuchReport": 404,
        "CaseAlreadyArchived": 410,
        "RoleNotAllowed": 403,
        "OutsideYourUnit": 403,
        "NotTheHolder": 403,
        "NotYourReport": 403,
        "AssignedToAnother": 403,
        "OwnReport": 403,
        "HandledByYou": 403,
        "EvidenceMissing": 422,
    }
)
"""What a refusal is in HTTP; every other one is a conflict with the state of the case: 409."""


Outage: TypeAlias = LogUnavailable | KeysUnavailable | OperationalError
OUTAGES = (LogUnavailable, KeysUnavailable, OperationalError)


class Problem(Exception):
    """An error that a client can act on. ``errors`` are (JSON pointer, detail)."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str = "",
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        title: str = "",
        **more: Any,
    ) -> None:
        super().__init__(detail or kind)
        self.status, self.kind, self.detail, self.errors = status, kind, detail, tuple(errors)
        self.headers, self.title, self.more = dict(headers or {}), title or TITLES.get(kind, kind), more

    def document(self, instance: str) -> dict[str, Any]:
        """The body."""
        return {
            "type": f"urn:beeline:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            **({"detail": self.detail} if self.detail else {}),
            "instance": instance,
            **(
                {"errors": [{"pointer": pointer, "detail": detail} for pointer, detail in self.errors]}
                if self.errors
                else {}
            ),
            **self.more,
        }

    def under(self, prefix: str) -> Problem:
        """The same problem of a part of a larger request: its pointers begin with ``prefix``."""
        errors = [(prefix + pointer, detail) for pointer, detail in self.errors]
        return Problem(self.status, self.kind, self.detail, errors=errors, title=self.title, **self.more)

    def response(self, request: Request) -> JSONResponse:
        """As it goes out."""
        return JSONResponse(self.document(request.url.path), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def refused(reason: str, detail: str = "", *, errors: Sequence[tuple[str, str]] = ()) -> Problem:
    """A named refusal."""
    status = REFUSAL_STATUS.get(reason, 409)
    return Problem(status, reason, detail, errors=errors, title=refusal_text(reason), reason=reason)


def invalid(*errors: tuple[str, str]) -> Problem:
    """Content that is not valid, by field."""
    return Problem(422, "invalid", f"{errors[0][0] or '/'}: {errors[0][1]}", errors=errors)


def unavailable(detail: str) -> Problem:
    """The node cannot take it now; the client keeps it and comes back."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def outage(error: Outage) -> Problem:
    """What is behind the edge cannot answer now; nothing was written."""
    match error:
        case LogUnavailable():
            what = f"the log takes nothing now: {error}"
        case KeysUnavailable():
            what = f"the key store takes nothing now: {error}"
        case OperationalError():
            what = f"the read models cannot be read now: {error.orig}"
    logger.error("%s", what)
    return unavailable(what)


def pointer(location: Sequence[Any]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def fields_of(errors: Sequence[Any], prefix: Sequence[Any] = ()) -> list[tuple[str, str]]:
    """Pydantic's errors as (pointer, detail)."""
    return [
        (pointer([*prefix, *error["loc"]]), str(error["msg"]).removeprefix("Value error, "))
        for error in errors[:MAX_ERRORS]
    ]


def _within(location: Sequence[Any]) -> list[Any]:
    """Where a mistake is: pointers go into the body; what lies elsewhere says so (``/query/limit``, ``/headers/prefer``)."""
    part, *rest = location
    return rest if part == "body" else ["headers" if part == "header" else part, *rest]


async def _problem(request: Request, problem: Problem) -> JSONResponse:
    return problem.response(request)


async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
    errors = error.errors()
    if any(each["type"] == "json_invalid" for each in errors):
        where = errors[0].get("ctx", {}).get("error", "")
        return Problem(400, "bad-request", f"JSON: {where}", errors=[("", f"not JSON: {where}")]).response(request)
    placed = [{**each, "loc": _within(each["loc"])} for each in errors]
    return invalid(*fields_of(placed)).response(request)


async def _http(request: Request, error: HTTPException) -> JSONResponse:
    kind = _BY_STATUS.get(error.status_code, "bad-request")
    return Problem(error.status_code, kind, str(error.detail), headers=error.headers).response(request)


async def _outage(request: Request, error: Outage) -> JSONResponse:
    return outage(error).response(request)


async def _defect(request: Request, error: Exception) -> JSONResponse:
    logger.exception("a request failed", exc_info=error)
    return Problem(500, "internal").response(request)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    handlers: dict[type[Exception], Any] = {
        Problem: _problem,
        RequestValidationError: _validation,
        HTTPException: _http,
        **dict.fromkeys(OUTAGES, _outage),
        Exception: _defect,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
