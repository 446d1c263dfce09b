"""The machine fails under the real program: its log is not read, its disk gives errors, it runs out of descriptors."""

import os
import resource
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sendryd.testing.mailhost import Script
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
CONTENT = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n\r\nbody\r\n".encode()


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of its own, which tries again at once."""
    with World(tmp_path_factory.mktemp("faults"), env={"SENDRYD_RETRY_SCHEDULE": "200ms"}) as made:
        yield made


@pytest.fixture
def world(troubled: World) -> Iterator[World]:
    """It runs, with a friendly receiving server; what the tests before sent has arrived."""
    if not troubled.relay.is_running:
        troubled.relay.start()
    yield troubled
    troubled.mailhost.script = Script()


def log_in(world: World) -> smtplib.SMTP:
    smtp = smtplib.SMTP(*world.relay.smtp, timeout=30)
    try:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", world.live_key)
    except BaseException:
        smtp.close()
        raise
    return smtp


def submit(smtp: smtplib.SMTP, recipient: str = "user@example.org") -> tuple[int, str]:
    """Code and text of the reply to the final dot."""
    smtp.mail(AUTHOR)
    smtp.rcpt(recipient)
    code, reply = smtp.data(CONTENT)
    return code, reply.decode().rpartition(" ")[2]


def test_a_log_that_nobody_reads_and_one_whose_reader_is_gone(world: World, tmp_path: Path) -> None:
    world.relay.stop()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    full = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(full, b"x" * 512)
    except BlockingIOError:
        pass
    world.relay.log_path, log_path = fifo, world.relay.log_path
    world.relay.start()
    world.nameserver.set("nomail.test", "MX", "0 .")
    with log_in(world) as smtp:
        for _ in range(2):
            code, message_id = submit(smtp, "user@nomail.test")
            assert code == 250
            world.relay.wait_for_status(message_id, {"bounced"}, key=world.live_key)
            if full >= 0:
                os.close(full)
                full = -1
    assert world.relay.stop() == 0
    world.relay.log_path = log_path


@contextmanager
def failing(world: World, *injections: str) -> Iterator[None]:
    """System calls of the running program fail as strace is told."""
    trace = world.directory / "trace"
    command = ["strace", "-f", "-q", "-o", str(trace), "-p", str(world.relay.process.pid)]
    for injection in injections:
        command += ["-e", f"inject={injection}"]
    names = ",".join(injection.partition(":")[0] for injection in injections)
    log = world.directory / "strace.log"
    with open(log, "wb") as file, subprocess.Popen([*command, "-e", f"trace={names}"], stderr=file) as strace:
        status = Path(f"/proc/{world.relay.process.pid}/status")
        world.wait_until(lambda: f"TracerPid:\t{strace.pid}\n" in status.read_text())
        try:
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait(20)


def ids_of_mail(world: World) -> list[str]:
    """Of all that was accepted."""
    status, body = world.relay.get("/v1/emails?limit=100", world.live_key)
    assert status == 200
    return [each["id"] for each in body["data"]]


@pytest.mark.needs("strace")
def test_a_disk_that_gives_errors_is_told_and_passes(world: World) -> None:
    accepted = []
    before = set(ids_of_mail(world))
    mails = len(world.mailhost.mails)
    with log_in(world) as smtp:
        for fault, codes in (
            ("fdatasync:error=EIO", {451}),
            ("pwrite64:error=ENOSPC", {452}),
            ("writev:error=ENOSPC", {452}),
        ):
            with failing(world, fault):
                refused = [submit(smtp)[0] for _ in range(3)]
                assert set(refused) == codes, (fault, refused)
                if not fault.startswith("writev"):  # of the contents alone
                    world.wait_until(lambda: world.relay.get("/readyz")[0] == 503)
                assert world.relay.get("/healthz")[0] == 200
            code, message_id = submit(smtp)
            assert code == 250
            accepted.append(message_id)
            world.wait_until(lambda: world.relay.get("/readyz")[0] == 200)
    for message_id in accepted:
        world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
    world.relay.kill()
    world.relay.start()
    for message_id in accepted:
        world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
    assert sorted(set(ids_of_mail(world)) - before) == sorted(accepted)
    assert len(world.mailhost.mails) == mails + len(accepted)


@pytest.mark.needs("strace")
def test_an_outcome_that_cannot_be_stored_is_stored_later_and_nothing_is_sent_twice(world: World) -> None:
    taken = threading.Event()
    go_on = threading.Event()

    def final(_mail: object) -> None:
        taken.set()
        go_on.wait(30)

    world.mailhost.script = Script(final=final)
    mails = len(world.mailhost.mails)
    with log_in(world) as smtp:
        code, message_id = submit(smtp)
        assert code == 250
        assert taken.wait(30)
        with failing(world, "fdatasync:error=EIO"):
            go_on.set()
            world.wait_until(lambda: "outcome_not_recorded" in world.relay.log_tail())
            assert submit(smtp)[0] == 451
        world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
        code, later = submit(smtp)
        assert code == 250
        world.relay.wait_for_status(later, {"delivered"}, key=world.live_key)
        assert len(world.mailhost.mails) == mails + 2


def count_descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def test_a_program_without_descriptors_waits_and_goes_on(world: World) -> None:
    with log_in(world) as smtp:
        pid = world.relay.process.pid
        limit = count_descriptors(pid) + 8
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
        held: list[socket.socket] = []
        try:
            held += [socket.create_connection(world.relay.smtp, timeout=60) for _ in range(40)]
            world.wait_until(lambda: count_descriptors(pid) == limit)
            worked = world.relay.worked
            code, message_id = submit(smtp)  # no descriptor is left to deliver it
            assert code in {250, 451}
            threading.Event().wait(1)
            assert world.relay.worked - worked < 0.7  # it does not turn round and round
        finally:
            for each in held:
                each.close()
    with log_in(world) as smtp:
        code, later = submit(smtp)
        assert code == 250
    world.relay.wait_for_status(later, {"delivered"}, key=world.live_key)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    if message_id.startswith("em_"):
        world.relay.run("queue", "retry", message_id, check=False)
        world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
    assert world.relay.stop() == 0
