"""Settings do what they say, in the real program."""

import json
import re
import smtplib
import ssl
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sendryd.testing.process import RelayProcess
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
RECIPIENT = "user@example.org"


def log_in(relay: RelayProcess, key: str, place: tuple[str, int] | None = None) -> smtplib.SMTP:
    smtp = smtplib.SMTP(*(place or relay.smtp), timeout=30)
    smtp.starttls(context=ssl.create_default_context(cafile=str(relay.cert)))
    smtp.login("sendry", key)
    return smtp


def test_each_takes_effect(tmp_path: Path) -> None:
    env = {
        "SENDRYD_HOSTNAME": "mail.shop.test",
        "SENDRYD_PUBLIC_URL": "https://links.shop.test/mail",
        "SENDRYD_SMTP_LISTEN": "127.0.0.1:0,[::1]:0",
        "SENDRYD_SMTP_PUBLIC_PORT": "587",
        "SENDRYD_TRUSTED_PROXIES": "127.0.0.1",
        "SENDRYD_DKIM_SELECTOR": "s2026",
        "SENDRYD_MAX_MESSAGE_SIZE": "64KiB",
        "SENDRYD_MAX_RECIPIENTS": "2",
        "SENDRYD_HIDE_CLIENT_ADDRESS": "true",
    }
    with World(tmp_path, env=env) as world:
        info = world.relay.get("/v1/smtp/info", world.live_key)[1]
        assert (info["host"], info["port"]) == ("mail.shop.test", 587)
        log = [json.loads(line) for line in world.relay.log_path.read_text("utf-8").splitlines() if line.startswith("{")]
        listeners = next(entry["smtp"] for entry in log if entry["event"] == "ready")
        assert [place.rpartition(":")[0] for place in listeners] == ["127.0.0.1", "[::1]"]
        log_in(world.relay, world.live_key, ("::1", int(listeners[1].rpartition(":")[2]))).quit()

        smtp = log_in(world.relay, world.live_key)
        smtp.ehlo("vm")
        assert (smtp.ehlo_resp or b"").split()[0] == b"mail.shop.test"
        assert smtp.esmtp_features["size"] == str(64 * 1024)
        assert smtp.mail(AUTHOR, ["SIZE=70000"])[0] == 552
        smtp.mail(AUTHOR)
        assert [smtp.rcpt(path)[0] for path in (RECIPIENT, "b@example.org", "c@example.org")] == [250, 250, 452]
        smtp.rset()
        page = f"From: {AUTHOR}\r\nSubject: tracked\r\nX-Sendry-Track: opens\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n"
        smtp.sendmail(AUTHOR, [RECIPIENT], page)
        smtp.quit()
        mail = world.wait_for_mail("tracked")
        assert b"; d=example.test;\r\n\ts=s2026;" in mail.content
        assert b"127.0.0.1" not in mail.content
        assert b"by mail.shop.test with ESMTPSA" in mail.content

        pixel = re.search(rb"https://links\.shop\.test/mail(/o/[\w-]+)", world.decoded(mail.content))
        assert pixel is not None
        request = urllib.request.Request(world.relay.ready["http"] + pixel[1].decode(), headers={"X-Forwarded-For": "203.0.113.7"})
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.status == 200
        path = "/v1/logs?type=opened"
        world.wait_until(lambda: bool(world.relay.get(path, world.live_key)[1]["data"]))
        assert world.relay.get(path, world.live_key)[1]["data"][0]["metadata"]["ip"] == "203.0.113.7"


def test_requests_over_the_rate_are_told_when_to_come_back(tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "data", {"SENDRYD_API_RATE_LIMIT": "3/1h"}) as relay:
        answers = [relay.get("/v1/emails", relay.keys["live"]) for _ in range(4)]
        assert [status for status, _ in answers] == [200, 200, 200, 429]
        assert answers[-1][1]["error"]["code"] == "rate_limited"
        assert relay.get("/v1/emails", relay.keys["test"])[0] == 200  # each key has its own


def test_the_certificate_that_is_made(tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "data") as relay:
        made = x509.load_pem_x509_certificate(relay.cert.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["relay.example.test", "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    lifetime = made.not_valid_after_utc - made.not_valid_before_utc
    assert timedelta(days=824) < lifetime <= timedelta(days=825)
    key = made.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_certificate_is_a_ca_file_for_clients(world: World, host: str) -> None:
    with smtplib.SMTP(host, world.relay.smtp[1], timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        assert smtp.noop()[0] == 250
