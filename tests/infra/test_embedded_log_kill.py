"""Kill -9 at any instant: what the log has acknowledged is there afterwards, and nothing is there by half."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from infra.embedded.log import EmbeddedLog, LogReader, Position
from streams.record import NewRecord, Topic

KILLS = 12
PARTITIONS = 4
WRITERS = 20
"""Appends under way at once in the child."""
START_SECONDS_MAX = 30.0
CONSUMER = "counter"


# -- the child: writes until it is killed --------------------------------------------


async def write_for_ever(folder: Path, life: int, acknowledged: int) -> None:
    """Append units of one to five records over the partitions, and say which ones the log has acknowledged."""
    log = EmbeddedLog.open(folder, partitions=PARTITIONS)
    chance, count, first = random.Random(life), 0, log.position(CONSUMER, Topic.CASE_EVENTS, 0)[0]

    async def write() -> None:
        nonlocal count
        while True:
            count += 1
            name, size = f"{life}-{count}", chance.randint(1, 5)
            records = [
                NewRecord(
                    Topic.CASE_COMMANDS,
                    chance.randrange(PARTITIONS),
                    name,
                    b"x" * chance.randrange(3_000),
                    {"part": str(part), "of": str(size)},
                )
                for part in range(size)
            ]
            places = await log.append(records, [Position(CONSUMER, Topic.CASE_EVENTS, 0, first + count)])
            line = json.dumps([name, [[each.partition, each.offset] for each in places]])
            os.write(acknowledged, f"{line}\n".encode())

    await asyncio.gather(*(write() for _ in range(WRITERS)))


# -- the parent: kills it, and looks ---------------------------------------------------


@dataclass(slots=True)
class Stored:
    """What the log holds: of each unit its parts by place, and how many it should have."""

    parts: dict[str, dict[tuple[int, int], int]] = field(default_factory=lambda: defaultdict(dict))
    sizes: dict[str, int] = field(default_factory=dict)


def run_and_kill(folder: Path, life: int, chance: random.Random) -> None:
    """One life of the child: every fourth dies about when it opens the log, the others while they write."""
    told = folder / f"acknowledged-{life}"
    with told.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, __file__, str(folder / "data"), str(life)],
            stdout=output,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            if life % 4:
                wait_for_first_word(told, child)
                time.sleep(chance.uniform(0, 0.2))
            else:
                time.sleep(chance.uniform(0.1, 0.5))
            assert child.poll() is None, "the child died by itself"
        finally:
            child.kill()
            child.wait()


def wait_for_first_word(told: Path, child: subprocess.Popen[bytes]) -> None:
    """Return when something has been acknowledged."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while not told.stat().st_size:
        assert child.poll() is None, "the child died by itself"
        assert time.monotonic() < deadline, "the child does not write"
        time.sleep(0.005)


def stored_in(reader: LogReader) -> Stored:
    """Read the whole log; its offsets have to be dense and its times in order."""
    stored = Stored()
    for partition in range(PARTITIONS):
        records = reader.read(Topic.CASE_COMMANDS, partition, 0, 1_000_000)
        assert [each.offset for each in records] == list(range(reader.end(Topic.CASE_COMMANDS, partition)))
        assert all(earlier.time <= later.time for earlier, later in pairwise(records))
        for each in records:
            stored.parts[each.key][partition, each.offset] = int(each.headers["part"])
            stored.sizes[each.key] = int(each.headers["of"])
    return stored


def check(folder: Path, lives: int) -> int:
    """Everything acknowledged is stored where it was said to be; every unit is whole. How many were acknowledged."""
    with closing(LogReader(folder / "data")) as reader:
        stored, position = stored_in(reader), reader.position(CONSUMER, Topic.CASE_EVENTS, 0)[0]
    for name, parts in stored.parts.items():
        assert sorted(parts.values()) == list(range(stored.sizes[name])), f"{name} is there by half, or twice"
    assert position == len(stored.parts), "the position was not written with its unit"
    told = [line for life in range(lives) for line in whole_lines(folder / f"acknowledged-{life}")]
    for line in told:
        name, places = json.loads(line)
        assert set(stored.parts[name]) == {(partition, offset) for partition, offset in places}, f"{name} is lost"
    return len(told)


def whole_lines(file: Path) -> list[bytes]:
    """The lines that were written to their end."""
    return file.read_bytes().split(b"\n")[:-1]


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_it_acknowledged_and_leaves_nothing_by_half(tmp_path: Path) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance, before = random.Random(seed), 0
    for life in range(KILLS):
        run_and_kill(tmp_path, life, chance)
        if life % 4:
            acknowledged = check(tmp_path, life + 1)
            assert acknowledged > before
            before = acknowledged


if __name__ == "__main__":
    asyncio.run(write_for_ever(Path(sys.argv[1]), int(sys.argv[2]), sys.stdout.fileno()))
