"""The seam to the network, over real sockets on loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from sendryd.runtime import dial
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.faults import BindFailed, ConnectFailed, PeerClosed, ReadTimedOut, TLSFailed, WriteTimedOut
from sendryd.runtime.owncert import write_self_signed
from sendryd.runtime.stream import READ_SIZE, ByteStream
from sendryd.runtime.tcp import RECEIVE_LIMIT, TcpStream
from sendryd.runtime.tls import ServerCertificate, client_context, server_context

pytestmark = pytest.mark.sockets

_opened: list[TcpStream] = []


async def connect(address: str, port: int, *, timeout: float) -> TcpStream:
    """Connects; the connection is closed with the server's."""
    stream = await dial.connect(address, port, timeout=timeout)
    _opened.append(stream)
    return stream


Script = Callable[[ByteStream], Awaitable[None]]


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[int]:
    """A server that plays the script with each connection; gives its port."""
    tasks: list[asyncio.Task[None]] = []

    async def play(stream: TcpStream) -> None:
        try:
            await script(stream)
        finally:
            await stream.aclose()

    def on_connect(stream: TcpStream) -> None:
        tasks.append(asyncio.create_task(play(stream)))

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: TcpStream(on_connect), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        while _opened:
            _opened.pop().abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)  # the transports close in the next rounds of the loop


async def read_all(stream: ByteStream) -> bytes:
    data = b""
    while part := await stream.read(5):
        data += part
    return data


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Certificate and key in files."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_self_signed(cert, key, "mail.example.test", SystemClock())
    return cert, key


async def test_bytes_go_both_ways_and_the_end_is_seen() -> None:
    async def echo(stream: ByteStream) -> None:
        stream.write(await read_until(stream, b"\n"))

    async with serve(echo) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        stream.write(b"hello\n")
        assert await read_all(stream) == b"hello\n"
        assert (stream.peer.host, stream.peer.port) == ("127.0.0.1", port)
        await stream.aclose()


