"""A worker with two receiving servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sendryd.testing.post import Post


@asynccontextmanager
async def opened(made: Post) -> AsyncIterator[Post]:
    await made.open()
    yield made
    await made.aclose()


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with opened(Post()) as made:
        yield made


@pytest.fixture
async def patient_post() -> AsyncIterator[Post]:
    """One that waits as long as a busy machine may need for much content."""
    async with opened(Post(timeout=20)) as made:
        yield made
