"""How much encryption a host gets when it fails, over real sockets with real handshakes."""

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

from sendryd.delivery.encryption import BROKEN_TIME, MAX_HOSTS, WORKING_TIME, Encryption, TlsMemory
from sendryd.delivery.tlskeeper import TlsKeeper
from sendryd.delivery.transport import DeliveryFault, Target, TlsRule, TlsTrouble
from sendryd.policy.classify import NetworkFailure
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.owncert import write_self_signed
from sendryd.runtime.tls import server_context
from sendryd.smtp.timeouts import Step
from sendryd.store.errors import StoreUnavailable
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
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


PATIENCE = 3.0  # seconds for a step: a handshake takes long on a busy machine


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    made = Post(patience=PATIENCE)
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


TARGET = Target(host="mx.test", address="192.88.98.1", port=25, tls=TlsRule.OPPORTUNISTIC)


@pytest.mark.parametrize("trouble", TlsTrouble)
@pytest.mark.parametrize(("rule", "is_fixed"), [(TlsRule.VERIFIED, False), (TlsRule.REQUIRED, True), (TlsRule.NEVER, False)])
def test_enforced_encryption_is_never_weakened(trouble: TlsTrouble, rule: TlsRule, *, is_fixed: bool) -> None:
    fault = DeliveryFault(Step.STARTTLS, NetworkFailure.TLS_FAILURE, trouble=trouble)
    assert Encryption(TlsMemory(), is_fixed=is_fixed).weaken(replace(TARGET, tls=rule), fault) is None


@pytest.mark.parametrize("trouble", [None, *TlsTrouble])
def test_what_is_tried_after_each_trouble(trouble: TlsTrouble | None) -> None:
    fault = DeliveryFault(Step.STARTTLS, NetworkFailure.TLS_FAILURE, trouble=trouble)
    encryption, target, seen = Encryption(TlsMemory(), is_fixed=False), TARGET, []
    while (weaker := encryption.weaken(target, fault)) is not None:
        target = weaker
        seen.append((target.tls, target.is_weak))
    clear = [(TlsRule.NEVER, False)]
    assert seen == ([] if trouble is None else [(TlsRule.OPPORTUNISTIC, True), *clear] if trouble.value in {"closed", "failed"} else clear)


def test_what_is_known_of_a_host_ends() -> None:
    memory = TlsMemory()
    memory.note_broken("mx", 0.0, is_certain=False)
    assert memory.rule("mx", 1.0, is_retry=False) == (TlsRule.OPPORTUNISTIC, False)
    memory.note_broken("mx", 1.0, is_certain=False)
    assert memory.rule("mx", 2.0, is_retry=False) == (TlsRule.NEVER, False)
    assert memory.rule("mx", 2.0, is_retry=True) == (TlsRule.OPPORTUNISTIC, False)
    assert memory.rule("mx", 1.0 + BROKEN_TIME, is_retry=False) == (TlsRule.OPPORTUNISTIC, False)
    memory.note_working("mx", 0.0, is_weak=True)
    memory.note_broken("mx", 1.0, is_certain=True)
    assert memory.rule("mx", 2.0, is_retry=False) == (TlsRule.REQUIRED, True)
    assert memory.rule("mx", WORKING_TIME, is_retry=True) == (TlsRule.OPPORTUNISTIC, False)
    memory.forget("mx")
    assert memory.rule("mx", 2.0, is_retry=False) == (TlsRule.OPPORTUNISTIC, False)


def test_few_hosts_are_remembered_of_very_many() -> None:
    memory = TlsMemory()
    for number in range(MAX_HOSTS + 1):
        memory.note_working(f"mx{number}", 0.0, is_weak=False)
    assert memory.rule("mx0", 1.0, is_retry=False) == (TlsRule.OPPORTUNISTIC, False)
    assert memory.rule("mx1", 1.0, is_retry=False) == (TlsRule.REQUIRED, False)


async def test_what_was_learned_is_stored_seldom_and_read_at_the_next_start() -> None:
    store, clock, memory = MemoryStore(), ManualClock(), TlsMemory()
    keeper = TlsKeeper(store, memory, clock)
    memory.note_working("a.test", clock.monotonic(), is_weak=False)
    await keeper.store()
    first = await store.list_tls_hosts()
    assert first == [("a.test", clock.now())]
    clock.advance(timedelta(minutes=5))
    memory.note_working("a.test", clock.monotonic(), is_weak=False)
    await keeper.store()
    assert await store.list_tls_hosts() == first
    clock.advance(timedelta(hours=1))
    memory.note_working("a.test", clock.monotonic(), is_weak=False)
    memory.note_working("b.test", clock.monotonic(), is_weak=True)
    await keeper.store()
    assert [host for host, _ in await store.list_tls_hosts()] == ["a.test", "b.test"]
    clock.advance(timedelta(seconds=WORKING_TIME / 2))
    again = TlsMemory()
    await TlsKeeper(store, again, clock).load()
    for each in (memory, again):
        for moment, rule in ((0.0, TlsRule.REQUIRED), (WORKING_TIME / 2 + 1, TlsRule.OPPORTUNISTIC)):
            assert each.rule("a.test", clock.monotonic() + moment, is_retry=False)[0] is rule
    assert again.take_unstored() == {}
    clock.advance(timedelta(days=2))
    again.note_working("c.test", clock.monotonic(), is_weak=False)
    await TlsKeeper(store, again, clock).store()
    assert [host for host, _ in await store.list_tls_hosts()] == ["c.test"]


@pytest.mark.parametrize("leap", [timedelta(days=-9), timedelta(days=9)])
async def test_a_clock_that_is_set_forgets_no_host(leap: timedelta) -> None:
    store, clock, memory = MemoryStore(), ManualClock(), TlsMemory()
    memory.note_working("a.test", clock.monotonic(), is_weak=False)
    await TlsKeeper(store, memory, clock).store()
    clock.set_wall(clock.now() + leap)
    again = TlsMemory()
    await TlsKeeper(store, again, clock).load()
    assert again.rule("a.test", clock.monotonic(), is_retry=True)[0] is TlsRule.REQUIRED


async def test_what_the_store_does_not_take_is_stored_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("locked")

    store, clock, memory = MemoryStore(), ManualClock(), TlsMemory()
    keeper = TlsKeeper(store, memory, clock)
    memory.note_working("a.test", clock.monotonic(), is_weak=False)
    with monkeypatch.context() as patch:
        patch.setattr(store, "note_tls_hosts", refuse)
        patch.setattr(store, "list_tls_hosts", refuse)
        await keeper.store()
        await keeper.load()
    await keeper.store()
    assert [host for host, _ in await store.list_tls_hosts()] == ["a.test"]
