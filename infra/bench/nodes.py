"""Servers in processes of their own: a real `beeline serve`, and the empty route that it is compared with."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from domain.net import Net
from infra.net.files import write_net

READY_SECONDS = 120.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: where its data are, and where it listens."""

    data: Path
    port: int


class NotReady(RuntimeError):
    """The server ended, or did not get ready; the message is what it wrote."""


@contextmanager
def beeline(folder: Path, net: Net) -> Iterator[Served]:
    """`beeline serve` over ``net``, once it takes reports. Raises `NotReady`."""
    data, net_file = folder / "data", folder / "net.json"
    write_net(net, net_file)
    command = [Path(sys.executable).with_name("beeline"), "serve", "--data", data, "--net", net_file]
    with _process(data, command, "/readyz", folder / "beeline.txt") as served:
        yield served


@contextmanager
def empty_route(folder: Path, data: Path) -> Iterator[Served]:
    """`infra.bench.empty` over the same tokens. Raises `NotReady`."""
    command = [sys.executable, "-m", "infra.bench.empty", data]
    with _process(data, command, "/", folder / "empty.txt") as served:
        yield served


@contextmanager
def _process(data: Path, command: Sequence[object], ready: str, written: Path) -> Iterator[Served]:
    port = _free_port()
    with written.open("wb") as output:
        process = subprocess.Popen([*map(str, command), "--port", str(port)], stdout=output, stderr=output)
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}{ready}", written)
        yield Served(data, port)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, written: Path) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > give_up:
            raise NotReady(written.read_text(errors="replace")[-2000:])
        time.sleep(POLL_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=READY_SECONDS):
            return True
    except HTTPError as error:
        error.close()
        return False
    except URLError:
        return False