async def read_until(stream: ByteStream, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        part = await stream.read(5)
        assert part, f"the stream ended after {data!r}"
        data += part
    return data


async def test_a_silent_peer_is_given_up() -> None:
    release = asyncio.Event()

    async def silent(_: ByteStream) -> None:
        await release.wait()

    async with serve(silent) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        with pytest.raises(ReadTimedOut):
            await stream.read(0.05)
        with pytest.raises(ReadTimedOut):
            await stream.read(0.01)
        release.set()
        assert await stream.read(5) == b""
        await stream.aclose()


async def test_a_peer_that_does_not_read_is_given_up() -> None:
    release = asyncio.Event()

    async def deaf(stream: ByteStream) -> None:
        await release.wait()
        stream.abort()

    async with serve(deaf) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        with pytest.raises(WriteTimedOut):
            for _ in range(200):
                stream.write(b"x" * 1_000_000)
                await stream.drain(0.1)
        release.set()
        stream.abort()


async def test_a_closed_connection_does_not_wait_for_ever_for_a_peer_that_does_not_read() -> None:
    lost = asyncio.Event()
    closing: list[asyncio.Task[None]] = []

    def on_connect(stream: TcpStream) -> None:
        stream.write(b"x" * 30_000_000)
        closing.append(asyncio.create_task(stream.aclose()))

    server = await asyncio.get_running_loop().create_server(lambda: TcpStream(on_connect, lambda _: lost.set(), linger=0.1), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1000)  # reads no further by itself
    await asyncio.wait_for(lost.wait(), 10)
    taken = 0
    with suppress(ConnectionResetError):
        while part := await reader.read(100_000):
            taken += len(part)
    assert taken < 30_000_000
    writer.close()
    server.close()
    await asyncio.gather(*closing)


async def test_a_closed_connection_sends_what_a_slow_peer_takes_in_the_end() -> None:
    async def much(stream: ByteStream) -> None:
        stream.write(b"x" * 30_000_000)

    async with serve(much) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert len(await reader.read()) == 30_000_000
        writer.close()


async def test_a_reset_is_told_to_the_reader() -> None:
    async def reset(stream: ByteStream) -> None:
        await stream.read(5)
        stream.abort()

    async with serve(reset) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        stream.write(b"x" * 10)
        try:
            assert await stream.read(5) == b""
        except PeerClosed:
            pass
        stream.abort()


async def test_a_closed_port_is_a_failed_connection() -> None:
    async with serve(lambda _: asyncio.sleep(0)) as port:
        pass
    with pytest.raises(ConnectFailed, match=f"port {port}"):
        await connect("127.0.0.1", port, timeout=5)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_carries_large_content_both_ways(pair: tuple[Path, Path], version: ssl.TLSVersion) -> None:
    content = bytes(range(256)) * 8_000

    async def echo(stream: ByteStream) -> None:
        await read_until(stream, b"\n")
        stream.write(b"220\n")
        await stream.start_tls(server_context(*pair), server_side=True, timeout=5)
        received = b""
        while len(received) < len(content):
            received += await stream.read(5)
        stream.write(received)
        await stream.drain(5)

    async with serve(echo) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        stream.write(b"STARTTLS\n")
        await read_until(stream, b"\n")
        context = client_context(verify=False)
        context.minimum_version = context.maximum_version = version
        await stream.start_tls(context, server_side=False, server_hostname="localhost", timeout=5)
        assert stream.tls
        assert stream.tls.version == version.name.replace("_", ".")
        stream.write(content)
        await stream.drain(5)
        assert await read_all(stream) == content
        await stream.aclose()


async def test_the_certificate_verifies_as_its_own_ca(pair: tuple[Path, Path]) -> None:
    async def shake(stream: ByteStream) -> None:
        await stream.start_tls(server_context(*pair), server_side=True, timeout=5)
        stream.write(b"ok")

    async with serve(shake) as port:
        for name in ("mail.example.test", "localhost", "127.0.0.1"):
            stream = await connect("127.0.0.1", port, timeout=5)
            context = ssl.create_default_context(cafile=str(pair[0]))
            await stream.start_tls(context, server_side=False, server_hostname=name, timeout=5)
            assert await read_all(stream) == b"ok"


async def test_a_wrong_name_is_refused_by_a_client_that_verifies(pair: tuple[Path, Path]) -> None:
    async def shake(stream: ByteStream) -> None:
        with pytest.raises(TLSFailed):
            await stream.start_tls(server_context(*pair), server_side=True, timeout=5)
            await stream.read(5)
            raise TLSFailed("TLS 1.3 tells the server by an alert after its own handshake")

    async with serve(shake) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        context = ssl.create_default_context(cafile=str(pair[0]))
        with pytest.raises(TLSFailed, match="other.example.test"):
            await stream.start_tls(context, server_side=False, server_hostname="other.example.test", timeout=5)
        stream.abort()


async def test_clear_text_in_front_of_the_handshake_makes_it_fail(pair: tuple[Path, Path]) -> None:
    faults: list[str] = []

    async def shake(stream: ByteStream) -> None:
        while not stream.has_unread:
            await asyncio.sleep(0)
        try:
            await stream.start_tls(server_context(*pair), server_side=True, timeout=5)
        except TLSFailed as error:
            faults.append(str(error))

    async with serve(shake) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        stream.write(b"RSET\r\n")
        assert await read_all(stream) == b""
    assert faults == ["clear text came where the TLS handshake should begin"]


async def test_garbage_instead_of_a_handshake_fails(pair: tuple[Path, Path]) -> None:
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def shake(stream: ByteStream) -> None:
        try:
            await stream.start_tls(server_context(*pair), server_side=True, timeout=5)
        except TLSFailed as error:
            outcome.set_result(str(error))

    async with serve(shake) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        stream.write(b"EHLO evil\r\nMAIL FROM:<a@b>\r\n")
        assert "handshake failed" in await outcome
        stream.abort()


async def test_a_handshake_that_stalls_is_given_up(pair: tuple[Path, Path]) -> None:
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def shake(stream: ByteStream) -> None:
        try:
            await stream.start_tls(server_context(*pair), server_side=True, timeout=0.05)
        except TLSFailed as error:
            outcome.set_result(str(error))

    async with serve(shake) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        assert "too long" in await outcome
        stream.abort()


async def test_a_client_that_closes_its_half_still_gets_an_answer() -> None:
    async def answer(stream: ByteStream) -> None:
        assert await read_all(stream) == b"question"
        stream.write(b"answer")

    async with serve(answer) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"question")
        writer.write_eof()
        assert await reader.read() == b"answer"
        writer.close()


