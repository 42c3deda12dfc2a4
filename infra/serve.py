"""Serving HTTP: one uvicorn in the process's own event loop, stopped by SIGINT or SIGTERM without losing what is in hand."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

GRACE_SECONDS = 5
"""How long running requests may take to end once the server is told to stop."""


class PortInUse(RuntimeError):
    """Something else listens there."""


class Server(uvicorn.Server):
    """Uvicorn that leaves the ending of the process to the one who started it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal, and let the caller clean up after."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


@asynccontextmanager
async def listening(app: FastAPI, host: str, port: int) -> AsyncIterator[asyncio.Task[None]]:
    """Serve ``app`` while the context lasts; the task ends when a signal stops the server. Raises `PortInUse`."""
    listener = _bind(host, port)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=GRACE_SECONDS
    )
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 (uvicorn has only the flag)
            await asyncio.sleep(0.01)
        yield task
    finally:
        server.should_exit = True
        await task
        listener.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # by this asyncio knows to set TCP_NODELAY
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise PortInUse(f"{host}:{port} 无法监听 · cannot be listened on ({error}): choose another --port") from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener
