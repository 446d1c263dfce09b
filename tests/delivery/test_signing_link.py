"""The signing process: what it says is right, and whatever becomes of it nobody waits for ever."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dkim
import pytest

from sendryd.delivery import signing_process
from sendryd.delivery.signing_link import SigningLink, SigningProcessLost
from sendryd.testing.post import signing_key

pytestmark = pytest.mark.sockets

CONTENT = b"From: a@example.test\r\nSubject: x\r\n\r\nbody\r\n"


def verifies(content: bytes) -> bool:
    return bool(dkim.verify(content, dnsfunc=lambda _name, **_: f"v=DKIM1; k=rsa; p={signing_key()[1]}".encode()))


def example_key() -> tuple[str, str, bytes]:
    return "example.test", "sendry", signing_key()[0]


def other_key() -> tuple[str, str, bytes]:
    return "other.test", "other", signing_key()[0]


@pytest.fixture
async def link() -> AsyncIterator[SigningLink]:
    made = await SigningLink.start()
    yield made
    made.close()


async def sign(link: SigningLink, content: bytes = CONTENT) -> bytes:
    async with asyncio.timeout(60):
        return await link.sign(1, example_key, content, 1_700_000_000)


async def ended(pid: int) -> None:
    async with asyncio.timeout(60):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)


async def test_a_signature_is_made_elsewhere_and_verifies(link: SigningLink) -> None:
    field = await sign(link)
    assert field.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.test;")
    assert b"t=1700000000;" in field
    assert verifies(field + CONTENT)
    assert link.pid != os.getpid()


async def test_each_of_many_gets_its_own(link: SigningLink) -> None:
    contents = [CONTENT.replace(b"body", b"body %d\r\n" % number + b"x" * 70_000 * (number % 3 == 0)) for number in range(40)]
    fields = await asyncio.gather(*(sign(link, content) for content in contents))
    assert all(verifies(field + content) for field, content in zip(fields, contents, strict=True))


async def test_each_key_signs_for_its_domain(link: SigningLink) -> None:
    other = await link.sign(2, other_key, CONTENT, 1)
    assert b"d=other.test;" in other
    assert b"s=other;" in other
    assert b"d=example.test;" in await sign(link)


async def test_more_keys_than_are_kept() -> None:
    link = await SigningLink.start(max_keys=2)  # the process still keeps more, and gets again what it knows
    for number in (1, 2, 3, 1, 2, 3):
        assert verifies(await link.sign(number, example_key, CONTENT, 1) + CONTENT)
    link.close()


def test_the_process_forgets_its_keys_when_there_are_too_many() -> None:
    with pytest.raises(KeyError):
        serve(
            signing_process.key_request(1, *example_key()),
            signing_process.key_request(2, *other_key()),
            signing_process.content_request(1, 1, CONTENT),
            max_keys=1,
        )


def serve(*requests: bytes, max_keys: int = signing_process.MAX_KEYS) -> bytes:
    """What the process answers to these requests, octet by octet."""
    ours, theirs = socket.socketpair()
    answers = bytearray()

    def ask() -> None:
        with ours:
            for octet in b"".join(requests):
                ours.send(bytes((octet,)))
            ours.shutdown(socket.SHUT_WR)
            while data := ours.recv(1000):
                answers.extend(data)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        with theirs:
            signing_process.serve(theirs, max_keys=max_keys)
    finally:
        asking.join()
    return bytes(answers)


def test_requests_may_be_cut_anywhere() -> None:
    request = signing_process.content_request(1, 1, CONTENT)
    answers = bytearray(serve(signing_process.key_request(1, *example_key()), request, request))
    found = list(signing_process.read_replies(answers))
    assert [status for status, _ in found] == [signing_process.SIGNED] * 2
    assert all(verifies(field + CONTENT) for _, field in found)
    assert answers == b""


def test_replies_may_be_cut_anywhere() -> None:
    buffer, found = bytearray(), list[tuple[int, bytes]]()
    for octet in serve(
        signing_process.key_request(1, *example_key()),
        signing_process.content_request(1, 1, CONTENT),
        signing_process.content_request(1, 1, b"no header\r\n"),
    ):
        buffer.append(octet)
        found += signing_process.read_replies(buffer)
    assert [status for status, _ in found] == [signing_process.SIGNED, signing_process.FAILED]
    assert found[1][1] == b"MalformedMessage"


async def test_what_cannot_be_signed_harms_nobody_else(link: SigningLink) -> None:
    good, bad, last = await asyncio.gather(sign(link), sign(link, b"no header\r\n"), sign(link), return_exceptions=True)
    assert isinstance(bad, SigningProcessLost)
    assert isinstance(good, bytes)
    assert isinstance(last, bytes)
    assert link.is_open


async def test_a_cancelled_signature_does_not_stop_others(link: SigningLink) -> None:
    await sign(link)
    impatient = asyncio.create_task(sign(link, CONTENT + b"x" * 100_000))
    patient = asyncio.create_task(sign(link))
    await asyncio.sleep(0)
    impatient.cancel()
    assert verifies(await patient + CONTENT)
    assert impatient.cancelled()


async def test_a_process_that_was_killed(link: SigningLink) -> None:
    await sign(link)
    os.kill(link.pid, signal.SIGSTOP)
    waiting = [asyncio.create_task(sign(link)) for _ in range(3)]
    await asyncio.sleep(0)
    os.kill(link.pid, signal.SIGKILL)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, SigningProcessLost) for result in results)
    assert not link.is_open
    with pytest.raises(SigningProcessLost, match="has gone"):
        await sign(link)
    await ended(link.pid)


async def test_a_process_that_says_nothing_is_ended() -> None:
    link = await SigningLink.start(silence=0.1)
    os.kill(link.pid, signal.SIGSTOP)
    with pytest.raises(SigningProcessLost, match="said nothing"):
        await sign(link)
    await ended(link.pid)


async def test_signals_for_the_whole_group_do_not_end_it(link: SigningLink) -> None:
    await sign(link)
    os.kill(link.pid, signal.SIGINT)
    os.kill(link.pid, signal.SIGTERM)
    os.kill(link.pid, signal.SIGHUP)
    assert verifies(await sign(link) + CONTENT)


async def test_no_module_of_the_working_directory_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "struct.py").write_text("import pathlib\npathlib.Path('was_run').touch()\n")
    monkeypatch.chdir(tmp_path)
    link = await SigningLink.start()
    try:
        assert verifies(await sign(link) + CONTENT)
    finally:
        link.close()
    assert not (tmp_path / "was_run").exists()


async def test_a_start_that_is_broken_off_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, start = threading.Event(), subprocess.Popen
    started: list[subprocess.Popen[bytes]] = []
    sockets: list[int] = []

    def slow(*arguments: Any, **named: Any) -> subprocess.Popen[bytes]:
        gate.wait(5)
        sockets.append(os.fstat(named["stdin"]).st_ino)
        process: subprocess.Popen[bytes] = start(*arguments, **named)
        started.append(process)
        return process

    monkeypatch.setattr(subprocess, "Popen", slow)
    starting = asyncio.create_task(SigningLink.start())
    await asyncio.sleep(0.05)  # the thread is there
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    others = [end for _ in range(3) for end in socket.socketpair()]  # whose numbers must not be taken for that of the process
    try:
        gate.set()
        async with asyncio.timeout(60):
            while not started or started[0].returncode is None:
                await asyncio.sleep(0.01)
        assert sockets[0] not in {os.fstat(end.fileno()).st_ino for end in others}
    finally:
        for end in others:
            end.close()


async def test_it_ends_with_its_link() -> None:
    link = await SigningLink.start()
    waiting = asyncio.create_task(sign(link))
    await asyncio.sleep(0)
    link.close()
    with pytest.raises(SigningProcessLost):
        await waiting
    await ended(link.pid)


async def test_it_ends_when_the_other_side_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio\n"
        "from sendryd.delivery.signing_link import SigningLink\n"
        "async def main():\n"
        "    link = await SigningLink.start()\n"
        "    print(link.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(60):
        while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
            await asyncio.sleep(0.01)
