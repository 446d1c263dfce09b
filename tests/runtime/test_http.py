"""Requests to servers of others: what is sent, what is kept of the answer, and every way in which it fails."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trustme

from sendryd.runtime.clock import SystemClock
from sendryd.runtime.http import BODY_TIMEOUT, CONNECT_TIMEOUT, MAX_KEPT, AiohttpClient, look_up_in_system
from sendryd.runtime.posting import HttpAnswer, HttpFault
from sendryd.runtime.resolver import Resolver
from sendryd.runtime.tls import client_context
from sendryd.testing.nameserver import NameServer
from sendryd.testing.webhookhost import Fate, Reaction, ReceivedRequest, WebhookHost

pytestmark = pytest.mark.sockets

SHORT = 0.3  # seconds, for those that never answer


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    async with NameServer({("hook.test", "A"): ["127.0.0.1"]}) as server:
        yield server


@pytest.fixture
async def host() -> AsyncIterator[WebhookHost]:
    async with WebhookHost() as server:
        yield server


class Clients:
    """Makes clients that ask the name server, and closes them."""

    def __init__(self, names: NameServer) -> None:
        self.names = names

    @asynccontextmanager
    async def __call__(
        self,
        *,
        allow_private: bool = True,
        ca_file: Path | None = None,
        total_timeout: float = 15.0,
        connect_timeout: float = CONNECT_TIMEOUT,
        body_timeout: float = BODY_TIMEOUT,
    ) -> AsyncIterator[AiohttpClient]:
        client = AiohttpClient(
            Resolver(SystemClock(), (self.names.host, self.names.port)),
            SystemClock(),
            allow_private=allow_private,
            tls=client_context(verify=True, ca_file=ca_file),
            total_timeout=total_timeout,
            connect_timeout=connect_timeout,
            body_timeout=body_timeout,
        )
        try:
            yield client
        finally:
            await client.aclose()


@pytest.fixture
def clients(names: NameServer) -> Clients:
    return Clients(names)


async def post(client: AiohttpClient, url: str) -> HttpAnswer:
    return await client.post(
        url, headers={"User-Agent": "sendryd/1", "Content-Type": "application/json", "webhook-id": "evt_1"}, body=b'{"a":1}'
    )


async def fault(client: AiohttpClient, url: str) -> HttpFault:
    with pytest.raises(HttpFault) as caught:
        await post(client, url)
    text = str(caught.value)
    assert text.endswith(".")
    assert text.count("\n") == 0
    return caught.value


async def test_a_request_and_its_answer(clients: Clients, host: WebhookHost) -> None:
    host.script = lambda _: Reaction(status=201, body=b"thanks", headers={"Content-Type": "text/plain", "Set-Cookie": "a=b"})
    async with clients() as client:
        answer = await post(client, f"http://hook.test:{host.port}/a%2Fb/c?d='e'&f=%20")
        assert (answer.status, answer.body_start, answer.is_success) == (201, b"thanks", True)
        assert answer.headers == {"content-type": "text/plain"}
        assert 0 <= answer.duration < 15
        await post(client, f"http://hook.test:{host.port}")
    first, second = host.received
    assert (first.method, first.target, first.body) == ("POST", "/a%2Fb/c?d='e'&f=%20", b'{"a":1}')
    assert first.headers["host"] == f"hook.test:{host.port}"
    assert first.headers["user-agent"] == "sendryd/1"
    assert first.headers["webhook-id"] == "evt_1"
    assert first.headers["accept-encoding"] == "identity"
    assert second.target == "/"
    assert "cookie" not in second.headers
    assert host.connections == 1


def _redirect(status: int, url: str, _request: ReceivedRequest) -> Reaction:
    return Reaction(status=status, headers={"Location": url})


async def test_what_is_fetched_is_whole_and_limited(clients: Clients, host: WebhookHost) -> None:
    host.script = lambda _: Reaction(body=b"x" * 300_000)
    async with clients() as client:
        assert len(await client.fetch(f"http://hook.test:{host.port}/a.png", max_size=300_000)) == 300_000
        with pytest.raises(HttpFault, match="more than 299,999 octets"):
            await client.fetch(host.url, max_size=299_999)
        for status in (302, 404, 500):
            host.script = partial(_redirect, status, host.url)
            with pytest.raises(HttpFault, match=f"answered {status}"):
                await client.fetch(host.url, max_size=10)
    assert {(each.method, each.headers["user-agent"]) for each in host.received} == {("GET", "sendryd")}
    assert "cookie" not in host.received[0].headers


async def test_nothing_private_is_fetched_and_nobody_is_waited_for(clients: Clients, host: WebhookHost) -> None:
    async with clients(allow_private=False) as client:
        for name in ("127.0.0.1", "localhost", "hook.test"):
            with pytest.raises(HttpFault) as caught:
                await client.fetch(f"http://{name}:{host.port}/", max_size=10)
            assert caught.value.is_refused
    assert host.connections == 0
    host.script = lambda _: Reaction(body=b"x" * 1000, drip=0.1)
    async with clients(total_timeout=SHORT) as client:
        with pytest.raises(HttpFault, match="No answer within"):
            await client.fetch(host.url, max_size=1000)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_answers_and_not_followed(clients: Clients, host: WebhookHost, status: int) -> None:
    async with WebhookHost() as secret:
        host.script = lambda _: Reaction(status=status, headers={"Location": secret.url})
        async with clients() as client:
            answer = await post(client, host.url)
        assert (answer.status, answer.is_success, answer.headers["location"]) == (status, False, secret.url)
        assert secret.received == []


async def test_nothing_private_is_connected_to(clients: Clients, host: WebhookHost, names: NameServer) -> None:
    names.set("mixed.test", "A", "8.8.8.8", "127.0.0.1")
    names.set("six.test", "AAAA", "::ffff:127.0.0.1")
    names.set("alias.test", "CNAME", "hook.test.")
    async with clients(allow_private=False) as client:
        for name in ("127.0.0.1", "localhost", "[::ffff:7f00:1]", "hook.test", "mixed.test", "six.test", "alias.test"):
            assert (await fault(client, f"http://{name}:{host.port}/")).is_refused, name
    assert host.connections == 0


async def test_a_refusal_does_not_tell_where_a_name_leads(clients: Clients, names: NameServer) -> None:
    names.set("hidden.test", "A", "10.20.30.40")
    async with clients(allow_private=False) as client:
        assert "10.20.30.40" not in str(await fault(client, "https://hidden.test/"))


async def test_a_name_that_changes_its_address_is_judged_by_the_one_that_is_connected_to(host: WebhookHost) -> None:
    class Rebinding:
        """Public when it is looked at, private when it is used."""

        def __init__(self) -> None:
            self.asked = 0

        async def addresses(self, _host: str) -> tuple[str, ...]:
            self.asked += 1
            return ("8.8.8.8",) if self.asked % 2 else ("127.0.0.1",)

    resolver = Rebinding()
    client = AiohttpClient(resolver, SystemClock(), allow_private=False, total_timeout=SHORT)  # type: ignore[arg-type]
    assert not (await fault(client, f"http://rebind.test:{host.port}/")).is_refused  # the public one, which does not answer
    assert resolver.asked == 1  # nothing is looked up between the judgement and the connection
    assert (await fault(client, f"http://rebind.test:{host.port}/")).is_refused
    assert host.connections == 0
    await client.aclose()


async def test_the_socket_itself_refuses(host: WebhookHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line, should a notation get past the one before it."""
    monkeypatch.setattr("sendryd.runtime.http.check_url", lambda url, **_: url)
    client = AiohttpClient(None, SystemClock(), allow_private=False)  # type: ignore[arg-type]
    for name in ("127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"):
        assert (await fault(client, f"http://{name}:{host.port}/")).is_refused
    assert host.connections == 0
    await client.aclose()