async def test_a_peer_that_sends_more_than_is_read_is_made_to_wait() -> None:
    go_on = asyncio.Event()
    received = 0

    async def slow(stream: ByteStream) -> None:
        nonlocal received
        await go_on.wait()
        first = await stream.read(5)
        assert len(first) < 4 * RECEIVE_LIMIT
        received = len(first) + len(await read_all(stream))

    async with serve(slow) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 30_000_000)
        go_on.set()
        await writer.drain()
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    assert received == 30_000_000


async def test_a_reader_is_given_much_that_arrived_in_pieces() -> None:
    has_come = asyncio.Event()

    async def wait(_stream: ByteStream) -> None:
        await has_come.wait()

    async with serve(wait) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        sent = [bytes([number]) * 16_000 for number in range(20)]
        for piece in sent:  # as TLS decrypts records that came together
            stream.data_received(piece)
        read = []
        while stream.has_unread:
            read.append(await stream.read(5))
            assert len(read[-1]) <= READ_SIZE
        has_come.set()
    assert b"".join(read) == b"".join(sent)


def test_new_certificate_files_are_loaded_and_broken_ones_are_not(pair: tuple[Path, Path]) -> None:
    certificate = ServerCertificate(*pair)
    first = certificate.context
    assert not certificate.reload_if_changed()
    write_self_signed(*pair, "new.example.test", SystemClock())
    assert certificate.reload_if_changed()
    second = certificate.context
    assert second is not first
    pair[0].write_bytes(b"not a certificate")
    with pytest.raises(ssl.SSLError):
        certificate.reload_if_changed()
    assert certificate.context is second
    assert not certificate.reload_if_changed()


def test_the_private_key_is_readable_by_its_owner_alone(pair: tuple[Path, Path]) -> None:
    assert pair[1].stat().st_mode & 0o777 == 0o600


async def test_who_attends_gets_what_arrives_without_being_woken() -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def attentive(stream: ByteStream) -> None:
        def take(data: bytes) -> float | None:
            stream.write(data.upper())
            return None if data in {b"enough", b""} else 5.0

        await stream.attend(take, 5)
        ended.set()
        assert await stream.read(5) == b"more"
        asked.set()
        await stream.attend(take, 5)  # to the end of the stream

    async with serve(attentive) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        for word in (b"one", b"two", b"enough"):
            assert not ended.is_set()
            stream.write(word)
            assert await stream.read(5) == word.upper()
        await ended.wait()
        stream.write(b"more")
        await asked.wait()
        await stream.aclose()


async def test_a_peer_that_falls_silent_is_given_up_by_who_attends() -> None:
    given_up = asyncio.Event()

    async def attentive(stream: ByteStream) -> None:
        with pytest.raises(ReadTimedOut):
            await stream.attend(lambda _: 0.01, 5)
        given_up.set()

    async with serve(attentive) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        stream.write(b"word")
        await given_up.wait()
        await stream.aclose()


async def test_what_goes_wrong_with_what_arrives_is_raised_where_it_is_awaited() -> None:
    raised = asyncio.Event()

    async def broken(stream: ByteStream) -> None:
        def take(_: bytes) -> float | None:
            raise LookupError("a bug")

        with pytest.raises(LookupError):
            await stream.attend(take, 5)
        raised.set()

    async with serve(broken) as port:
        stream = await connect("127.0.0.1", port, timeout=5)
        stream.write(b"word")
        await raised.wait()
        await stream.aclose()


@pytest.mark.parametrize(("address", "local"), [("127.0.0.1", "127.0.0.9"), ("::1", "::1")])
async def test_a_connection_leaves_from_the_address_that_is_asked_for(address: str, local: str) -> None:
    seen: list[str] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername")[0])
        writer.write(b"x")
        writer.close()

    async with await asyncio.start_server(note, address, 0) as server:
        stream = await dial.connect(address, server.sockets[0].getsockname()[1], timeout=30, local_address=local)
        await stream.read(30)
        stream.abort()
    assert seen == [local]


async def test_an_address_that_is_not_this_machines_is_told_from_a_server_that_refuses() -> None:
    with pytest.raises(BindFailed, match=r"cannot connect from 192\.0\.2\.1"):
        await dial.connect("127.0.0.1", 9, timeout=30, local_address="192.0.2.1")
    with pytest.raises(ConnectFailed, match="cannot connect to") as raised:
        await dial.connect("127.0.0.1", 1, timeout=30, local_address="127.0.0.9")
    assert not isinstance(raised.value, BindFailed)
    assert "192.0.2.1" in dial.bind_fault("192.0.2.1")
    assert dial.bind_fault("127.0.0.9") == ""
