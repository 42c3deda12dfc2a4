"""The messages as documents: JSON Schemas, an AsyncAPI description of the log, and a glossary; all written from the models."""

from __future__ import annotations

import json
from pathlib import Path

from infra.schema.asyncapi import asyncapi
from infra.schema.glossary import glossary
from infra.schema.messages import Json, schemas


def documents() -> dict[str, Json]:
    """The JSON documents by file name."""
    return {"schemas.json": schemas(), "asyncapi.json": asyncapi()}


def pages() -> dict[str, str]:
    """Everything that `write` writes, by file name."""
    texts = {name: json.dumps(document, ensure_ascii=False, indent=1) + "\n" for name, document in documents().items()}
    return {**texts, "messages.md": glossary()}


def write(folder: Path) -> list[Path]:
    """Write the documents into ``folder``, which is made where it is missing; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages()]