async def test_a_proxy_of_the_environment_is_not_used(clients: Clients, host: WebhookHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with WebhookHost() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with clients() as client:
            assert (await post(client, f"http://hook.test:{host.port}/")).status == 200
        assert proxy.connections == 0


async def test_names_without_an_address(clients: Clients, names: NameServer) -> None:
    names.set("empty.test", "TXT", '"x"')
    names.servfail.add("broken.test")
    async with clients() as client:
        assert "no address" in str(await fault(client, "https://empty.test/"))
        assert "does not exist" in str(await fault(client, "https://missing.test/"))
        assert "look-up failed" in str(await fault(client, "https://broken.test/"))


async def test_names_that_only_the_system_knows(host: WebhookHost, names: NameServer) -> None:
    async def look_up(name: str) -> tuple[str, ...]:
        return ("127.0.0.1",) if name == "neighbour" else ()

    resolver = Resolver(SystemClock(), (names.host, names.port))
    for allow_private, expected in ((True, 1), (False, 0)):
        host.received.clear()
        client = AiohttpClient(resolver, SystemClock(), allow_private=allow_private, system_lookup=look_up)
        if allow_private:
            assert (await post(client, f"http://neighbour:{host.port}/")).status == 200
        else:
            assert (await fault(client, f"http://neighbour:{host.port}/")).is_refused
        assert len(host.received) == expected
        assert not (await fault(client, f"http://stranger.test:{host.port}/")).is_refused
        await client.aclose()
    assert "127.0.0.1" in await look_up_in_system("localhost")
    assert await look_up_in_system("missing.invalid") == ()


async def test_localhost_is_here_whatever_dns_says(clients: Clients, host: WebhookHost, names: NameServer) -> None:
    names.set("localhost", "A", "192.0.2.1")
    async with clients() as client:
        assert (await post(client, f"http://localhost:{host.port}/")).status == 200
    assert not names.queries


@pytest.mark.parametrize(
    ("reaction", "words"),
    [
        (Fate.SILENCE, "No answer within"),
        (Fate.RESET, "closed the connection"),
        (Fate.CLOSE, "closed the connection"),
        (Reaction(drip=0.05), "No answer within"),
        (Reaction(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 3), "closed the connection"),
        (Reaction(status=100, is_endless=True, body=b"HTTP/1.1 100 Continue\r\n\r\n"), "not valid HTTP"),
        (Reaction(raw=b"220 mail.example.org ESMTP\r\n"), "not valid HTTP"),
        (Reaction(raw=b"\x15\x03\x01\x00\x02\x02\x28"), "not valid HTTP"),
        (Reaction(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"), "not valid HTTP"),
        (Reaction(raw=b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 5_000 + b"\r\n"), "not valid HTTP"),
        (Reaction(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nx"), "not valid HTTP"),
        (Reaction(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"), "not valid HTTP"),
    ],
)
async def test_servers_that_give_no_answer(clients: Clients, host: WebhookHost, reaction: Reaction | Fate, words: str) -> None:
    host.script = lambda _: reaction
    does_answer = words != "No answer within"
    async with clients(total_timeout=15.0 if does_answer else SHORT) as client:
        assert words in str(await fault(client, host.url))


async def test_a_port_where_nobody_listens(clients: Clients, host: WebhookHost) -> None:
    await host.aclose()
    async with clients() as client:
        assert str(await fault(client, host.url)) == "No connection: connection refused."
        assert str(await fault(client, host.url.replace("127.0.0.1", "localhost"))).startswith("No connection")


@pytest.mark.parametrize(
    "reaction",
    [
        Reaction(status=200, is_endless=True),
        Reaction(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nshort"),
        Reaction(raw=b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nxxxx"),
        Reaction(status=204, body=b""),
    ],
)
async def test_the_status_counts_whatever_the_body_is_like(clients: Clients, host: WebhookHost, reaction: Reaction) -> None:
    host.script = lambda _: reaction
    async with clients() as client:
        answer = await post(client, host.url)
    assert answer.is_success
    assert len(answer.body_start) <= MAX_KEPT
    assert host.written < 16 * 1024 * 1024  # what the buffers on the way take


async def test_a_body_that_does_not_end_is_not_waited_for(clients: Clients, host: WebhookHost) -> None:
    host.script = lambda _: Reaction(headers={"Content-Length": "100"}, body=b"beginning")
    async with clients(total_timeout=SHORT, body_timeout=SHORT * 2) as client:
        answer = await post(client, host.url)
    assert (answer.status, answer.body_start) == (200, b"beginning")


async def test_a_kept_connection_that_turns_out_to_be_closed_is_replaced(clients: Clients, host: WebhookHost) -> None:
    host.script = lambda request: Fate.CLOSE if request.number == 2 else Reaction()
    async with clients() as client:
        assert (await post(client, host.url)).status == 200
        assert (await post(client, host.url)).status == 200
    assert [request.connection for request in host.received] == [1, 1, 2]
    assert len({request.body for request in host.received}) == 1


async def test_tls_is_verified_for_the_name(clients: Clients, tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    cases = [
        (authority, "hook.test", True),
        (authority, "other.test", False),
        (stranger, "hook.test", False),
    ]
    for issuer, name, is_good in cases:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert(name).configure_cert(context)
        async with WebhookHost(tls=context) as host, clients(ca_file=ca_file) as client:
            url = f"https://hook.test:{host.port}/"
            if is_good:
                assert (await post(client, url)).status == 200
                assert host.received[0].is_tls
            else:
                assert "certificate was not accepted" in str(await fault(client, url))
                assert host.received == []


async def test_clear_text_where_tls_is_due(clients: Clients) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server, clients() as client:
        port = server.sockets[0].getsockname()[1]
        assert str(await fault(client, f"https://hook.test:{port}/")) == "The TLS handshake failed."


async def test_an_address_that_does_not_answer(clients: Clients) -> None:
    """A full backlog drops what comes after."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as first, socket.socket() as second:
        first.connect(server.getsockname())
        second.setblocking(False)
        second.connect_ex(server.getsockname())
        async with clients(connect_timeout=SHORT) as client:
            assert str(await fault(client, f"http://127.0.0.1:{server.getsockname()[1]}/")) == f"No connection within {SHORT} seconds."


async def test_many_at_once(clients: Clients, host: WebhookHost) -> None:
    gate = asyncio.Event()
    host.script = lambda _: Reaction(after=gate)
    async with clients() as client:
        tasks = [asyncio.create_task(post(client, host.url)) for _ in range(50)]
        await host.wait(50)
        gate.set()
        assert {(await task).status for task in tasks} == {200}
    assert host.most_active == 50
