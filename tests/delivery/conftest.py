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


@pytest.fixture
async def patient_post() -> AsyncIterator[Post]:
    """One that waits as long as a busy machine may need for much content."""
    made = Post(timeout=20)
    await made.open()
    yield made
    await made.aclose()
