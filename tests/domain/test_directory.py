"""The directory: which net is current when, whatever is asked in whatever order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain import directory
from domain.calendar import WorkingCalendar
from domain.decision import NOTHING, Decision, Refusal
from domain.directory import (
    KEY,
    ActivateNet,
    ActivateScheduledNet,
    DirectoryCommand,
    Documents,
    NetActivated,
    NetScheduled,
    PublishCalendar,
    PublishNetPart,
)
from domain.message import Actor, Envelope, Role, decode_bytes
from domain.net import Net, Outline
from domain.publication import publication
from streams.directory import DirectoryProcessor
from streams.processor import Keyed, StreamHead, fold, step
from tests.domain.smallville import NET

NOON = datetime(2026, 6, 10, 4, tzinfo=UTC)
"""12:00 on June 10 in Shenzhen."""
JUNE_10 = date(2026, 6, 10)


def edition(number: int) -> Net:
    """The net of Smallville, renamed so that it is another one."""
    return NET.model_copy(update={"name_en": f"Smallville {number}"})


def rewritten(net: Net, **changes: Any) -> Net:
    return Net.model_validate(net.model_dump() | changes)


class Town:
    """The directory's processor with its state: what is asked is decided and folded, as every host does it."""

    def __init__(self) -> None:
        self.processor, self.keyed = DirectoryProcessor(), Keyed(Documents())
        self.now = NOON

    @property
    def documents(self) -> Documents:
        return self.keyed.state

    @property
    def current(self) -> str:
        return self.documents.view().net.name_en

    def ask(self, *commands: DirectoryCommand) -> list[str]:
        """The types of the events that come of it; a refusal's name where it is refused."""
        told = []
        for command in commands:
            asked = Envelope("command", "/test", KEY, self.now, command, "correlation")
            answer = step(self.processor, self.keyed, asked, self.now, self.documents.view())
            for raw in answer.encoded if answer.refusal is None else ():
                fold(self.processor, self.keyed, decode_bytes(raw))
            told += (
                [answer.refusal.reason] if answer.refusal else [type(event.data).__name__ for event in answer.events]
            )
        return told

    def publish(self, net: Net, valid_from: date | None = None) -> str:
        """What comes of the activation."""
        return ["", *self.ask(*publication(net, valid_from=valid_from))][-1]

    def wait_until(self, instant: datetime) -> None:
        """Let the timer do its work up to ``instant``."""
        while (due := self.processor.next_instant(self.documents)) is not None and due <= instant:
            self.now = max(self.now, due)
            commands = [each.data for each in self.processor.due(self.documents, self.now)]
            assert commands
            self.ask(*(command for command in commands if isinstance(command, DirectoryCommand)))
        self.now = max(self.now, instant)


