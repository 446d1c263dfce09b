"""Reports of others at port 25 of the real program: kept for domains of ours, and for no other."""

import base64
import gzip
import io
import smtplib
import zipfile
from collections.abc import Iterator

import pytest

from sendryd.runtime.clock import SystemClock
from sendryd.testing.world import SENDING_DOMAIN, World

pytestmark = pytest.mark.sockets

BOUNCES = "bounce.example.test"
DAY = 86_400


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = {"SENDRYD_BOUNCE_DOMAIN": BOUNCES, "SENDRYD_INBOUND_LISTEN": "127.0.0.1:0"}
    with World(tmp_path_factory.mktemp("reports"), env=settings) as made:
        made.nameserver.set_text("reporter.test", "v=spf1 ip4:127.0.0.1 -all")
        yield made


def dmarc(domain: str, key: str) -> bytes:
    now = int(SystemClock().now().timestamp())
    return (
        f"<feedback><report_metadata><org_name>Reporter</org_name><report_id>{key}</report_id><date_range><begin>{now - DAY}</begin>"
        f"<end>{now}</end></date_range></report_metadata><policy_published><domain>{domain}</domain><p>none</p></policy_published><record>"
        "<row><source_ip>192.0.2.1</source_ip><count>7</count><policy_evaluated><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>"
        "</record></feedback>"
    ).encode()


def zipped(octets: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.xml", octets)
    return packed.getvalue()


def send(world: World, to: str, octets: bytes, *, sender: str = "dmarc@reporter.test") -> tuple[int, str]:
    """Sends a mail with an attachment to port 25; the last reply."""
    text = (
        f"From: {sender}\r\nSubject: Report\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
        + base64.encodebytes(octets).replace(b"\n", b"\r\n")
    )
    host, _, port = world.relay.ready["inbound"].rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=30) as smtp:
        smtp.ehlo("mx.reporter.test")
        assert smtp.mail(sender)[0] == 250
        code, said = smtp.rcpt(to)
        if code == 250:
            code, said = smtp.data(text)
        return code, said.decode()


def test_a_report_about_our_domain_is_kept_once_with_what_proves_its_sender(world: World) -> None:
    report = gzip.compress(dmarc(SENDING_DOMAIN, "one"))
    for _ in range(2):
        assert send(world, f"DMARC@{BOUNCES}", report)[0] == 250
    assert send(world, f"tls@{BOUNCES}", gzip.compress(dmarc(SENDING_DOMAIN, "two")), sender="x@forger.test")[0] == 250
    forged, proved = world.relay.json("reports", "list", "--domain", SENDING_DOMAIN)["data"]
    assert (proved["reporter"], proved["report_id"], proved["good"], proved["bad"]) == ("Reporter", "one", 7, 0)
    assert (proved["sender"], proved["is_authenticated"], forged["sender"], forged["is_authenticated"]) == (
        "reporter.test",
        True,
        "forger.test",
        False,
    )
    shown = world.relay.json("reports", "show", proved["id"])
    assert shown["rows"] == [{"number": 7, "is_good": True, "source": "192.0.2.1", "details": {"dkim": "pass", "spf": "fail"}}]
    assert b"192.0.2.1" in world.relay.run("reports", "show", forged["id"]).stdout


def test_what_is_about_others_or_no_report_changes_nothing(world: World) -> None:
    before = world.relay.json("reports", "list")["data"]
    assert send(world, f"dmarc@{BOUNCES}", gzip.compress(dmarc("other.test", "one")))[0] == 250
    assert send(world, f"dmarc@{BOUNCES}", gzip.compress(dmarc(f"sub.{SENDING_DOMAIN}", "one")))[0] == 250
    large = dmarc(SENDING_DOMAIN, "large") + b" " * 10_000_000  # a report, but for its size
    for octets in (
        b"hello",
        gzip.compress(large),
        zipped(large),
        gzip.compress(b'<!DOCTYPE x [<!ENTITY a "b">]>' + dmarc(SENDING_DOMAIN, "three")),
    ):
        code, reply = send(world, f"dmarc@{BOUNCES}", octets)
        assert (code, "takes reports" in reply) == (550, True)
    code, reply = send(world, f"dmarc@{BOUNCES}", b"x" * 900_000)
    assert (code, "cannot be read" in reply) == (554, True)
    assert world.relay.json("reports", "list")["data"] == before
