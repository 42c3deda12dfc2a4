"""Keep-alive HTTP clients that cost the machine little: prepared requests, one at a time on each connection."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

CONNECTIONS = 16
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """The status of an answer, and when its last byte was there (`time.monotonic`)."""

    status: int
    at: float


class WrongAnswer(RuntimeError):
    """The server did not take a request that it has to take."""


class Connection(asyncio.Protocol):
    """Asks one thing after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._received = b""

    @classmethod
    async def to(cls, port: int) -> Connection:
        """Connect to this machine."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def ask(self, request: bytes) -> asyncio.Future[Reply]:
        """Send a whole request; the last one has been answered."""
        if self._transport is None:
            raise ConnectionError("not connected")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """A piece of an answer, which says its length."""
        self._received += data
        head, end, body = self._received.partition(HEAD_END)
        if not end or len(body) < _length(head):
            return
        self._received = b""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Reply(int(head[9:12]), time.monotonic()))

    def connection_lost(self, error: Exception | None) -> None:
        """Whoever waits hears of it."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("the server hung up"))


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def post(path: str, body: object, token: str) -> bytes:
    """A request that asks for an answer at once."""
    content = json.dumps(body, ensure_ascii=False).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nPrefer: respond-async\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def _all(port: int, requests: Sequence[bytes]) -> float:
    waiting = iter(requests)
    connections = [await Connection.to(port) for _ in range(min(CONNECTIONS, len(requests)))]
    began = time.monotonic()
    await asyncio.gather(*(_one_after_the_other(connection, waiting) for connection in connections))
    took = time.monotonic() - began
    for connection in connections:
        connection.close()
    return took


async def _one_after_the_other(connection: Connection, waiting: Iterator[bytes]) -> None:
    for request in waiting:
        accepted(await connection.ask(request))


def accepted(reply: Reply) -> Reply:
    """The reply, if it is a 202; raises `WrongAnswer`."""
    if reply.status != 202:
        raise WrongAnswer(f"answered with {reply.status}, not with 202")
    return reply


def seconds_for(port: int, requests: Sequence[bytes]) -> float:
    """How long it takes until every request has its 202. Raises `WrongAnswer`."""
    return asyncio.run(_all(port, requests))


@contextmanager
def another_process() -> Iterator[ProcessPoolExecutor]:
    """Where clients run: beside the server, not inside whoever watches it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool
