"""The door and the delivery engine of the program in this process, with a name server and as many receiving servers as a test needs.

All sockets are on loopback and have both ends in the loop of the test, so that `@pytest.mark.virtual_time(sockets=True)` lets minutes pass at
once: the engine keeps its own time-outs and its own retry schedule.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

from sendryd.accounts.smtp_sessions import SmtpSessions
from sendryd.app.build import Basics
from sendryd.app.cluster import OneNode
from sendryd.app.roles.delivery import start_delivery
from sendryd.app.roles.running import Running, Shared, intake_of
from sendryd.app.settings import load_settings
from sendryd.intake.directory import Directory
from sendryd.intake.submission import Origin, Recipient, Submission
from sendryd.message.dkim import generate_key
from sendryd.model.apikey import KeyMode
from sendryd.model.domain import DomainStatus
from sendryd.model.event import Event, EventType
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, DomainId, MessageId, parse_id
from sendryd.policy.refusal import Refusal
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand, SystemRand
from sendryd.runtime.resolver import Resolver, Slots
from sendryd.store.base import DomainCheck, EventFilter, Owner, QueueFilter, Store
from sendryd.store.memory import MemoryStore
from sendryd.testing.mailhost import DEFAULT_EXTENSIONS, ReceivingServer, Script
from sendryd.testing.nameserver import NameServer
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.testing.virtualtime import VirtualClock

AUTHOR: Final = "hello@example.test"
HOSTNAME: Final = "relay.test"
CONTENT: Final = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n\r\nbody\r\n".encode()
LOOK: Final = 1.0  # virtual seconds between looks at events
PATIENCE: Final = 7200.0  # virtual seconds in which a message must have met its fate
ENDS: Final = frozenset({EventType.DELIVERED, EventType.BOUNCED, EventType.FAILED})

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@cache
def dkim_key() -> tuple[bytes, str]:
    """The private key of the sending domain in PEM, and the public key of its record; one for all tests of a process, because making one is slow."""
    return generate_key()


class Engine:
    """One life of the program with one verified sending domain. A context manager."""

    def __init__(
        self,
        data_dir: Path,
        *,
        before: "Engine | None" = None,
        store: MemoryStore | None = None,
        env: Mapping[str, str] | None = None,
        slots: tuple[Slots, Slots] | None = None,
    ) -> None:
        """`before`: an earlier life, whose store, clock and name server this one has. `env`: settings, in which `{port}` is that of the receiving
        servers. `slots`: of the resolver, whose time-outs pass in real time because dnspython reads the clock itself.
        """
        self._before = before
        self.names: NameServer = before.names if before else NameServer()
        self.store: MemoryStore = before.store if before else store or MemoryStore()
        self._data_dir, self._env, self._slots = data_dir, dict(env or {}), slots
        self._servers: list[ReceivingServer] = []
        self._talking: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._running = Running()
        self._samples = Samples()
        self.port = 0

    async def __aenter__(self) -> Self:
        if self._before is None:
            await self.names.start()
        self.port = (await self.host()).port
        self.clock: VirtualClock = self._before.clock if self._before else VirtualClock()
        self.basics = self._make_basics()
        if self._slots:
            quick, slow = self._slots
            resolver = Resolver(self.clock, self.basics.name_server, self.basics.denials, quick=quick, slow=slow)
            self.basics.__dict__["resolver"] = resolver  # where the cached property keeps it
        if self._before is None:
            await self.verify(AUTHOR.partition("@")[2], ACCOUNT)
        shared = Shared(Directory(self.store, self.clock), "http://localhost", b"s" * 43, SmtpSessions(self.clock), b"r" * 43)
        await start_delivery(self.basics, self._running, shared)
        self.intake = intake_of(self.basics, self._running, shared)
        self._tasks = [asyncio.ensure_future(daemon()) for daemon in self._running.daemons]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.stop()
        await self.names.aclose()

    async def stop(self) -> None:
        """Ends this life in order; the store and the name server stay."""
        for server in self._servers:
            await server.aclose()
        for talking in self._talking:
            talking.close()
        for stop in self._running.stops:
            await stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _make_basics(self) -> Basics:
        env = {
            "SENDRYD_DATA_DIR": str(self._data_dir),
            "SENDRYD_HOSTNAME": HOSTNAME,
            "SENDRYD_DNS_RESOLVER": f"{self.names.host}:{self.names.port}",
            "SENDRYD_MX_PORT": str(self.port),
            "SENDRYD_ALLOW_PRIVATE_NETWORKS": "true",
            **self._env,
        }
        settings = load_settings({name: value.replace("{port}", str(self.port)) for name, value in env.items()})
        # The store has what delivery and intake ask of one; the clock has what they ask of the system's.
        store, clock, rand = cast("Store", self.store), cast("SystemClock", self.clock), SystemRand()
        return Basics(
            settings=settings,
            number=1,
            store=store,
            cluster=OneNode(store, Owner(node="local", boot=rand.token())),
            clock=clock,
            rand=cast("SystemRand", SeededRand(1)),
            ids=IdSource(clock, rand),
            name_server=(self.names.host, self.names.port),
        )

    async def verify(self, name: str, account: AccountId) -> None:
        """Gives an account a verified sending domain and a key."""
        new, now = self._samples.domain(name, account), self.clock.now()
        new = replace(new, domain=replace(new.domain, id=DomainId(int(account)), public_key=dkim_key()[1]), private_key=dkim_key()[0])
        await self.store.add_domain(new)
        check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=now, verified_at=now, failing_since=None, failures=0)
        await self.store.record_domain_check(new.domain, check)

    async def host(
        self,
        *names: str,
        script: Script | None = None,
        tls: ssl.SSLContext | None = None,
        extensions: tuple[str, ...] = DEFAULT_EXTENSIONS,
    ) -> ReceivingServer:
        """A receiving server at an address of its own, to which these names lead. All have one port."""
        address = self._next_address()
        server = ReceivingServer(host=address, port=self.port, script=script, tls=tls, extensions=extensions)
        await server.start()
        self._servers.append(server)
        for name in names:
            self.names.set(name, "A", address)
        return server

    async def domain(
        self,
        name: str,
        script: Script | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        extensions: tuple[str, ...] = DEFAULT_EXTENSIONS,
    ) -> ReceivingServer:
        """A domain with one mail server of its own."""
        self.names.set(name, "MX", f"10 mx.{name}.")
        return await self.host(f"mx.{name}", script=script, tls=tls, extensions=extensions)

    async def talking(self, name: str, talk: Talk) -> None:
        """A domain whose mail server is this function: for what no script of a receiving server can say."""
        self.names.set(name, "MX", f"10 mx.{name}.")
        self.names.set(f"mx.{name}", "A", address := self._next_address())

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                self._tasks.append(cast("asyncio.Task[None]", asyncio.current_task()))
                await talk(reader, writer)

        self._talking.append(await asyncio.start_server(serve, address, self.port, limit=1 << 20))

    def _next_address(self) -> str:
        number = len(self._servers) + len(self._talking) + 1
        return f"127.1.{number >> 8}.{number & 255}"

    async def send(self, *recipients: str, content: bytes = CONTENT, account: AccountId = ACCOUNT, author: str = AUTHOR) -> MessageId:
        """Has the door accept a message; returns its id."""
        submission = Submission(
            actor=self._samples.api_key(account_id=account).key,
            reverse_path=author,
            recipients=tuple(Recipient(each, each.rpartition("@")[2], is_ascii=each.isascii()) for each in recipients),
            content=content.replace(AUTHOR.encode(), author.encode()),
            is_8bit=not content.isascii(),
            origin=Origin(hello="client.test", address="192.0.2.7", tls=None, is_smtputf8=False),
        )
        receipt = await self.intake.accept(submission)
        if isinstance(receipt, Refusal):
            raise AssertionError(f"not accepted: {receipt}")
        number = parse_id(receipt.message_id, MESSAGE_PREFIX)
        assert number is not None
        return MessageId(number)

    async def retry(self) -> None:
        """Does what `sendryd queue retry` does for all mail."""
        await self.store.retry(QueueFilter(), self.clock.now())
        self.basics.wakeup.set()

    async def events(self, message: MessageId, recipient: str | None = None, account: AccountId = ACCOUNT) -> list[Event]:
        """What happened to a message, oldest first."""
        which = EventFilter(mode=KeyMode.LIVE, message_id=message, recipient=recipient)
        return list(reversed((await self.store.list_events(account, which, limit=1000)).items))

    async def types(self, message: MessageId, recipient: str | None = None) -> list[str]:
        """The words of its events."""
        return [event.type.value for event in await self.events(message, recipient)]

    async def wait_for(self, message: MessageId, *types: EventType, recipient: str | None = None, account: AccountId = ACCOUNT) -> Event:
        """The first event of one of these types, or, without types, the one that ends a delivery."""
        wanted = frozenset(types) or ENDS
        async with asyncio.timeout(PATIENCE):
            while True:
                for event in await self.events(message, recipient, account):
                    if event.type in wanted:
                        return event
                await self.clock.sleep(LOOK)

    async def fate(self, *recipients: str, content: bytes = CONTENT) -> Event:
        """Sends a message; what became of it in the end."""
        return await self.wait_for(await self.send(*recipients, content=content))

    async def first_attempt(self, *recipients: str, content: bytes = CONTENT) -> Event:
        """Sends a message; what became of it at its first attempt."""
        return await self.wait_for(await self.send(*recipients, content=content), EventType.DEFERRED, *ENDS)
