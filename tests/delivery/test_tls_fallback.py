"""What is tried at a mail server when TLS with it fails, over real sockets with real handshakes."""

import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.target import Target
from sendryd.delivery.tls_fallback import TlsFallback
from sendryd.delivery.tls_keeper import TlsKeeper
from sendryd.delivery.tls_memory import TlsMemory
from sendryd.policy.replies.verdict import NetworkFailure
from sendryd.policy.tls import CLEAR_TEXT, ENCRYPTED, OPPORTUNISTIC, OPPORTUNISTIC_WEAK, TlsRequirement, TlsTrouble, enforced
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.owncert import write_self_signed
from sendryd.runtime.tls import server_context
from sendryd.smtp.timeouts import Step
from sendryd.testing.mailhost import Script
from sendryd.testing.post import Post, signing_key

# RFC 2409 §6.2: the group of 1,024 bits that many servers had.
OAKLEY_2 = """\
-----BEGIN DH PARAMETERS-----
MIGHAoGBAP//////////yQ/aoiFowjTExmKLgNwc0SkCTgiKZ8x0Agu+pjsTmyJR
Sgh5jjQE3e+VGbPNOkMbMCsKbfJfFDdP4TVtbVHCReSFtXZiXn7G9ExC6aY37WsL
/1y29Aa37e44a/taiZ+lrp8kEXxLH+ZJKGZR7OZTgf//////////AgEC
-----END DH PARAMETERS-----
"""


TIMEOUT = 3.0  # seconds for a step: a handshake takes long on a busy machine


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    made = Post(timeout=TIMEOUT)
    await made.open()
    yield made
    await made.aclose()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    write_self_signed(cert, key, "mx.test", SystemClock())
    return cert, key


@pytest.fixture
def tls(files: tuple[Path, Path]) -> ssl.SSLContext:
    return server_context(*files)


def garbage(_number: int) -> str:
    return "garbage"


def hiccups(*numbers: int) -> Callable[[int], str | None]:
    return lambda number: "drop" if number in numbers else None


def demand(verb: str, reply: str) -> Callable[[str, str], str | None]:
    return lambda said, _line: reply if said == verb else None


DEMANDS = {
    "530 to MAIL": demand("MAIL", "530 5.7.0 Must issue a STARTTLS command first"),
    "554 to RCPT": demand("RCPT", "554 5.7.1 <user@two.test>: Recipient address rejected: Session encryption is required"),
    "550 to MAIL": demand("MAIL", "550 5.7.10 Encryption needed"),
    "451 to MAIL": demand("MAIL", "451 4.7.0 Mail is taken over TLS only: use STARTTLS"),
    "550 to DATA": demand("DATA", "550 Plain text connections are not allowed here"),
}


@pytest.mark.sockets
@pytest.mark.parametrize("case", DEMANDS)
async def test_tls_is_tried_again_at_once_when_the_host_demands_it(post: Post, tls: ssl.SSLContext, case: str) -> None:
    post.first.tls = tls
    post.first.script = Script(handshake=hiccups(1, 2), in_clear_text=DEMANDS[case])
    await post.send()
    assert [mail.tls for mail in post.first.mails] == [True]
    await post.send()
    assert [mail.tls for mail in post.first.mails] == [True, True]
    assert post.second.connections == 0


@pytest.mark.sockets
@pytest.mark.parametrize("case", DEMANDS)
async def test_where_tls_is_demanded_and_broken_the_mail_waits(post: Post, tls: ssl.SSLContext, case: str) -> None:
    post.second.tls = post.first.tls = tls
    post.second.script = post.first.script = Script(handshake=garbage, in_clear_text=DEMANDS[case])
    await post.send()
    event = await post.last_event()
    assert (event["type"], event["category"]) == ("deferred", "tls_failure")
    assert post.taken == (0, 0)


@pytest.mark.sockets
async def test_a_hiccup_is_forgotten_and_a_failure_remembered(post: Post, tls: ssl.SSLContext) -> None:
    post.first.tls = tls
    post.first.script = Script(handshake=hiccups(1, 2))
    await post.send()
    await post.send()
    assert [mail.tls for mail in post.first.mails] == [False, True]


@pytest.mark.sockets
async def test_a_failed_handshake_is_remembered_but_a_retry_tries_again(post: Post, tls: ssl.SSLContext) -> None:
    post.first.tls = tls
    post.first.script = Script(handshake=garbage)
    await post.send()
    await post.send()
    assert post.first.commands.count("STARTTLS") == 2
    (claim,) = await post.claim()
    claim = replace(claim, deliveries=tuple(replace(each, attempts=1) for each in claim.deliveries))
    post.first.script = Script()
    await post.deliver(claim, None)
    assert [mail.tls for mail in post.first.mails] == [False, False, True]


