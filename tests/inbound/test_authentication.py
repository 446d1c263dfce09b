"""Where mail that came in is really from, as receivers see it."""

import dkim

from sendryd.inbound.authentication import Authenticator, Results
from sendryd.message.dkim import generate_key
from sendryd.message.dkimverify import DkimResult
from sendryd.policy.dmarc import DmarcResult
from sendryd.policy.spf import SpfResult
from sendryd.testing.clock import ManualClock
from sendryd.testing.zone import ZoneResolver

PEM, PUBLIC = generate_key()
MAIL = b"From: Ada <ada@example.net>\r\nTo: b@example.test\r\nSubject: a question\r\n\r\nHello\r\n"
SIGNED = dkim.sign(MAIL, b"s", b"example.net", PEM, canonicalize=(b"relaxed", b"relaxed")) + MAIL


async def judge(content: bytes = SIGNED, *, client: str = "192.0.2.9", silent: str = "") -> tuple[Authenticator, Results]:
    resolver = ZoneResolver()
    resolver.texts = {
        "example.net": ("v=spf1 ip4:192.0.2.9 -all",),
        "s._domainkey.example.net": (f"v=DKIM1; p={PUBLIC}",),
        "_dmarc.example.net": ("v=DMARC1; p=reject",),
    }
    if silent:
        resolver.silent.add(silent)
    made = Authenticator(resolver, "mx.example.test", ManualClock())
    return made, await made.judge(content, client=client, hello="out.example.net", reverse_path="bounces@example.net")


async def test_mail_of_its_author_passes() -> None:
    made, results = await judge()
    assert (results.spf, results.dkim, results.dmarc) == (SpfResult.PASS, (("example.net", DkimResult.PASS),), DmarcResult.PASS)
    assert made.field(results) == (
        "Authentication-Results",
        "mx.example.test; spf=pass smtp.mailfrom=example.net; dkim=pass header.d=example.net; dmarc=pass header.from=example.net",
    )


async def test_one_proof_is_enough_and_none_is_not() -> None:
    _, signed = await judge(client="198.51.100.1")
    assert (signed.spf, signed.dmarc) == (SpfResult.FAIL, DmarcResult.PASS)
    _, forged = await judge(SIGNED.replace(b"Hello", b"Hallo"), client="198.51.100.1")
    assert (forged.dkim, forged.dmarc) == ((("example.net", DkimResult.FAIL),), DmarcResult.FAIL)


async def test_a_dns_that_is_silent_is_no_verdict() -> None:
    _, results = await judge(silent="_dmarc.example.net")
    assert results.dmarc is DmarcResult.TEMPERROR
    _, results = await judge(silent="s._domainkey.example.net")
    assert results.dkim == (("example.net", DkimResult.TEMPERROR),)


async def test_mail_without_one_author_has_no_policy() -> None:
    for content in (b"To: b@example.test\r\n\r\nx\r\n", b"From: a@example.net\r\nFrom: b@example.net\r\n\r\nx\r\n", b"no header\r\n"):
        _, results = await judge(content)
        assert (results.author_domain, results.dmarc) == ("", DmarcResult.NONE)


async def test_a_field_under_our_name_is_known_for_a_forgery() -> None:
    made, _ = await judge()
    assert made.is_own("authentication-results", "mx.example.test; dmarc=pass")
    assert made.is_own("Authentication-Results", "mx.example.test 1; dmarc=pass")
    same = (
        "MX.example.test",
        '"mx.example.test"',
        "(c) mx.example.test",
        "mx.example.test(c)",
        "mx.example.test.",
        '"mx\\.example.test" 1',
        "\tmx.example.test",
    )
    for name in same:
        assert made.is_own("authentication-results", f"{name}; dmarc=pass header.from=bank.test")
    assert not made.is_own("Authentication-Results", "other.test; dmarc=pass")
    assert not made.is_own("Authentication-Results", "other.test (mx.example.test); dmarc=pass")
    assert not made.is_own("Subject", "mx.example.test; x")
