"""Nets that become current on a date, through the embedded host with its stepped clock, and by the command line."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from domain.calendar import WorkingCalendar
from domain.directory import PublishCalendar
from domain.net import Net
from infra.bootstrap import Beeline, Settings, asks_of, publish_missing, running
from infra.cli.main import app
from infra.holidays import working_calendar
from infra.net.files import NetFileError, write_net
from infra.net.synthetic import tessellate
from streams.record import Topic

START = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
"""08:00 on March 2 in Shenzhen."""
SQUARE = [[114.0, 22.5], [114.02, 22.5], [114.02, 22.52], [114.0, 22.52], [114.0, 22.5]]
MARCH_4 = date(2026, 3, 4)
MARCH_4_BEGINS = datetime(2026, 3, 3, 16, tzinfo=UTC)
DIRECTORY_COMMANDS = (Topic.DIRECTORY_COMMANDS, 0)


def town(cell_metres: float) -> Net:
    return tessellate({"type": "Polygon", "coordinates": [SQUARE]}, cell_metres, name="Testville")


OLD, NEW = town(500), town(400)


def node(folder: Path, net: Net | None, net_from: date | None = None) -> Settings:
    return Settings(data=folder, net=net, net_from=net_from, stepped_from=START)


def current(beeline: Beeline) -> str:
    return beeline.host.directory.net.version


async def test_the_host_routes_by_a_scheduled_net_from_midnight_on(tmp_path: Path) -> None:
    async with running(node(tmp_path, OLD), timer=False) as beeline:
        await publish_missing(beeline.host, NEW, MARCH_4)
        assert current(beeline) == OLD.version
        assert beeline.host.directory.coming == {MARCH_4: NEW.version}
        await beeline.host.step_to(MARCH_4_BEGINS - timedelta(seconds=1))
        await beeline.host.quiesce()
        assert current(beeline) == OLD.version
        await beeline.host.step_to(MARCH_4_BEGINS + timedelta(hours=1))
        await beeline.host.quiesce()
        assert current(beeline) == NEW.version
        assert beeline.host.directory.coming == {}


async def test_a_restart_in_between_forgets_nothing_and_publishes_nothing_anew(tmp_path: Path) -> None:
    async with running(node(tmp_path, OLD), timer=False):
        pass
    async with running(node(tmp_path, NEW, MARCH_4), timer=False) as beeline:
        records = beeline.host.log.end(*DIRECTORY_COMMANDS)
    (tmp_path / "snapshots.db").unlink()
    async with running(node(tmp_path, NEW, MARCH_4), timer=False) as beeline:
        assert beeline.host.log.end(*DIRECTORY_COMMANDS) == records
        assert beeline.host.directory.coming == {MARCH_4: NEW.version}
        await beeline.host.step_to(MARCH_4_BEGINS)
        await beeline.host.quiesce()
        assert current(beeline) == NEW.version
    async with running(node(tmp_path, NEW, MARCH_4), timer=False) as beeline:
        assert beeline.host.log.end(*DIRECTORY_COMMANDS) == records + 1  # the timer's
        assert current(beeline) == NEW.version


async def test_a_day_that_has_begun_is_at_once(tmp_path: Path) -> None:
    async with running(node(tmp_path, NEW, date(2026, 3, 2)), timer=False) as beeline:
        assert current(beeline) == NEW.version


async def test_a_city_keeps_the_calendar_of_its_own_zone(tmp_path: Path) -> None:
    boston = WorkingCalendar(version="boston", zone="America/New_York", last_year=2026)
    async with running(node(tmp_path, OLD), timer=False) as beeline:
        assert beeline.host.directory.calendar == working_calendar()
        await beeline.host.ask(asks_of([PublishCalendar(calendar=boston)], beeline.host.now()))
        await beeline.host.quiesce()
    async with running(node(tmp_path, OLD), timer=False) as beeline:
        assert beeline.host.directory.calendar == boston


async def test_a_net_without_grids_does_not_become_current(tmp_path: Path) -> None:
    with pytest.raises(NetFileError, match="no grid"):
        async with running(node(tmp_path, OLD.model_copy(update={"grids": ()})), timer=False):
            pass


def activate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["net", "activate", *map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1"})


def test_the_command_line_activates_at_once_and_for_a_day(tmp_path: Path) -> None:
    write_net(OLD, tmp_path / "old.json")
    write_net(NEW, tmp_path / "new.json")
    at_once = activate(tmp_path / "old.json", "--data", tmp_path / "log")
    assert (at_once.exit_code, OLD.version in at_once.stderr) == (0, True), at_once.output
    later = activate(tmp_path / "new.json", "--data", tmp_path / "log", "--from", "2999-01-01")
    assert later.exit_code == 0, later.output
    assert f"{NEW.version} becomes current when 2999-01-01 begins" in later.stderr


async def test_the_command_line_leaves_a_running_server_alone_and_says_what_to_do(tmp_path: Path) -> None:
    write_net(NEW, tmp_path / "new.json")
    async with running(node(tmp_path / "log", OLD), timer=False):
        arguments = (tmp_path / "new.json", "--data", tmp_path / "log", "--from", "2026-03-04")
        refused = await asyncio.to_thread(activate, *arguments)
    assert refused.exit_code == 2
    assert "beeline serve --net" in refused.stderr
    assert "--net-from 2026-03-04" in refused.stderr
