"""DANE of the real program with a validating resolver: TLSA records of a signed zone are obeyed, and mail waits where they cannot be had."""

import hashlib
import ssl
from collections.abc import Iterator

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import ReceivingServer
from sendryd.testing.world import World

from .security import Receivers
from .signed_zone import Unbound, sign

pytestmark = pytest.mark.needs("unbound")

ZONE = "signed.test"
CLEAR = "127.0.0.2"  # of the mail server without TLS


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    directory = tmp_path_factory.mktemp("dane")
    tls, issued = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA().issue_cert("no.name.that.counts.test")
    issued.configure_cert(tls)
    key = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    world = World(directory, tls=tls)
    clear = ReceivingServer(host=CLEAR, port=world.mailhost.port)
    world.thread.run(clear.start())
    place, records = f"_{world.mailhost.port}._tcp", {}
    for name, address, record in [
        ("good", "127.0.0.1", f"3 1 1 {digest}"),
        ("other", "127.0.0.1", f"3 1 1 {'0' * 64}"),
        ("forged", "127.0.0.1", f"3 1 1 {digest[:-1]}1"),
        ("clear", CLEAR, f"3 1 1 {digest}"),
        ("none", "127.0.0.1", ""),
    ]:
        records[name, "MX"] = f"10 mx-{name}"
        records[f"mx-{name}", "A"] = address
        if record:
            records[f"{place}.mx-{name}", "TLSA"] = record
    signed, anchor = sign(ZONE, records, forged=f"{place}.mx-forged")
    world.nameserver.set("unsigned.test", "MX", "10 mx.unsigned.test.")
    world.nameserver.set("mx.unsigned.test", "A", "127.0.0.1")
    world.nameserver.set(f"{place}.mx.unsigned.test", "TLSA", f"3 1 1 {'0' * 64}")
    with Unbound(directory, ZONE, signed, anchor, others=("unsigned.test", "example.test"), upstream=world.nameserver.port) as unbound:
        world.relay.env["SENDRYD_DNS_RESOLVER"] = f"127.0.0.1:{unbound.port}"
        with world:
            try:
                yield Receivers(world, clear, RestClient(world.relay, world.live_key))
            finally:
                world.thread.run(clear.aclose())


@pytest.mark.parametrize(
    ("domain", "security"), [(f"good.{ZONE}", "dane"), (f"none.{ZONE}", "opportunistic"), ("unsigned.test", "opportunistic")]
)
def test_mail_goes_to_the_server_whose_key_the_dns_names(receivers: Receivers, domain: str, security: str) -> None:
    delivered = receivers.event(receivers.send(domain), "delivered")
    assert (delivered["tls_security"], delivered["tls"]) == (security, "TLSv1.3")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other", f"The DNS of other.{ZONE}'s mail server asks for the key that it names (DANE), and mx-other.{ZONE} has not shown it"),
        ("clear", f"mx-clear.{ZONE} has not shown it: the server does not offer STARTTLS"),
        ("forged", f"The TLSA records of mx-forged.{ZONE} could not be had, so nothing was sent to it"),
    ],
)
def test_mail_waits_where_the_key_is_another_or_cannot_be_had(receivers: Receivers, name: str, reason: str) -> None:
    message_id = receivers.send(f"{name}.{ZONE}")
    deferred = receivers.event(message_id, "deferred")
    assert (deferred["enhanced_code"], deferred["category"], deferred["tls_security"]) == ("4.7.5", "tls_failure", "dane")
    assert reason in deferred["reason"]
    shown = receivers.world.relay.json("queue", "show", message_id, "--json")
    assert "a server with the key that its DNS names (DANE)" in str(shown)
    assert f"Subject: to {name}.{ZONE}".encode() not in receivers.subjects()
    assert not [line for line in receivers.clear.commands if line.startswith("MAIL")]
