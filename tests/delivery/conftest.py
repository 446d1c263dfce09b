"""A worker with two receiving servers."""

from collections.abc import AsyncIterator

import pytest

from sendryd.testing.post import Post


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    made = Post()
    await made.open()
    yield made
    await made.aclose()
