"""`sendryd serve`: the first start, later starts, refusals, signals. The program runs as a child; it listens on loopback."""

import json
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendryd.runtime.clock import SystemClock
from sendryd.runtime.owncert import write_self_signed
from sendryd.testing.process import RelayFailed, RelayProcess
from sendryd.testing.waiting import wait_until

pytestmark = pytest.mark.sockets
SECRET = re.compile(r"sn_(?:live|test)_[A-Za-z0-9]{43}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    """A relay that the tests leave as they found it."""
    with RelayProcess(tmp_path_factory.mktemp("running") / "data") as made:
        yield made


def test_keys_of_a_first_start_that_was_killed_between_them_are_made_anew(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path / "data")
    half = relay.json("keys", "create", "--name", "first live key", "--mode", "live")
    with relay:
        assert set(relay.keys) == {"live", "test"}
        assert relay.get("/v1/emails", str(half["key"]))[0] == 401
        assert relay.get("/v1/emails", relay.keys["live"])[0] == 200
        relay.stop()
        relay.start()
        assert "keys" not in relay.ready


def test_the_first_start_says_everything_and_later_ones_keep_keys_to_themselves(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path / "with space")
    with relay:
        assert set(relay.ready) == {"event", "smtp", "http", "keys", "tls_cert", "owner_url"}
        assert relay.ready["event"] == "ready"
        printed = relay.log_path.read_text("utf-8")
        assert printed.startswith("\nsendryd is ready.\n")  # before any line of the log
        for part in (relay.ready["smtp"], relay.ready["http"], relay.keys["live"], relay.keys["test"], relay.ready["tls_cert"]):
            assert part in printed
        assert f"{relay.ready['http']}/docs" in printed
        to_paste = printed.partition("Send a test message")[2]
        assert relay.keys["live"] not in to_paste
        assert to_paste.count(relay.keys["test"]) == 3
        assert to_paste.count(f"'{relay.cert}'") == 2  # a path with a space, quoted
        assert relay.cert == (tmp_path / "with space" / "tls" / "cert.pem").resolve()
        assert relay.stop() == 0
        relay.start()
        assert set(relay.ready) == {"event", "smtp", "http", "tls_cert", "owner_url"}
        assert not SECRET.search(relay.log_path.read_text("utf-8")[len(printed) :])


def test_a_first_start_that_fails_makes_no_keys(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        relay = RelayProcess(tmp_path / "data", {"SENDRYD_HTTP_LISTEN": place})
        with pytest.raises(RelayFailed):
            relay.start()
        assert relay.process.returncode == 1
        assert relay.log_path.read_text("utf-8") == f"sendryd: cannot listen on {place}: Address already in use (SENDRYD_HTTP_LISTEN)\n"
        assert relay.json("keys", "list")["data"] == []
    with relay:
        assert set(relay.keys) == {"live", "test"}


def test_standard_output_has_the_one_document(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path / "data")
    command = [sys.executable, "-m", "sendryd", "serve", "--json"]
    with subprocess.Popen(command, env=relay.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        ready = json.loads(child.stdout.readline())
        host, _, port = ready["smtp"].rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=30) as smtp:
            assert smtp.noop()[0] == 250
        child.send_signal(signal.SIGTERM)
        assert child.stdout.read() == b""
        assert child.wait(35) == 0


def test_without_json_standard_output_is_silent(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path / "data")
    log = tmp_path / "log"
    with open(log, "wb") as file:
        child = subprocess.Popen([sys.executable, "-m", "sendryd", "serve"], env=relay.env, stdout=subprocess.PIPE, stderr=file)
    with child:
        assert wait_until(lambda: b'"event": "ready"' in log.read_bytes())
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=35)[0] == b""
        assert child.returncode == 0


def test_a_second_serve_is_refused_and_the_lock_ends_with_the_process(running: RelayProcess) -> None:
    for args in (("serve",), ("serve", "--json"), ("serve", "--role", "upkeep")):
        again = running.run(*args, check=False)
        assert (again.returncode, again.stdout) == (1, b"")
        assert (
            again.stderr.decode()
            == f"sendryd: another sendryd serve is running on {running.data_dir}: stop it, or set SENDRYD_DATA_DIR to another folder\n"
        )
    running.kill()
    running.start()


def test_roles(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path / "data", args=("--role", "http,upkeep,webhooks"))
    with relay:
        assert relay.ready["smtp"] is None
        assert relay.get("/v1/smtp/info", relay.keys["live"])[0] == 200
        assert "None" not in relay.log_path.read_text("utf-8")
        assert relay.stop() == 0
    relay.args = ("--role", "smtp")
    with relay:
        assert relay.ready["http"] is None
        smtp = smtplib.SMTP(*relay.smtp, timeout=30)
        assert smtp.quit()[0] == 221


def test_changes_by_the_command_line_are_seen(running: RelayProcess) -> None:
    made = running.json("keys", "create", "--name", "new")
    assert wait_until(lambda: running.get("/v1/smtp/info", made["key"])[0] == 200)
    running.json("keys", "revoke", made["id"])
    assert wait_until(lambda: running.get("/v1/smtp/info", made["key"])[0] == 401)


def test_what_should_not_stay_so_is_warned_about(tmp_path: Path, running: RelayProcess) -> None:
    with RelayProcess(tmp_path / "data", {"SENDRYD_HTTP_LISTEN": "0.0.0.0:0"}) as relay:
        log = relay.log_path.read_text("utf-8")
        assert "http_without_tls" in log
        port = relay.ready["http"].rpartition(":")[2]
        assert f"'http://localhost:{port}/v1/test-emails'" in log
        assert f"described at http://localhost:{port}/docs" in log
        assert relay.stop() == 0
    assert "http_without_tls" not in running.log_path.read_text("utf-8")


def test_links_name_the_server_where_it_listens_on_every_address(tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "data", {"SENDRYD_HTTP_LISTEN": "[::]:0"}) as relay:
        with smtplib.SMTP(*relay.smtp, timeout=30) as smtp:
            smtp.starttls(context=ssl.create_default_context(cafile=str(relay.cert)))
            smtp.login("sendry", relay.keys["test"])
            smtp.sendmail("a@example.test", ["b@example.org"], "From: a@example.test\n\nx")
        relay.ready["http"] = relay.ready["http"].replace("[::]", "127.0.0.1")
        (message,) = relay.get("/v1/emails", relay.keys["test"])[1]["data"]
        shared = relay.get(f"/v1/emails/{message['id']}/share", relay.keys["test"])[1]
        port = relay.ready["http"].rpartition(":")[2]
        assert shared["url"].startswith(f"http://relay.example.test:{port}/s/")


def test_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "broken.pem"
    for env in (
        {"SENDRYD_TLS_CERT": str(tmp_path / "missing.pem"), "SENDRYD_TLS_KEY": str(tmp_path / "missing.key")},
        {"SENDRYD_TLS_CERT": str(file), "SENDRYD_TLS_KEY": str(file)},
    ):
        file.write_text("nothing of the kind")
        done = RelayProcess(tmp_path / "data", env).run("serve", check=False)
        assert done.returncode == 2
        assert done.stderr.count(b"\n") == 1
        assert env["SENDRYD_TLS_CERT"].encode() in done.stderr


def test_sighup_reloads_the_log_level_and_the_certificate_of_https(tmp_path: Path) -> None:
    config = tmp_path / "sendryd.toml"
    config.write_text('log_level = "error"\n')
    relay = RelayProcess(tmp_path / "data", {"SENDRYD_HTTP_TLS": "true", "SENDRYD_CONFIG": str(config)})
    with relay:
        assert '"event"' not in relay.log_path.read_text("utf-8")
        before = relay.cert.read_bytes()
        write_self_signed(tmp_path / "cert.pem", tmp_path / "key.pem", "relay.example.test", SystemClock())
        for name in ("key.pem", "cert.pem"):
            (tmp_path / name).replace(relay.cert.with_name(name))
        assert relay.cert.read_bytes() != before
        config.write_text('log_level = "info"\n')
        relay.process.send_signal(signal.SIGHUP)
        context = ssl.create_default_context(cafile=str(relay.cert))

        def is_served() -> bool:
            try:
                with urllib.request.urlopen(relay.ready["http"] + "/healthz", context=context, timeout=30) as response:
                    return bool(response.status == 200)
            except OSError:
                return False

        assert wait_until(is_served)
        assert wait_until(lambda: '"reloaded"' in relay.log_path.read_text("utf-8"))
        assert "settings_need_a_restart" not in relay.log_path.read_text("utf-8")
        config.write_text('log_level = "info"\nmax_recipients = 5\n')
        relay.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: '"settings": ["max_recipients"]' in relay.log_path.read_text("utf-8"))
        config.write_text("nonsense = 1\n")
        relay.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "settings_not_reloaded" in relay.log_path.read_text("utf-8"))
        assert relay.stop() == 0


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "data") as relay:
        smtp = smtplib.SMTP(*relay.smtp, timeout=60)
        smtp.starttls(context=ssl.create_default_context(cafile=str(relay.cert)))
        smtp.login("sendry", relay.keys["test"])
        smtp.mail("a@example.test")
        smtp.rcpt("b@example.org")
        smtp.docmd("DATA")  # a transaction that does not come to its end
        relay.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: '"stopping"' in relay.log_path.read_text("utf-8"))
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(relay.smtp, timeout=30)
        assert relay.is_running
        relay.process.send_signal(signal.SIGTERM)
        assert relay.process.wait(20) == 1  # the transaction had 30 to come to its end
        smtp.close()


def test_a_stop_does_not_wait_for_a_thread_that_is_stuck(tmp_path: Path) -> None:
    """No thread of ours computes for long; a disk that does not answer keeps one for ever."""
    (tmp_path / "sitecustomize.py").write_text(
        "import asyncio, sys\n"
        "from importlib.abc import MetaPathFinder\n"
        "class Stuck(MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'uvicorn':  # imported in the event loop, when the door is opened\n"
        "            import threading\n"
        "            asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)\n"
        "            sys.meta_path.remove(self)\n"
        "sys.meta_path.insert(0, Stuck())\n"
    )
    relay = RelayProcess(tmp_path / "data", {"PYTHONPATH": str(tmp_path)})
    with relay:
        started = time.monotonic()
        assert relay.stop() == 0
        assert 2 < time.monotonic() - started < 20  # it waited for the thread, for THREADS_TIMEOUT
