"""What the routes share: the node behind them, who is asking, and how long they wait."""

from __future__ import annotations

import asyncio
import re
from asyncio import Future
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Depends, Header, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.directory import Directory
from domain.message import Actor, Role
from domain.policy import Right, may_ask
from infra.database import Reads
from infra.embedded.log import Place
from infra.http.problems import Problem, invalid, refused, unavailable
from infra.identity import Identity, InvalidToken
from infra.indicators import Indicators
from infra.keystore import KeyStore
from infra.projecting import Cut
from streams.record import NewRecord, Record, Topic

CATCH_UP_SECONDS = 2.0
"""How long a read waits for the read models before it says that something does not exist."""
DEFAULT_WAIT_SECONDS = 5.0
MAX_WAIT_SECONDS = 30.0
AWAITED = frozenset({Topic.REPORT_EVENTS, Topic.CASE_COMMANDS, Topic.RIDER_COMMANDS})
"""Topics that clients write to."""
POSITION = re.compile(r"([a-z0-9._]+)/([0-9]{1,4})/([0-9]{1,18})")


class Log(Protocol):
    """What the edge needs of the log beside writing."""

    def end(self, topic: Topic, partition: int) -> int:
        """The offset that the next record will have."""


class Node(Protocol):
    """What the edge needs of its host."""

    @property
    def log(self) -> Log:
        """The log itself."""

    @property
    def directory(self) -> Directory:
        """The directory of the moment."""

    @property
    def partitions(self) -> int:
        """Partitions of the log's topics."""

    def now(self) -> datetime:
        """The log's clock."""

    async def append(self, records: Sequence[NewRecord]) -> list[Place]:
        """Into the log; raises `LogUnavailable`."""

    def expect(self, command_id: str) -> AbstractContextManager[Future[Record]]:
        """A future of the commit that answers a command; enter before the command is appended."""

    async def projected(self, topic: Topic, partition: int, offset: int, timeout_seconds: float) -> bool:
        """Wait until the read models have passed an input record."""

    async def caught_up(self, timeout_seconds: float) -> bool:
        """Wait until the read models hold all that the log holds."""

    def cut(self) -> Cut:
        """The log and the read models of this moment."""

    def lag_records(self) -> int:
        """Records that the read models do not hold yet."""

    def problems(self) -> list[str]:
        """What is wrong or not ready now."""


@dataclass(frozen=True)
class Edge:
    """Everything a route may use."""

    node: Node
    reads: Reads
    numbers: Indicators
    identity: Identity
    keys: KeyStore


def edge_in(request: Request) -> Edge:
    """The application's edge."""
    found = request.app.state.edge
    if not isinstance(found, Edge):
        raise TypeError("the application was made without an edge")
    return found


async def edge_of(request: Request) -> Edge:
    """`edge_in` as a dependency; a coroutine, because FastAPI sends plain functions to a thread."""
    return edge_in(request)


TheEdge = Annotated[Edge, Depends(edge_of)]

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="`beeline token --role … --unit …` makes one")


async def actor_of(
    edge: TheEdge, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Actor:
    """Who is asking; a 401 problem where nobody says."""
    headers = {"WWW-Authenticate": 'Bearer realm="beeline"'}
    if credentials is None:
        raise Problem(401, "unauthorized", "send Authorization: Bearer …", headers=headers)
    try:
        return edge.identity.verify(credentials.credentials)
    except InvalidToken as error:
        raise Problem(401, "unauthorized", str(error), headers=headers) from error


TheActor = Annotated[Actor, Depends(actor_of)]


async def key_ready(edge: Edge, person: str) -> None:
    """Make a new person's key off the event loop: it waits for the disk. Raises `KeysUnavailable`."""
    if edge.keys.find(person) is None:
        await asyncio.to_thread(edge.keys.ensure, person)


def require(actor: Actor, right: Right, what: str, *, at: str | None = None) -> None:
    """A 403 problem, which points ``at`` a field, unless one of the actor's roles has the right."""
    if not may_ask(actor, right):
        roles = ", ".join(sorted(role.value for role in right.roles if role is not Role.SYSTEM))
        errors = [] if at is None else [(at, f"none of your roles may ask for {what}")]
        raise refused("RoleNotAllowed", f"{what}: {roles or 'nobody'}", errors=errors)


async def wait_seconds(
    prefer: Annotated[str, Header(description="RFC 7240: `wait=N` or `respond-async`")] = "",
) -> float | None:
    """How long the client wants to wait for an outcome; 0: not at all, None: it does not say."""
    for preference in prefer.lower().split(","):
        name, _, value = preference.partition(";")[0].strip().partition("=")
        if name == "respond-async":
            return 0.0
        if name == "wait":
            if value and not value.strip().isdecimal():
                raise invalid(("/headers/prefer", "wait=N takes whole seconds"))
            return min(float(value or DEFAULT_WAIT_SECONDS), MAX_WAIT_SECONDS)
    return None


TheWait = Annotated[float | None, Depends(wait_seconds)]

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
TRACE: ContextVar[str] = ContextVar("trace", default="")
"""The request's trace (W3C Trace Context), which everything that follows from it carries on; empty where it has none."""


async def keep_trace(
    traceparent: Annotated[str, Header(description="W3C Trace Context; copied on through the log")] = "",
) -> None:
    """Remember the request's trace; one that is not well formed is no trace."""
    TRACE.set(traceparent if TRACEPARENT.fullmatch(traceparent) else "")


async def fresh_read(
    edge: TheEdge,
    response: Response,
    beeline_after: Annotated[str, Header(description="`topic/partition/offset` of a write to wait for")] = "",
) -> None:
    """Wait for one's own write, and say how far the read models are behind the log."""
    if beeline_after:
        topic, partition, offset = _place(beeline_after, edge.node.partitions)
        if not await edge.node.projected(topic, partition, offset, DEFAULT_WAIT_SECONDS):
            raise unavailable(f"the read models have not passed {beeline_after} yet")
    response.headers["Beeline-Lag-Records"] = str(edge.node.lag_records())


FreshRead = Depends(fresh_read)


def _place(text: str, partitions: int) -> tuple[Topic, int, int]:
    found = POSITION.fullmatch(text)
    if found is not None and found[1] in AWAITED and int(found[2]) < partitions:
        return Topic(found[1]), int(found[2]), int(found[3])
    raise invalid(("/headers/beeline-after", "give the Beeline-Position of a write: topic/partition/offset"))


def position_text(place: Place) -> str:
    """The value of `Beeline-Position`."""
    return f"{place.topic}/{place.partition}/{place.offset}"
