"""What is turned away before anything reads it: bodies that are too large, and bodies that are not JSON."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.http.problems import Problem

MAX_BODY_BYTES = 16 * 1024 * 1024
"""A batch of an offline day fits; and a description that is far too long is still named as such, with its pointer."""

MAX_DRAINED_BYTES = 4 * MAX_BODY_BYTES
"""How much of a body that is too large is read and dropped, so that its sender gets to see the answer."""


class BodyLimits:
    """ASGI middleware: 413 beyond `MAX_BODY_BYTES`, also without a Content-Length; 415 for what is not JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            problem = Problem(
                415, "unsupported-media-type", f"Content-Type is {kind or 'missing'}; send application/json"
            )
            await problem.response(request)(scope, receive, send)
            return
        body = await _read(request, receive)
        if body is None:
            problem = Problem(413, "too-large", f"at most {MAX_BODY_BYTES:,} bytes")
            await problem.response(request)(scope, receive, send)
            return
        delivered = False

        async def replay() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


async def _read(request: Request, receive: Receive) -> bytes | None:
    """The body, or None where it is too large; one that announces far too much is not read at all."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_DRAINED_BYTES:
        return None
    parts, size, more = [], 0, True
    while more and size <= MAX_DRAINED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        piece = message.get("body", b"")
        size += len(piece)
        if size <= MAX_BODY_BYTES:
            parts.append(piece)
        more = message.get("more_body", False)
    return b"".join(parts) if size <= MAX_BODY_BYTES else None
