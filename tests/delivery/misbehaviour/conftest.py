"""A door and a delivery engine, with a name server and the receiving servers that a case asks for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .engine import Engine


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with Engine(tmp_path) as made:
        yield made
