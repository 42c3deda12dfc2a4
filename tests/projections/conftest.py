"""An empty database of read models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from infra.database import open_engine
from projections.projector import create_tables


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = open_engine(None)
    create_tables(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()
