"""What is observed of the machine."""

import ssl
from pathlib import Path

from sendryd.policy.tls import TlsaRecord
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.dane import mismatch
from sendryd.runtime.machine import certificate_tlsa
from sendryd.runtime.owncert import write_self_signed


def test_the_tlsa_record_of_a_certificate_is_one_that_it_matches(tmp_path: Path) -> None:
    cert, clock = tmp_path / "cert.pem", SystemClock()
    write_self_signed(cert, tmp_path / "key.pem", "relay.example.test", clock)
    usage, selector, kind, digest = certificate_tlsa(cert).split()
    record = TlsaRecord(int(usage), int(selector), int(kind), bytes.fromhex(digest))
    assert record.is_usable
    der = ssl.PEM_cert_to_DER_cert(cert.read_text())
    assert mismatch([der], [record], ["relay.example.test"], clock.now()) == ""
    cert.write_text("no certificate")
    assert certificate_tlsa(cert) == certificate_tlsa(tmp_path / "missing.pem") == ""
