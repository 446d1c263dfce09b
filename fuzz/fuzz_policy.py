"""What strangers publish about TLS: MTA-STS records and policies, who wants TLS reports, and the certificates that DANE looks at."""

from datetime import UTC, datetime

from drive import drive

from sendryd.policy.mtasts import MAX_MAX_AGE, MAX_MX, PolicyInvalid, StsMode, read_policy, read_record
from sendryd.policy.tls import HostDane, TlsaRecord
from sendryd.policy.tlsrpt import MAX_DESTINATIONS, describe_sts, read_destinations
from sendryd.runtime.dane import mismatch

NOW = datetime(2026, 11, 29, tzinfo=UTC)
SEEDS = [
    b"version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmx: *.b.test\r\nmax_age: 86400\r\n",
    b"v=STSv1; id=20261129;",
    b"v=TLSRPTv1; rua=mailto:a@a.test,https://r.a.test/v1",
]
PIECES = [b"version:", b"mode:", b"mx:", b"max_age:", b"STSv1", b"enforce", b"none", b"*.", b"*", "ü.test".encode(), b"xn--", b"\n", b"\r", b"\0", b"v=", b";", b"id=", b"rua=", b",", b"mailto:", b"https://", b"9" * 12, b"0\x82", b"\x30\x80"]  # fmt: skip


def test(data: bytes) -> None:
    """One text for all of them."""
    try:
        policy = read_policy(data)
    except PolicyInvalid:
        policy = None
    if policy is not None:
        assert policy.mx or policy.mode is StsMode.NONE
        assert len(policy.mx) <= MAX_MX
        assert 0 <= policy.max_age <= MAX_MAX_AGE
        assert not policy.names("")
        assert all(pattern.isascii() and pattern == pattern.lower() for pattern in policy.mx)
        assert read_policy("\n".join(describe_sts(policy)).encode()) == policy
    text = data.decode("utf-8", "replace")
    record_id = read_record((text,))
    assert record_id is None or (record_id.isascii() and record_id.isalnum() and len(record_id) <= 32)
    destinations = read_destinations((text,))
    assert len(destinations) <= MAX_DESTINATIONS
    assert all(each.isascii() and each.isprintable() and each.lower().startswith(("mailto:", "https://")) for each in destinations)
    record = TlsaRecord(2 + len(data) % 2, len(data) % 3, data[0] % 4 if data else 0, data)
    assert mismatch([data], HostDane((record,)).usable, ("mx.a.test",), NOW)


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
