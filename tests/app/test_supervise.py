"""What surrounds the daemons: the lock, the certificate, the start that fails, the daemon that fails."""

import asyncio
import gc
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from sendryd.app.build import Basics, build_basics
from sendryd.app.joining import AlreadyRunning
from sendryd.app.listen import PortTaken, bind, bound_address
from sendryd.app.roles.running import Role
from sendryd.app.settings import Settings, SettingsError, load_settings
from sendryd.app.supervise import DaemonFailed, Process, Ready, lock_data_dir, prepare_certificate
from sendryd.app.values import Address
from sendryd.runtime.owncert import write_self_signed
from sendryd.store.errors import StoreError
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import Samples

pytestmark = pytest.mark.sockets


@pytest.fixture(autouse=True)
def _garbage_collection_as_before() -> Iterator[None]:
    """A process that serves changes it for good."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        {
            "SENDRYD_DATA_DIR": str(tmp_path / "data"),
            "SENDRYD_HOSTNAME": "relay.example.test",
            "SENDRYD_SMTP_LISTEN": "127.0.0.1:0",
            "SENDRYD_HTTP_LISTEN": "127.0.0.1:0",
            "SENDRYD_LOG_FORMAT": "json",
        }
    )


def test_the_lock_is_of_one(tmp_path: Path) -> None:
    held = lock_data_dir(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    with pytest.raises(AlreadyRunning, match="another sendryd serve is running on"):
        lock_data_dir(tmp_path / "data")
    os.close(lock_data_dir(tmp_path / "other"))
    os.close(held)
    os.close(lock_data_dir(tmp_path / "data"))


async def test_the_certificate_is_made_once_and_only_if_it_is_ours_to_make(settings: Settings) -> None:
    basics = await build_basics(settings)
    prepare_certificate(settings, basics)
    made = settings.cert_path.read_bytes()
    assert settings.key_path.stat().st_mode & 0o777 == 0o600
    prepare_certificate(settings, basics)
    assert settings.cert_path.read_bytes() == made
    settings.key_path.write_text("broken")
    with pytest.raises(SettingsError, match="cannot be used"):
        prepare_certificate(settings, basics)
    theirs = settings.model_copy(update={"tls_cert": settings.data_dir / "a.pem", "tls_key": settings.data_dir / "b.pem"})
    with pytest.raises(SettingsError, match=r"a\.pem"):
        prepare_certificate(theirs, basics)
    assert not (settings.data_dir / "a.pem").exists()
    await basics.store.aclose()


async def run_until_ready(process: Process) -> Ready:
    """Starts it; stops it by what raises in the announcement."""
    places: list[Ready] = []

    async def on_ready(ready: Ready) -> None:
        places.append(ready)
        raise StoreError("enough")

    with pytest.raises(StoreError, match="enough"):
        await process.run(on_ready)
    return places[0]


async def test_an_announcement_that_fails_stops_everything(settings: Settings) -> None:
    basics = await build_basics(settings)
    ready = await run_until_ready(Process(basics, frozenset(Role)))
    assert ready.http is not None
    for place in (*ready.smtp, ready.http):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(place.host, place.port)


async def test_a_port_that_is_taken_stops_what_was_begun(settings: Settings) -> None:
    with bind(Address("127.0.0.1", 0)) as taken:
        place = bound_address(taken, Address("127.0.0.1", 0))
        basics = await build_basics(settings.model_copy(update={"http_listen": place}))
        was_ready: list[Ready] = []

        async def on_ready(ready: Ready) -> None:
            was_ready.append(ready)

        with pytest.raises(PortTaken):
            await Process(basics, frozenset(Role)).run(on_ready)
        assert was_ready == []


async def test_a_certificate_that_has_expired_is_warned_about(settings: Settings) -> None:
    write_self_signed(settings.cert_path, settings.key_path, "relay.example.test", ManualClock(datetime(2020, 1, 1, tzinfo=UTC)))
    process = Process(await build_basics(settings), frozenset({Role.SMTP}))  # which configures the logs
    with structlog.testing.capture_logs() as logs:
        await run_until_ready(process)
    assert [entry["path"] for entry in logs if entry["event"] == "certificate_expired"] == [str(settings.cert_path)]


@pytest.mark.parametrize(
    ("public_url", "is_warned_about"),
    [
        ("http://links.example.test", True),
        ("http://192.0.2.1:8025/mail", True),
        ("https://links.example.test", False),
        ("http://127.0.0.1:8025", False),
        ("http://[::1]:8025", False),
        ("http://localhost:8025", False),
        ("", False),
    ],
)
async def test_links_without_tls_are_warned_about(settings: Settings, public_url: str, *, is_warned_about: bool) -> None:
    process = Process(await build_basics(settings.model_copy(update={"public_url": public_url})), frozenset({Role.SMTP}))
    with structlog.testing.capture_logs() as logs:
        await run_until_ready(process)
    warned = [entry for entry in logs if entry["event"] == "public_url_without_tls"]
    assert [entry["public_url"] for entry in warned] == ([public_url] if is_warned_about else [])


@pytest.mark.parametrize("is_damaged", [False, True])
async def test_the_start_says_in_one_line_whether_the_spool_is_whole(settings: Settings, *, is_damaged: bool) -> None:
    basics = await build_basics(settings)
    await basics.store.accept(Samples().message())
    if is_damaged:
        shutil.rmtree(settings.data_dir / "spool")
    process = Process(basics, frozenset({Role.SMTP}))
    with structlog.testing.capture_logs() as logs:

        async def on_ready(_: Ready) -> None:
            said = [entry["event"] for entry in logs]
            assert ("spool_compared" in said) is is_damaged  # what is wrong is said at once, the rest after the announcement
            process._stop.set()

        async with asyncio.timeout(60):
            await process.run(on_ready)
    (line,) = [entry for entry in logs if entry["event"] == "spool_compared"]
    assert (line["segments"], line["messages"]) == (1, 1)
    if is_damaged:
        assert (line["log_level"], line["missing"], line["missing_files"]) == ("error", 1, ["0000000001.seg"])
        assert "restore" in line["advice"]
    else:
        assert line["log_level"] == "info"


async def test_a_daemon_that_fails_is_started_again_and_the_program_goes_on(settings: Settings) -> None:
    process = Process(await build_basics(settings), frozenset({Role.SMTP}))
    starts = 0

    async def fail_once() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise LookupError("a bug")
        process._stop.set()

    process._running.daemons.append(fail_once)

    async def on_ready(_: Ready) -> None:
        pass

    async with asyncio.timeout(60):
        await process.run(on_ready)
    assert starts == 2


async def test_without_a_writer_the_program_ends_in_order(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    basics = await build_basics(settings)
    process = Process(basics, frozenset({Role.SMTP}), certificate_interval=0.01)

    async def on_ready(_: Ready) -> None:
        monkeypatch.setattr(basics.store, "can_write", lambda: False)

    async with asyncio.timeout(60):
        with pytest.raises(DaemonFailed, match="as the log says"):
            await process.run(on_ready)


async def test_the_resolver_may_be_named(settings: Settings) -> None:
    named: Basics = await build_basics(settings.model_copy(update={"dns_resolver": Address("localhost", 5353)}))
    await named.store.aclose()
    with pytest.raises(SettingsError, match=r"DNS_RESOLVER: name-that-is\.invalid"):
        await build_basics(settings.model_copy(update={"dns_resolver": Address("name-that-is.invalid", 53)}))
