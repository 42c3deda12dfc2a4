"""The documents of the messages are true: as generated, and as the messages really are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from domain.message import Event, Message
from domain.rider import AwardPoints
from infra.schema import documents, pages, write
from infra.schema.messages import all_messages, messages_of, term_and_meaning
from streams.case import CaseProcessor
from streams.commit import CommitHead, Kind, Outcome, commit_record, events_of, head_of
from streams.processor import Keyed, step
from streams.protocol import PartitionOwner, dead_letter
from streams.record import Record, Topic
from tests.domain.smallville import CELL, DIRECTORY
from tests.domain.specification import START, asked, file_report

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "domain" / "samples"
EVENTS = [kind for kind in all_messages() if issubclass(kind, Event)]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def against(document: dict[str, Any], pointer: str) -> Draft202012Validator:
    """A validator for one schema inside a document."""
    return Draft202012Validator({**document, "$ref": pointer}, format_checker=Draft202012Validator.FORMAT_CHECKER)


def channel_message(topic: Topic, name: str) -> str:
    return f"#/channels/{topic.value}/messages/{name}"


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return pages()


@pytest.fixture(scope="module")
def schemas(written: dict[str, str]) -> dict[str, Any]:
    return dict(json.loads(written["schemas.json"]))


@pytest.fixture(scope="module")
def log(written: dict[str, str]) -> dict[str, Any]:
    return dict(json.loads(written["asyncapi.json"]))


# -- the files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["schemas.json", "asyncapi.json", "messages.md"])
def test_the_reference_is_what_beeline_schema_writes(written: dict[str, str], name: str) -> None:
    kept = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert kept == written[name], "run: beeline schema"


def test_the_documents_are_written_where_one_asks(tmp_path: Path) -> None:
    paths = write(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["schemas.json", "asyncapi.json", "messages.md"]
    assert json.loads(paths[0].read_text(encoding="utf-8")) == documents()["schemas.json"]


# -- the schemas -----------------------------------------------------------------------------------------------------


def test_the_schemas_are_schemas(schemas: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schemas)
    assert set(schemas["messages"]) == {kind.wire_type for kind in all_messages()}


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("size", ["full", "minimal"])
def test_every_sample_satisfies_its_schema(schemas: dict[str, Any], kind: type[Message], size: str) -> None:
    sample = json.loads((SAMPLES / f"{kind.wire_type}.json").read_text(encoding="utf-8"))[size]
    against(schemas, schemas["messages"][kind.wire_type]["$ref"]).validate(sample)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_a_schema_refuses_what_the_message_does_not_have(schemas: dict[str, Any], kind: type[Message]) -> None:
    sample = json.loads((SAMPLES / f"{kind.wire_type}.json").read_text(encoding="utf-8"))["full"]
    validator = against(schemas, schemas["messages"][kind.wire_type]["$ref"])
    assert not validator.is_valid({**sample, "surplus": 1})
    assert not validator.is_valid({})


# -- the log ---------------------------------------------------------------------------------------------------------


def test_every_topic_is_a_channel_and_every_reference_leads_somewhere(log: dict[str, Any]) -> None:
    assert {channel["address"] for channel in log["channels"].values()} == set(Topic)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(log)):
        found: Any = log
        for part in reference.split("/"):
            found = found[part]


def test_every_operation_names_messages_of_its_own_channel(log: dict[str, Any]) -> None:
    for operation in log["operations"].values():
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation.get("messages", ()))


def test_every_topic_has_who_sends_and_who_receives_it(log: dict[str, Any]) -> None:
    acting = {(each["action"], each["channel"]["$ref"].split("/")[-1]) for each in log["operations"].values()}
    assert {topic for action, topic in acting if action == "send"} == set(Topic)
    assert {topic for action, topic in acting if action == "receive"} == set(Topic) - {
        Topic.DIRECTORY_EVENTS,  # read by everybody, before anything else
        Topic.DEAD_LETTERS,  # read by an operator
    }


def test_a_commit_is_as_the_document_says(log: dict[str, Any]) -> None:
    command = asked(file_report())
    answer = step(CaseProcessor(), Keyed(CaseProcessor().new(CELL)), command, START, DIRECTORY)
    head = CommitHead("owner", 0, command.id, command.correlationid, answer.outcome, START, DIRECTORY.version)
    new = commit_record(Topic.CASE_EVENTS, 0, CELL, head, answer.encoded)
    channel = channel_message(Topic.CASE_EVENTS, "Commit")
    against(log, f"{channel}/payload").validate(json.loads(new.value))
    against(log, f"{channel}/headers").validate(dict(new.headers))
    record = Record(new.topic, 0, 0, START, new.key, new.value, new.headers)
    assert [len(events_of(record)), head_of(record).outcome] == [2, Outcome.APPLIED]


def test_a_command_and_a_refusal_are_as_the_document_says(log: dict[str, Any]) -> None:
    command = asked(file_report().model_copy(update={"actor": file_report().actor.model_copy(update={"roles": ()})}))
    against(log, f"#/components/schemas/{command.type}.envelope").validate(json.loads(command.encode()))
    answer = step(CaseProcessor(), Keyed(CaseProcessor().new(CELL)), command, START, DIRECTORY)
    assert answer.outcome is Outcome.REFUSED
    against(log, f"{channel_message(Topic.CASE_EVENTS, 'Commit')}/payload").validate([json.loads(answer.encoded[0])])


def test_an_opening_and_a_dead_letter_are_as_the_document_says(log: dict[str, Any]) -> None:
    opening = PartitionOwner(CaseProcessor(), 0, 1, "owner").opening()
    channel = channel_message(Topic.CASE_EVENTS, "OwnerOpened")
    against(log, f"{channel}/headers").validate(dict(opening.headers))
    against(log, f"{channel}/payload").validate(json.loads(opening.value))
    letter = dead_letter(Record(Topic.CASE_COMMANDS, 0, 7, START, CELL, b"?", {"id": "x"}), "not JSON")
    against(log, f"{channel_message(Topic.DEAD_LETTERS, 'DeadLetter')}/headers").validate(dict(letter.headers))
    kinds = log["channels"][Topic.CASE_EVENTS]["messages"].values()
    assert {message["headers"]["properties"]["kind"]["const"] for message in kinds} == set(Kind)


# -- the glossary ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", all_messages(), ids=lambda kind: kind.__name__)
def test_every_message_begins_with_its_chinese_term_and_says_what_it_means(
    written: dict[str, str], kind: type[Message]
) -> None:
    term, meaning = term_and_meaning(kind)
    assert CHINESE.search(term)
    assert len(term) <= 12
    assert meaning
    assert "|" not in term + meaning
    assert f"| {term} | {kind.__name__} | `{kind.wire_type}` | {meaning} |" in written["messages.md"]


def test_messages_stand_under_their_own_topic() -> None:
    assert AwardPoints in messages_of(Topic.RIDER_COMMANDS)
    assert AwardPoints not in messages_of(Topic.RIDER_EVENTS)
