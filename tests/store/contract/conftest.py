"""Each test of the contract runs over the backends that have its aggregate."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendryd.store.base import Store
from sendryd.testing.samples import ACCOUNT, NOW

from .backends import BACKENDS, Aggregate, Backend, Open


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The file's name is that of the aggregate."""
    if "backend" in metafunc.fixturenames:
        aggregate = Aggregate(metafunc.module.__name__.rpartition(".test_")[2])
        chosen = [backend for backend in BACKENDS if aggregate in backend.aggregates]
        metafunc.parametrize("backend", [pytest.param(backend, id=backend.name, marks=backend.marks) for backend in chosen])


@pytest.fixture
async def open_store(backend: Backend, tmp_path: Path) -> AsyncIterator[Open]:
    """A database, empty at first: opens it as one more process, or once more."""
    async with backend.install(tmp_path / "data") as opens:
        yield opens


@pytest.fixture
async def store(open_store: Open) -> AsyncIterator[Store]:
    """A store that has the default account and nothing else."""
    made = await open_store()
    await made.ensure_account(ACCOUNT, "default", NOW)
    yield made
    await made.aclose()
