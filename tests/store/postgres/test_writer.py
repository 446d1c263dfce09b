"""The writer: callers share a commit, one bad operation fails alone, and what became of a commit is said although its answer was lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from sendryd.model.ids import AccountId, MessageId
from sendryd.store.drivers.postgres import Target
from sendryd.store.errors import Conflict, StoreUnavailable
from sendryd.store.postgres.store import PostgresStore, open_store
from sendryd.testing.postgres import Server, free_port, own_server, shared_server, standby_of
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
    after_cut: Callable[[], Coroutine[None, None, None]] | None = None  # nobody reaches the server until it is done
    done: list[str] = field(default_factory=list)
    change: asyncio.Task[None] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server: asyncio.StreamWriter | None = None
        try:
            if self.change and not self.change.done():
                raise ConnectionResetError
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
                if self.after_cut:
                    self.change = asyncio.create_task(self.after_cut())
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
async def through_proxy(database: str, folder: Path, server: Server | None = None) -> AsyncIterator[tuple[PostgresStore, Proxy]]:
    server = server or shared_server()
    proxy = Proxy(server.port)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    target = Target(server.url(database).replace(f":{proxy.port}/", f":{port}/"), "proxied")
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


class Pair:
    """A server, and a standby that takes over from it."""

    def __init__(self, primary: Server, standby: Server, database: str) -> None:
        self.primary, self.standby, self.database = primary, standby, database

    def stop_following(self) -> None:
        """Keeps from the standby what is committed from now on."""
        self._wait_for(self.standby, f"SELECT pg_last_wal_replay_lsn() >= '{self.primary.read(WRITTEN, self.database)}'")
        self.standby.stop()

    def wait_for_commit(self, message: MessageId) -> None:
        """Waits until the primary has stored a message."""
        self._wait_for(self.primary, f"SELECT count(*) = 1 FROM message WHERE id = {message}")

    def take_over(self) -> None:
        """Ends the primary, and lets the standby go on with transactions of its own until it has used the numbers of the primary's."""
        numbers = self.primary.read("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint", self.database)
        if self.standby.process.poll() is None:
            self._wait_for(self.standby, f"SELECT pg_last_wal_replay_lsn() >= '{self.primary.read(WRITTEN, self.database)}'")
        self.primary.stop()
        if self.standby.process.poll() is not None:
            self.standby.start(self.standby.port)
        self.standby.run("SELECT pg_promote()", self.database)
        self._wait_for(self.standby, "SELECT NOT pg_is_in_recovery()")
        self._wait_for(self.standby, f"SELECT pg_current_xact_id()::text::bigint > {numbers}")

    def _wait_for(self, server: Server, query: str) -> None:
        while not server.read(query, self.database):
            pass


WRITTEN = "SELECT pg_current_wal_lsn()::text"


async def fail_over(pair: Pair, proxy: Proxy, message: MessageId) -> None:
    """The primary stores a message and is lost, the standby takes over."""
    await asyncio.to_thread(pair.wait_for_commit, message)
    await asyncio.to_thread(pair.take_over)
    proxy.port = pair.standby.port


@pytest.fixture
def pair() -> Iterator[Pair]:
    settings = {"synchronous_commit": "on", "wal_level": "replica", "max_wal_senders": "4"}
    with own_server(settings) as primary:
        database = primary.new_database()
        with standby_of(primary, settings) as standby:
            yield Pair(primary, standby, database)


async def test_a_commit_that_the_standby_had_not_got_when_it_took_over_has_failed(pair: Pair, tmp_path: Path, samples: Samples) -> None:
    async with through_proxy(pair.database, tmp_path, pair.primary) as (store, proxy):
        message = samples.message()
        pair.stop_following()
        proxy.cuts, proxy.after_cut = "answer", partial(fail_over, pair, proxy, message.message.id)
        with pytest.raises(StoreUnavailable):
            await store.accept(message)
        assert await store.get_message(ACCOUNT, message.message.id) is None
        await store.accept(message)
        assert await store.read_content(message.message.id) == message.content


async def test_a_commit_that_the_standby_had_got_when_it_took_over_was_done(pair: Pair, tmp_path: Path, samples: Samples) -> None:
    async with through_proxy(pair.database, tmp_path, pair.primary) as (store, proxy):
        message = samples.message()
        proxy.cuts, proxy.after_cut = "answer", partial(fail_over, pair, proxy, message.message.id)
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
