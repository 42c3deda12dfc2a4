"""One city for the tests of a module: each of them brings its own reports."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.http.city import City, city_in


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def city(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[City]:
    async with city_in(tmp_path_factory.mktemp("city")) as running:
        yield running
