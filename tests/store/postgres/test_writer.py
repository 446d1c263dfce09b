"""The writer: callers share a commit, one bad operation fails alone, and what became of a commit is said although its answer was lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest

from sendryd.model.ids import AccountId
from sendryd.store.drivers.postgres import Target
from sendryd.store.errors import Conflict, StoreUnavailable
from sendryd.store.postgres.store import PostgresStore, open_store
from sendryd.testing.postgres import Server, free_port, own_server, shared_server
from sendryd.testing.samples import ACCOUNT, NOW, Samples

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # PostgreSQL's protocol, 55.7: a simple query


@pytest.fixture
async def database() -> AsyncIterator[str]:
    made = shared_server().new_database()
    yield made
    shared_server().drop_database(made)


@pytest.fixture
async def store(database: str, tmp_path: Path) -> AsyncIterator[PostgresStore]:
    made = await open_store(shared_server().target(database), tmp_path, monotonic=monotonic)
    await made.ensure_account(ACCOUNT, "default", NOW)
    yield made
    await made.aclose()


async def test_many_callers_share_one_commit(store: PostgresStore, samples: Samples) -> None:
    before = store.statistics()["commits"]
    await asyncio.gather(*(store.accept(samples.message()) for _ in range(200)))
    assert store.statistics()["commits"] - before < 20
    assert store.statistics()["largest_batch"] > 50


async def test_one_bad_operation_fails_alone(store: PostgresStore, samples: Samples) -> None:
    known = samples.message()
    await store.accept(known)
    new = [samples.message() for _ in range(20)]
    results = await asyncio.gather(*(store.accept(each) for each in [*new[:10], known, *new[10:]]), return_exceptions=True)
    assert [type(result) for result in results if isinstance(result, BaseException)] == [Conflict]
    assert isinstance(results[10], Conflict)
    for each in new:
        assert await store.read_content(each.message.id) == each.content


@dataclass
class Proxy:
    """Passes octets on to a server. Cuts the connection that commits, before the server hears of it or instead of its answer."""

    port: int
    cuts: str = ""  # "request" or "answer": the next commit's; empty: nothing
    done: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server: asyncio.StreamWriter | None = None
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_back(from_server, writer))
                tasks.create_task(self._pass(reader, to_server, writer, from_server))
        except* (ConnectionError, EOFError):
            pass
        finally:
            writer.close()
            if to_server is not None:
                to_server.close()

    async def _pass(
        self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter, back: asyncio.StreamWriter, from_server: asyncio.StreamReader
    ) -> None:
        while data := await reader.read(65536):
            if self.cuts and COMMIT in data:
                cut, self.cuts = self.cuts, ""
                self.done.append(cut)
                back.transport.abort()
                if cut == "answer":
                    to_server.write(data)
                    await to_server.drain()
                raise ConnectionResetError
            to_server.write(data)
            await to_server.drain()
        raise EOFError

    async def _pass_back(self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await from_server.read(65536):
            writer.write(data)
            await writer.drain()
        raise EOFError


@asynccontextmanager
async def through_proxy(database: str, folder: Path) -> AsyncIterator[tuple[PostgresStore, Proxy]]:
    proxy = Proxy(shared_server().port)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    target = Target(shared_server().url(database).replace(f":{proxy.port}/", f":{port}/"), "proxied")
    store = await open_store(target, folder, monotonic=monotonic)
    try:
        await store.ensure_account(ACCOUNT, "default", NOW)
        yield store, proxy
    finally:
        await store.aclose()
        listener.close()


async def test_a_commit_whose_answer_is_lost_was_done(database: str, tmp_path: Path, samples: Samples) -> None:
    async with through_proxy(database, tmp_path) as (store, proxy):
        message = samples.message()
        proxy.cuts = "answer"
        await store.accept(message)
        assert proxy.done == ["answer"]
        assert await store.read_content(message.message.id) == message.content
        await store.accept(samples.message())


async def test_a_commit_that_the_server_never_heard_of_has_failed(database: str, tmp_path: Path, samples: Samples) -> None:
    async with through_proxy(database, tmp_path) as (store, proxy):
        message = samples.message()
        proxy.cuts = "request"
        with pytest.raises(StoreUnavailable):
            await store.accept(message)
        assert proxy.done == ["request"]
        assert await store.get_message(ACCOUNT, message.message.id) is None
        await store.accept(message)
        assert await store.read_content(message.message.id) == message.content


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with own_server({"synchronous_commit": "on"}) as made:  # what was committed outlives a crash
        yield made


async def until_it_works(store: PostgresStore, number: int) -> None:
    """Writes and reads until both work again."""
    while True:
        try:
            await store.ensure_account(AccountId(number), "again", NOW)
            assert await store.get_account(AccountId(number)) is not None
        except StoreUnavailable:
            continue
        return


async def test_work_goes_on_once_the_server_is_back(server: Server, tmp_path: Path) -> None:
    store = await open_store(server.target(server.new_database()), tmp_path, monotonic=monotonic)
    await store.ensure_account(ACCOUNT, "default", NOW)
    assert await store.get_account(ACCOUNT) is not None
    server.stop()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await store.ensure_account(AccountId(2), "second", NOW)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await store.get_account(ACCOUNT)
        with pytest.raises(StoreUnavailable):
            await store.check_writable()
    assert store.can_write()
    server.start(server.port)
    await until_it_works(store, 3)
    assert await store.get_account(ACCOUNT) is not None
    assert await store.get_account(AccountId(2)) is None
    await store.check_writable()
    await store.aclose()


async def test_a_server_that_answers_nothing_is_given_up_after_the_time_out(server: Server, tmp_path: Path) -> None:
    store = await open_store(server.target(server.new_database()), tmp_path, monotonic=monotonic, timeout=0.4)
    await store.ensure_account(ACCOUNT, "default", NOW)
    assert await store.get_account(ACCOUNT) is not None
    server.freeze()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="did not answer in time|does not answer"):
                await store.ensure_account(AccountId(2), "second", NOW)
            with pytest.raises(StoreUnavailable, match="did not answer in time|does not answer"):
                await store.get_account(ACCOUNT)
    finally:
        server.thaw()
    await until_it_works(store, 3)
    assert await store.get_account(AccountId(2)) is None
    await store.aclose()


async def test_a_server_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="the database at nowhere cannot be reached"):
        await open_store(Target(f"postgresql://sendryd@127.0.0.1:{free_port()}/x", "nowhere"), tmp_path, monotonic=monotonic)
