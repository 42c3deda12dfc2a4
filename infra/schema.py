"""The messages as documents: JSON Schemas, one AsyncAPI description of the log, and the glossary of terms.

All three are written from the models. `write` puts them into a folder; a test keeps the ones in ``docs/reference`` true.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import domain.case.commands
import domain.case.events
import domain.directory
import domain.report
import domain.rider
from domain.message import Command, CommandRefused, Event, Message, message_types
from infra.asyncapi import asyncapi
from streams.record import Topic

Document = dict[str, Any]
"""A JSON object."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"

MODULES = {
    Topic.REPORT_EVENTS: domain.report,
    Topic.CASE_COMMANDS: domain.case.commands,
    Topic.CASE_EVENTS: domain.case.events,
    Topic.RIDER_COMMANDS: domain.rider,
    Topic.RIDER_EVENTS: domain.rider,
    Topic.DIRECTORY_COMMANDS: domain.directory,
    Topic.DIRECTORY_EVENTS: domain.directory,
}
"""Where the messages of a topic are defined."""
