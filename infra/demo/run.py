"""Runs the day: the server, the stepped clock, the riders and the people of the grids, minute by minute."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console

from infra.auditing import audit
from infra.bootstrap import Beeline, Settings, running
from infra.city.plan import PART_TIME_EVERY, RIDERS, Sighting, plan, rider_id
from infra.city.players import Players
from infra.demo.client import Phones
from infra.demo.ending import show_day, what_next
from infra.demo.feed import Feed
from infra.demo.plot import write_plot
from infra.demo.tally import Tally
from infra.demo.view import View
from infra.holidays import working_calendar
from infra.serve import listening
from projections.summary import summary
from streams.record import Topic

FIRST_HOUR, LAST_HOUR = 6, 24
TICK_MINUTES = 3
"""Simulated minutes between two looks at the city: what is sent in between goes out together."""
SAMPLE_MINUTES = 15
CATCH_UP_SECONDS = 120.0
MARKER = ".beeline-demo"
"""A folder that holds this file is the demo's own, and may be made anew."""


class DemoError(RuntimeError):
    """The demo cannot run; the message says what to do."""


@dataclass(frozen=True)
class DemoOptions:
    """What can be chosen."""

    seed: int = 7
    day: date | None = None
    reports: int = 3200
    port: int = 8040
    data: Path = Path("data/demo")
    stop_after_day: bool = False
    as_json: bool = False


def next_working_day(today: date) -> date:
    """Today if it is worked, else the next day that is: the log's clock stays near the wall's."""
    calendar = working_calendar()
    while not calendar.is_working_day(today):
        today += timedelta(days=1)
    return today


def fresh_folder(folder: Path) -> None:
    """An empty folder of the demo's own. Raises `DemoError` rather than delete anybody else's."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise DemoError(f"{folder} 不是演示的文件夹 · was not made by the demo: choose another --data")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / MARKER).write_text("beeline demo\n")


class Day:
    """One day of the city."""

    def __init__(self, beeline: Beeline, options: DemoOptions, day: date) -> None:
        self._host, self._options = beeline.host, options
        directory = beeline.host.directory
        self.zone = ZoneInfo(directory.calendar.zone)
        midnight = datetime.combine(day, time(), self.zone)
        self._start, self._end = (midnight + timedelta(hours=hour) for hour in (FIRST_HOUR, LAST_HOUR))
        self._sightings = plan(
            options.seed,
            day,
            directory.net,
            directory.edition,
            reports=options.reports,
            zone=directory.calendar.zone,
        )
        self.tally = Tally(directory.org)
        self._players = Players(options.seed, directory.org, self._end)
        self._feeds = [Feed(beeline.host.log, topic) for topic in (Topic.CASE_EVENTS, Topic.RIDER_EVENTS)]
        self._view = View(directory.net, self.tally, live=sys.stdout.isatty() and not options.as_json)
        grids = directory.net.grids
        part_time = {rider_id(n): grids[n * 47 % len(grids)].code for n in range(0, RIDERS, PART_TIME_EVERY)}
        self.phones = Phones(f"http://127.0.0.1:{options.port}", beeline.identity, part_time)

    async def play(self) -> None:
        """From the first hour to midnight."""
        minutes = int((self._end - self._start) / timedelta(minutes=1))
        async with self.phones:
            with self._view.shown():
                for number in range(TICK_MINUTES, minutes + 1, TICK_MINUTES):
                    now = self._start + timedelta(minutes=number)
                    await self._host.step_to(now)
                    self._look()
                    await self._minute(now)
                    if number % SAMPLE_MINUTES == 0:
                        self.tally.sample(now)
                    self._view.draw(now, number / minutes, self.phones.requests, self.phones.fault_count)
        await self._host.quiesce()
        self._look()

    def _look(self) -> None:
        for feed in self._feeds:
            for event in feed.news():
                self.tally.see(event)
                self._players.see(event)

    async def _minute(self, now: datetime) -> None:
        due = list(self._taken_until(now))
        self.tally.counts["reports"] += len(due)
        for sighting in due:
            self._players.reported(sighting)
        online = [[sighting] for sighting in due if not sighting.is_offline]
        offline = sorted((sighting for sighting in due if sighting.is_offline), key=lambda each: each.rider)
        batches = [list(group) for _, group in groupby(offline, key=lambda each: each.rider)]
        acts = self._players.due(now)
        await asyncio.gather(
            *(self.phones.report(batch) for batch in [*online, *batches]), *(self.phones.act(act) for act in acts)
        )

    def _taken_until(self, now: datetime) -> Iterator[Sighting]:
        while self._sightings and self._sightings[0].sent_at <= now:
            yield self._sightings.pop(0)


async def run_demo(options: DemoOptions) -> int:
    """The whole demo; the exit code. Raises `DemoError`, `PortInUse`, `LogInUse`."""
    day = options.day or next_working_day(datetime.now(ZoneInfo("Asia/Shanghai")).date())
    fresh_folder(options.data)
    notes = Console(stderr=True)
    notes.print("深圳的网格正在生成… · making the net of Shenzhen (合成 · synthetic) …")
    start = datetime.combine(day, time(FIRST_HOUR), ZoneInfo("Asia/Shanghai"))
    settings = Settings(data=options.data, stepped_from=start)
    async with running(settings, timer=False) as beeline, listening(beeline.app, "127.0.0.1", options.port) as server:
        played = Day(beeline, options, day)
        playing = asyncio.create_task(played.play())
        await asyncio.wait({playing, server}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            playing.cancel()
            raise DemoError("中断 · interrupted before the day was over")
        await playing
        code = await _end_of_day(beeline, played, options, notes)
        if not options.stop_after_day:
            beeline.host.log.clock.run()
            beeline.host.start_timer()
            what_next(notes, beeline.identity, options.port, options.data)
            await server
        return code


async def _end_of_day(beeline: Beeline, played: Day, options: DemoOptions, notes: Console) -> int:
    if not await beeline.host.caught_up(CATCH_UP_SECONDS):
        raise DemoError(f"the read models did not catch up: {beeline.host.problems()}")
    totals = await beeline.reads.read(summary)
    found = await asyncio.to_thread(audit, options.data)
    plot = options.data / "day.svg"
    write_plot(plot, played.tally, beeline.host.directory, played.zone)
    show_day(notes, totals, found, played.phones)
    notes.print(f"图 · plot of the day: {plot.resolve()}")
    for fault in played.phones.faults:
        notes.print(f"[red]✗[/red] {fault}", markup=True)
    if options.as_json:
        line = {**totals.model_dump(), "audit": "ok" if found.ok else [str(each) for each in found.findings]}
        print(json.dumps(line, ensure_ascii=False), flush=True)
    return 0 if found.ok and not played.phones.fault_count else 1
