"""What an operator does: starts, stops, keys, domains, queue, and the lines that the first start prints."""

import json
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendryd.runtime.clock import SystemClock
from sendryd.runtime.owncert import write_self_signed
from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import Script
from sendryd.testing.process import START_TIMEOUT, RelayFailed, RelayProcess
from sendryd.testing.waiting import wait_until
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
CONTENT = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n\r\nbody\r\n".encode()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    """A program without domains, which stays where its first start said that it is."""
    with RelayProcess(tmp_path_factory.mktemp("installed") / "data") as made:
        made.env |= {"SENDRYD_SMTP_LISTEN": made.ready["smtp"], "SENDRYD_HTTP_LISTEN": made.ready["http"].rpartition("//")[2]}
        yield made


@pytest.fixture
def relay(installed: RelayProcess) -> RelayProcess:
    """It runs, whatever the test before did to it."""
    if not installed.is_running:
        installed.start()
    return installed


def log_in(relay: RelayProcess, key: str) -> smtplib.SMTP:
    smtp = smtplib.SMTP(*relay.smtp, timeout=30)
    try:
        smtp.starttls(context=ssl.create_default_context(cafile=str(relay.cert)))
        smtp.login("sendry", key)
    except BaseException:
        smtp.close()
        raise
    return smtp


def test_first_start_later_start_and_stop(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path / "data")
    with relay:
        assert re.fullmatch(r"sn_live_[A-Za-z0-9]{43}", relay.keys["live"])
        assert re.fullmatch(r"sn_test_[A-Za-z0-9]{43}", relay.keys["test"])
        assert (tmp_path / "data" / "tls" / "key.pem").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        with log_in(relay, relay.keys["live"]) as smtp:
            idle = smtplib.SMTP(*relay.smtp, timeout=30)
            assert relay.stop() == 0
            assert idle.noop()[0] == 421
            idle.close()
            assert smtp.noop()[0] == 421
            smtp.close()
        keys = relay.keys
        started = time.monotonic()
        relay.start()
        assert time.monotonic() - started < START_TIMEOUT
        assert "keys" not in relay.ready
        log_in(relay, keys["live"]).quit()


def test_a_transaction_under_way_finishes_when_the_program_stops(relay: RelayProcess) -> None:
    smtp = log_in(relay, relay.keys["test"])
    smtp.mail(AUTHOR)
    smtp.rcpt("user@example.org")
    relay.process.send_signal(signal.SIGTERM)
    code, reply = smtp.data(CONTENT)
    assert code == 250, reply
    assert relay.process.wait(35) == 0
    smtp.close()


def test_a_second_serve_and_a_port_that_is_taken(world: World, tmp_path: Path) -> None:
    again = world.relay.run("serve", "--json", check=False)
    assert again.returncode == 1
    assert again.stderr.decode().count("\n") == 1
    assert b"another sendryd serve" in again.stderr
    host, port = world.relay.smtp
    other = RelayProcess(tmp_path / "other", {"SENDRYD_SMTP_LISTEN": f"{host}:{port}"})
    with pytest.raises(RelayFailed, match=f"cannot listen on {host}:{port}"):
        other.start()
    assert other.process.returncode == 1


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (("suppressions", "add", "nobody"), 1),
        (("serve", "--role", "nonsense"), 2),
        (("serve", "--processes", "2"), 2),
        (("nonsense",), 2),
        (("keys", "create"), 2),
        (("keys", "create", "--name", "x", "--scope", "all"), 2),
        (("keys", "create", "--name", "x", "--expires", "soon"), 2),
        (("keys", "revoke", "key_0000000000000"), 1),
        (("keys", "revoke", "nonsense"), 1),
        (("domains", "show", "missing.test"), 1),
        (("domains", "add", "not a domain"), 1),
        (("domains", "add", SENDING_DOMAIN), 1),
        (("domains", "set", SENDING_DOMAIN, "colour=red"), 2),
        (("queue", "show", "em_0000000000000"), 1),
        (("queue", "cancel", "nonsense"), 1),
        (("send", "--from", "a@b.test", "--to", "c@d.test", "--key", "nonsense"), 1),
    ],
)
def test_exit_statuses_and_one_line(world: World, args: tuple[str, ...], status: int) -> None:
    done = world.relay.run(*args, check=False)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""
    assert done.stderr


def test_a_bad_setting_stops_every_command(world: World) -> None:
    world.relay.env["SENDRYD_NONSENSE"] = "1"
    try:
        done = world.relay.run("keys", "list", check=False)
    finally:
        del world.relay.env["SENDRYD_NONSENSE"]
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1
    assert b"SENDRYD_NONSENSE" in done.stderr


def test_keys(world: World) -> None:
    made = world.relay.json("keys", "create", "--name", "shop", "--scope", "sending_access", "--mode", "test", "--expires", "90d")
    assert (made["scope"], made["mode"], made["key_prefix"]) == ("sending_access", "test", made["key"][:12])
    listed = world.relay.json("keys", "list")
    assert listed["has_more"] is False
    assert "key" not in next(key for key in listed["data"] if key["id"] == made["id"])
    rotated = world.relay.json("keys", "rotate", made["id"], "--grace", "1h")
    assert (rotated["name"], rotated["scope"], rotated["mode"]) == ("shop", "sending_access", "test")
    log_in(world.relay, made["key"]).quit()
    world.relay.run("keys", "revoke", made["id"])
    world.wait_for_config_change()
    with pytest.raises(smtplib.SMTPAuthenticationError):
        log_in(world.relay, made["key"])
    log_in(world.relay, rotated["key"]).quit()
    printed = world.relay.run("keys", "create", "--name", "plain").stdout.decode()
    assert re.fullmatch(r"sn_live_[A-Za-z0-9]{43}\n", printed)


def test_domains(world: World) -> None:
    added = world.relay.json("domains", "add", "B\u00fccher.test")
    assert added["name"] == "xn--bcher-kva.test"
    assert [record["host"].split(".")[0] for record in added["dns_records"]] == ["_dmarc", "sendry", "xn--bcher-kva"]
    pending = world.relay.json("domains", "verify", "b\u00fccher.test")
    assert pending["status"] == "pending"
    assert all(record["reason"] for record in pending["dns_records"])
    names = [domain["name"] for domain in world.relay.json("domains", "list")["data"]]
    assert {"xn--bcher-kva.test", SENDING_DOMAIN} <= set(names)
    assert world.relay.json("domains", "set", "b\u00fccher.test", "track_opens=true")["track_opens"] is True
    assert world.relay.json("domains", "remove", "b\u00fccher.test")["deleted"] is True


def test_the_queue(tmp_path: Path) -> None:
    with World(tmp_path, env={"SENDRYD_RETRY_SCHEDULE": "1h"}, script=Script(rcpt=lambda _: "450 4.2.1 Come back")) as world:
        smtp = log_in(world.relay, world.live_key)
        smtp.sendmail(AUTHOR, ["a@example.org", "b@example.org"], CONTENT)
        smtp.quit()
        rest = RestClient(world.relay, world.live_key)
        (email,) = rest.get("/v1/emails")["data"]
        world.wait_until(lambda: rest.events(email["id"]).count("deferred") == 2)
        assert sum(each["attempts"] for each in world.relay.json("queue", "list")["data"]) == 2
        first = world.relay.json("queue", "list", "--domain", "example.org", "--state", "sending")["data"][0]
        assert first["last_reply"] == "450 4.2.1 Come back"
        shown = world.relay.json("queue", "show", first["id"])
        assert re.search(r"example\.org .*Next try at \d\d:\d\d UTC", shown["explanation"])
        assert shown["attempts_made"][0]["metadata"]["host"] == "mx.example.org"
        assert world.relay.json("queue", "hold", first["id"]) == {"count": 1}
        assert world.relay.json("queue", "show", first["id"])["state"] == "held"
        world.mailhost.script = Script()
        assert world.relay.json("queue", "retry", first["email_id"]) == {"count": 1}
        world.thread.run(world.mailhost.wait_for(1))
        assert world.relay.json("queue", "release", first["email_id"]) == {"count": 1}
        world.relay.wait_for_status(first["email_id"], {"delivered"}, key=world.live_key)
        assert world.relay.json("queue", "list")["data"] == []
        assert world.relay.json("queue", "list", "--older-than", "1h")["data"] == []


def test_send(world: World, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("attached")
    world.relay.env["SENDRYD_SMTP_LISTEN"] = world.relay.ready["smtp"]
    args = ("send", "--from", AUTHOR, "--to", "user@example.org", "--subject", "by hand", "--text", "t", "--html", "<p>h</p>")
    sent = world.relay.json(*args, "--attach", str(file), "--key", world.live_key)
    mail = world.wait_for_mail("by hand")
    assert sent["id"].encode() in mail.content
    assert world.decoded(mail.content).replace(b"\r\n", b"\n") == b"t\n<p>h</p>\nattached"
    refused = world.relay.run("send", "--from", "a@other.test", "--to", "u@example.org", "--key", world.live_key, check=False)
    assert refused.returncode == 1
    assert b"550 5.7.1" in refused.stderr


@pytest.mark.needs("curl", "swaks")
def test_commands_know_the_ports_that_the_system_has_chosen(world: World) -> None:
    assert world.relay.env["SENDRYD_HTTP_LISTEN"].endswith(":0")
    for url in (
        world.relay.json("people", "owner-link")["url"],
        world.relay.json("people", "invite", "ports@acme.example", "--role", "viewer")["url"],
    ):
        assert url.startswith(f"{world.relay.ready['http']}/")
        with urllib.request.urlopen(url, timeout=30) as page:
            assert b'data-page="welcome"' in page.read()
    world.relay.run("people", "remove", "ports@acme.example")
    sent = world.relay.json("send", "--from", AUTHOR, "--to", "user@example.org", "--key", world.live_key)
    world.relay.wait_for_status(sent["id"], {"delivered"}, key=world.live_key)


def test_the_printed_lines_work_as_pasted(relay: RelayProcess, tmp_path: Path) -> None:
    assert wait_until(lambda: "/v1/test-emails" in relay.log_path.read_text("utf-8"))
    printed = relay.log_path.read_text("utf-8")
    blocks = re.findall(r"(?m)^  ((?:.*\\\n)*.*)$", printed.partition("Send a test message with curl:")[2])
    assert [block.split()[0] for block in blocks] == ["printf", "swaks", "curl"]
    before = len(relay.get("/v1/test-emails", relay.keys["test"])[1]["data"])
    for block in blocks[:2]:
        done = subprocess.run(block, shell=True, capture_output=True, timeout=60, check=False, cwd=tmp_path)
        assert done.returncode == 0, (block, done.stdout, done.stderr)
    inbox = json.loads(subprocess.run(blocks[2], shell=True, capture_output=True, timeout=60, check=True).stdout)
    assert len(inbox["data"]) == before + 2


def test_migrate_version_and_config_file(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path / "data")
    names = relay.json("migrate", "--dry-run")["pending"]
    assert names[:2] == ["0001_initial", "0002_rest"]
    assert relay.json("migrate") == {"applied": names}
    assert relay.json("migrate") == {"applied": []}
    assert relay.run("version").stdout.decode().strip() == relay.json("version")["version"]
    config = tmp_path / "sendryd.toml"
    config.write_text("nonsense = 1\n")
    assert b"nonsense" in relay.run("--config", str(config), "keys", "list", check=False).stderr


def test_implicit_tls_https_and_a_certificate_that_changes(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {"SENDRYD_SMTPS_LISTEN": f"127.0.0.1:{port}", "SENDRYD_HTTP_TLS": "true"}
    with RelayProcess(tmp_path / "data", env) as relay:
        context = ssl.create_default_context(cafile=str(relay.cert))
        with smtplib.SMTP_SSL("127.0.0.1", port, context=context, timeout=30) as smtp:
            smtp.login("sendry", relay.keys["test"])
            assert not smtp.has_extn("starttls")
            smtp.sendmail(AUTHOR, ["user@example.org"], CONTENT)
        with urllib.request.urlopen(relay.ready["http"] + "/healthz", context=context, timeout=30) as response:
            assert response.status == 200
        before = relay.cert.read_bytes()
        write_self_signed(tmp_path / "cert.pem", tmp_path / "key.pem", "relay.example.test", SystemClock())
        for name in ("key.pem", "cert.pem"):
            (tmp_path / name).rename(tmp_path / "data" / "tls" / name)
        assert relay.cert.read_bytes() != before
        context = ssl.create_default_context(cafile=str(relay.cert))

        def is_new() -> bool:
            try:
                with smtplib.SMTP_SSL("127.0.0.1", port, context=context, timeout=30):
                    return True
            except ssl.SSLCertVerificationError:
                return False

        assert wait_until(is_new)  # it is looked at every ten seconds, without being told


def test_the_key_is_in_no_log_and_no_file(world: World) -> None:
    smtp = log_in(world.relay, world.live_key)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        log_in(world.relay, world.live_key[:-1] + "!")
    smtp.docmd(f"NONSENSE {world.live_key}")
    smtp.quit()
    status, _ = world.relay.get("/v1/emails", world.live_key + "x")
    assert status == 401
    secret = world.live_key.encode()
    after_start = world.relay.log_path.read_bytes().partition(b"/v1/test-emails")[2]
    assert secret[8:] not in after_start
    for path in world.relay.data_dir.rglob("*"):
        if path.is_file():
            assert secret[8:] not in path.read_bytes(), path


def test_guessing_is_slowed_down_and_a_right_key_is_not(relay: RelayProcess) -> None:
    def guess() -> float:
        started = time.monotonic()
        with pytest.raises(smtplib.SMTPAuthenticationError):
            log_in(relay, "sn_live_" + "x" * 43)
        return time.monotonic() - started

    threads = [threading.Thread(target=guess) for _ in range(5)]  # each tries two mechanisms
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guess() > 0.5
    started = time.monotonic()
    log_in(relay, relay.keys["live"]).quit()
    assert time.monotonic() - started < 5


@pytest.mark.needs("root", "mount")
def test_a_full_disk_is_told_to_the_client_and_passes(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
    try:
        with RelayProcess(disk / "data") as relay:
            smtp = log_in(relay, relay.keys["test"])
            large = CONTENT + (b"z" * 70 + b"\r\n") * 4000
            codes = []
            for _ in range(30):
                code = smtp.mail(AUTHOR)[0]
                if code == 250:
                    smtp.rcpt("user@example.org")
                    code = smtp.data(large)[0]
                codes.append(code)
            assert codes[0] == 250
            assert codes[-1] == 452
            accepted = codes.count(250)
            assert smtp.noop()[0] == 250
            subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
            smtp.mail(AUTHOR)
            smtp.rcpt("user@example.org")
            assert smtp.data(large)[0] == 250
            smtp.quit()
            _, inbox = relay.get("/v1/test-emails?limit=100", relay.keys["test"])
            assert len(inbox["data"]) == accepted + 1
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
