"""A real `beeline serve` in a process of its own, over a small net."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from domain.message import Role
from domain.net import Net
from infra.identity import Identity
from infra.net.files import write_net
from infra.net.synthetic import tessellate

BEELINE = Path(sys.executable).parent / "beeline"
READY_SECONDS = 60
SQUARE = [[114.0, 22.5], [114.03, 22.5], [114.03, 22.53], [114.0, 22.53], [114.0, 22.5]]


def beeline(*arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the command line and wait for its end."""
    command = [str(BEELINE), *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Server:
    """Starts, kills and asks one server."""

    data: Path
    net: Net
    net_file: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [BEELINE, "serve", "--data", self.data, "--port", self.port, "--net", self.net_file]
        with (self.data.parent / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(list(map(str, command)), stderr=log, stdout=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            assert self.process.poll() is None, (self.data.parent / "serve.log").read_text()
            assert time.monotonic() < deadline, "the server does not get ready"
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz").status == 200
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def token(self, person: str, *roles: Role, units: tuple[str, ...] = ()) -> str:
        return Identity(self.data).issue(person, roles, units)

    def ask(
        self, method: str, path: str, body: object = None, *, token: str = "", raw: bytes | None = None, **headers: str
    ) -> Answer:
        """One HTTP request; refusals are answers, not exceptions."""
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            named["Authorization"] = f"Bearer {token}"
        if content is not None:
            named.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", content, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response.status, json.loads(response.read() or b"null"), dict(response.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.loads(error.read() or b"null"), dict(error.headers))


@pytest.fixture(scope="session")
def small_net() -> Net:
    return tessellate({"type": "Polygon", "coordinates": [SQUARE]}, 400, name="Testville")


@pytest.fixture
def server(tmp_path: Path, small_net: Net) -> Iterator[Server]:
    """A server that is not started yet."""
    net_file = tmp_path / "net.json"
    write_net(small_net, net_file)
    made = Server(tmp_path / "data", small_net, net_file)
    yield made
    made.kill()