def midnight(day: date) -> datetime:
    """The instant at which a day of June 2026 begins in Shenzhen."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=8)


@pytest.mark.parametrize("valid_from", [None, date(2026, 6, 9), JUNE_10])
def test_a_net_without_a_day_or_of_a_day_that_has_begun_is_current_at_once(valid_from: date | None) -> None:
    town = Town()
    assert town.publish(edition(1), valid_from) == "NetActivated"
    assert town.current == "Smallville 1"


def test_a_net_of_a_later_day_is_current_when_that_day_begins_here() -> None:
    town = Town()
    town.publish(edition(1))
    assert town.publish(edition(2), date(2026, 6, 12)) == "NetScheduled"
    assert town.documents.view().coming == {date(2026, 6, 12): edition(2).version}
    assert town.processor.next_instant(town.documents) == datetime(2026, 6, 11, 16, tzinfo=UTC)
    town.wait_until(midnight(date(2026, 6, 12)) - timedelta(seconds=1))
    assert town.current == "Smallville 1"
    town.wait_until(midnight(date(2026, 6, 12)))
    assert town.current == "Smallville 2"
    assert town.documents.coming == {}
    assert town.processor.next_instant(town.documents) is None


def test_a_day_begins_in_the_zone_of_the_calendar() -> None:
    town = Town()
    town.ask(PublishCalendar(calendar=WorkingCalendar(version="boston", zone="America/New_York", last_year=2026)))
    assert town.publish(edition(1), date(2026, 6, 11)) == "NetScheduled"
    assert town.processor.next_instant(town.documents) == datetime(2026, 6, 11, 4, tzinfo=UTC)


def test_the_latest_word_for_a_day_wins_and_other_days_stay() -> None:
    town = Town()
    for number, day in ((1, 12), (2, 14), (3, 12)):
        town.publish(edition(number), date(2026, 6, day))
    town.wait_until(midnight(date(2026, 6, 12)))
    assert town.current == "Smallville 3"
    town.wait_until(midnight(date(2026, 6, 14)))
    assert town.current == "Smallville 2"


def test_what_is_made_current_at_once_stands_for_the_days_that_have_begun_and_not_for_later_ones() -> None:
    town = Town()
    town.publish(edition(1), date(2026, 6, 11))
    town.publish(edition(2), date(2026, 6, 13))
    town.now = midnight(date(2026, 6, 11)) + timedelta(hours=2)  # the timer was late
    assert town.publish(edition(3)) == "NetActivated"
    town.wait_until(midnight(date(2026, 6, 12)))
    assert town.current == "Smallville 3"
    town.wait_until(midnight(date(2026, 6, 13)))
    assert town.current == "Smallville 2"


def test_after_an_outage_over_two_days_the_later_one_counts() -> None:
    town = Town()
    town.publish(edition(1), date(2026, 6, 11))
    town.publish(edition(2), date(2026, 6, 12))
    town.now = midnight(date(2026, 6, 20))
    town.wait_until(town.now)
    assert town.current == "Smallville 2"
    assert town.documents.coming == {}


def test_the_current_net_takes_the_place_of_one_that_was_to_come() -> None:
    town = Town()
    town.publish(edition(1))
    town.publish(edition(2), date(2026, 6, 12))
    assert town.publish(edition(1), date(2026, 6, 12)) == "NetScheduled"
    town.wait_until(midnight(date(2026, 6, 15)))
    assert town.current == "Smallville 1"


def test_publishing_again_what_is_current_or_coming_changes_nothing() -> None:
    town = Town()
    town.publish(edition(1))
    town.publish(edition(2), date(2026, 6, 12))
    assert town.ask(*publication(edition(1))) == []
    assert town.ask(*publication(edition(2), valid_from=date(2026, 6, 12))) == []


def test_a_timer_that_asks_too_early_or_for_what_is_no_longer_planned_changes_nothing() -> None:
    town = Town()
    town.publish(edition(1), date(2026, 6, 12))
    asked = ActivateScheduledNet(net=edition(1).version, valid_from=date(2026, 6, 12))
    assert town.ask(asked) == []
    town.publish(edition(2), date(2026, 6, 12))
    town.now = midnight(date(2026, 6, 12))
    assert town.ask(asked) == []
    assert town.ask(asked.model_copy(update={"net": edition(2).version})) == ["NetActivated"]
    assert town.ask(asked.model_copy(update={"net": edition(2).version})) == []


def decided(documents: Documents, command: DirectoryCommand) -> Decision:
    return directory.decide(documents, Envelope("command", "/test", KEY, NOON, command, "correlation"), NOON)


def test_a_net_that_is_not_whole_or_not_what_it_announces_is_refused() -> None:
    documents, (part, activate) = Documents(), publication(edition(1), valid_from=date(2026, 7, 1))
    assert decided(documents, activate) == Refusal("VersionMismatch", "0 of 1 parts are there")
    town = Town()
    town.ask(part)
    false = activate.model_copy(update={"units": 3})
    assert town.ask(false) == ["VersionMismatch"]
    stranger = Actor(person="stranger", roles=(Role.DISPATCHER,))
    assert town.ask(activate.model_copy(update={"actor": stranger})) == ["RoleNotAllowed"]
    assert town.ask(activate) == ["NetScheduled"]
    assert decided(town.documents, part) == NOTHING


def test_a_snapshot_of_what_is_to_come_is_whole() -> None:
    town = Town()
    town.publish(edition(1))
    town.publish(edition(2), date(2026, 6, 12))
    adapter: TypeAdapter[Keyed[Documents]] = TypeAdapter(Keyed[Documents])
    town.keyed = adapter.validate_json(adapter.dump_json(town.keyed))
    town.wait_until(midnight(date(2026, 6, 12)))
    assert town.current == "Smallville 2"


def test_old_events_say_nothing_of_outlines_seats_or_days_and_are_read_all_the_same() -> None:
    (part, activate) = publication(NET)
    assert isinstance(activate, ActivateNet)
    assert isinstance(part, PublishNetPart)
    old = part.model_dump(mode="json", exclude={"outlines"})
    for compound in old["compounds"]:
        del compound["kind"], compound["seats"]
    read = PublishNetPart.model_validate(old)
    assert (read.outlines, read.compounds) == ((), NET.compounds)
    assert ActivateNet.model_validate(activate.model_dump(exclude={"valid_from"})) == activate


@settings(max_examples=40)
@given(st.integers(1, 40))
def test_any_cut_into_parts_brings_the_same_net(grids_per_part: int) -> None:
    ring = NET.grids[0].rings[0]
    net = rewritten(NET, outlines=(Outline(unit=NET.units[0].code, polygons=((ring,), (ring,))),))
    commands, town = publication(net, grids_per_part), Town()
    assert town.ask(*commands)[-1] == "NetActivated"
    assert town.documents.net == net
    assert town.documents.view().net.version == net.version
    assert isinstance(commands[-1], ActivateNet)
    assert commands[-1].parts == len(commands) - 1


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.integers(11, 16), st.integers(0, 30)), max_size=8))
def test_the_net_of_a_day_is_the_one_last_named_for_it_or_an_earlier_day(
    asks: Sequence[tuple[int, int | None, int]],
) -> None:
    """Against the rule said in one line: of all words, ordered by the instant they are for and then as they came, the last."""
    town, words = Town(), list[tuple[datetime, int, str]]()
    for order, (number, day, hours) in enumerate(asks):
        town.wait_until(town.now + timedelta(hours=hours))
        valid_from = date(2026, 6, day) if day is not None else None
        begins = max(town.now, midnight(valid_from)) if valid_from else town.now
        town.publish(edition(number), valid_from)
        words.append((begins, order, f"Smallville {number}"))
    for day in range(11, 24):
        town.wait_until(midnight(date(2026, 6, day)))
        begun = [word for word in words if word[0] <= town.now]
        assert town.current == (max(begun)[2] if begun else "none")


def test_what_happens_to_a_net_stands_in_one_stream() -> None:
    town = Town()
    town.publish(edition(1), date(2026, 6, 12))
    town.wait_until(midnight(date(2026, 6, 12)))
    head = town.keyed.heads[f"net:{edition(1).version}"]
    assert isinstance(head, StreamHead)
    assert head.sequence == len(publication(edition(1))) - 1 + len((NetScheduled, NetActivated))