@pytest.mark.sockets
@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_host_that_has_done_tls_gets_nothing_in_clear_text(post: Post, tls: ssl.SSLContext, *, is_restarted: bool) -> None:
    post.first.tls = post.second.tls = tls
    await post.send()
    if is_restarted:
        await TlsKeeper(post.store, post.worker.tls_memory, post.clock).store()
        post.worker.tls_memory = TlsMemory()
        await TlsKeeper(post.store, post.worker.tls_memory, post.clock).load()
    for server in (post.first, post.second):
        server.script = Script(
            handshake=garbage, command=lambda verb, _line: "454 4.7.0 TLS is not available" if verb == "STARTTLS" else None
        )
    await post.pool.aclose()
    post.first.script = Script(handshake=garbage)
    post.second.script = Script(connect=lambda _number: "421 4.3.2 Busy")
    await post.send()
    assert (await post.last_event())["type"] == "deferred"
    post.first.script = Script(command=lambda verb, _line: "454 4.7.0 TLS is not available" if verb == "STARTTLS" else None)
    await post.send()
    assert (await post.last_event())["type"] == "deferred"
    assert [mail.tls for mail in post.first.mails] == [True]


@pytest.mark.sockets
async def test_connections_are_reused_before_and_after_it_is_known_that_the_host_does_tls(post: Post, tls: ssl.SSLContext) -> None:
    post.first.tls = tls
    for _ in range(4):
        await post.send()
    assert (post.first.connections, post.taken) == (1, (4, 0))


DYING = {
    "closed at EHLO": Script(in_tls=demand("EHLO", "drop")),
    "silent at EHLO": Script(in_tls=demand("EHLO", "stall")),
    "refused at EHLO": Script(in_tls=demand("EHLO", "421 4.7.0 Not like this")),
    "closed at MAIL": Script(in_tls=demand("MAIL", "drop")),
}


@pytest.mark.sockets
@pytest.mark.parametrize("case", [*DYING, "a client certificate is asked for"])
async def test_a_session_that_dies_inside_tls_is_followed_by_clear_text_and_remembered(
    post: Post, tls: ssl.SSLContext, files: tuple[Path, Path], case: str
) -> None:
    post.first.tls = tls
    if case in DYING:
        post.first.script = DYING[case]
    else:
        tls.load_verify_locations(files[0])
        tls.verify_mode = ssl.CERT_REQUIRED
    for _ in range(2):
        await post.send()
        assert (await post.last_event())["type"] == "delivered"
    assert [mail.tls for mail in post.first.mails] == [False, False]
    assert post.first.commands.count("STARTTLS") == 1


def weak_dh(context: ssl.SSLContext, folder: Path) -> None:
    pem, _ = signing_key()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, RSAPrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.test")])
    now = SystemClock().now()
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    (folder / "cert.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM) + pem)
    context.load_cert_chain(folder / "cert.pem")
    (folder / "dh.pem").write_text(OAKLEY_2)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES128-SHA@SECLEVEL=0")
    context.load_dh_params(str(folder / "dh.pem"))


def old_version(context: ssl.SSLContext, _folder: Path) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1


def no_certificate(context: ssl.SSLContext, _folder: Path) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES128-SHA@SECLEVEL=0")


@pytest.mark.sockets
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("weaken", [weak_dh, old_version, no_certificate])
async def test_weak_encryption_goes_before_none(
    post: Post, tls: ssl.SSLContext, tmp_path: Path, weaken: Callable[[ssl.SSLContext, Path], None]
) -> None:
    weaken(tls, tmp_path)
    post.first.tls = tls
    for _ in range(2):
        await post.send()
    assert [mail.tls for mail in post.first.mails] == [True, True]
    assert post.first.connections == 2  # the first showed that strong parameters fail


TARGET = Target(host="mx.test", address="192.88.98.1", port=25, tls=OPPORTUNISTIC)


@pytest.mark.parametrize("trouble", TlsTrouble)
@pytest.mark.parametrize(("tls", "is_fixed"), [(enforced("mx.test"), False), (ENCRYPTED, True), (CLEAR_TEXT, False)])
def test_enforced_encryption_is_never_weakened(trouble: TlsTrouble, tls: TlsRequirement, *, is_fixed: bool) -> None:
    fault = DeliveryFault(Step.STARTTLS, NetworkFailure.TLS_FAILURE, trouble=trouble)
    assert TlsFallback(TlsMemory(), is_fixed=is_fixed).after_failure(replace(TARGET, tls=tls), fault) is None


@pytest.mark.parametrize("trouble", [None, *TlsTrouble])
def test_what_is_tried_after_each_trouble(trouble: TlsTrouble | None) -> None:
    fault = DeliveryFault(Step.STARTTLS, NetworkFailure.TLS_FAILURE, trouble=trouble)
    fallback, target, seen = TlsFallback(TlsMemory(), is_fixed=False), TARGET, []
    while (weaker := fallback.after_failure(target, fault)) is not None:
        target = weaker
        seen.append(target.tls)
    weak = [OPPORTUNISTIC_WEAK] if trouble is not None and trouble.value in {"closed", "failed"} else []
    assert seen == ([] if trouble is None else [*weak, CLEAR_TEXT])
