"""What a host must give before it gets mail: the recipient's policy, the sender's rule, or what it has."""

import pytest

from sendryd.model.domain import StsMode
from sendryd.model.message import TlsDemand
from sendryd.policy.mtasts import StsPolicy
from sendryd.policy.replies.verdict import Kind, Relay, Scope
from sendryd.policy.routing import MailHost
from sendryd.policy.tls import (
    CLEAR_TEXT,
    ENCRYPTED,
    ENCRYPTED_WEAK,
    NO_DANE,
    OPPORTUNISTIC,
    HostDane,
    TlsaRecord,
    TlsMode,
    TlsRequirement,
    TlsSecurity,
    TlsTrouble,
    authenticated,
    enforced,
    fall_back,
)
from sendryd.policy.tlspolicy import Unmet, demand, not_secured


def sts(mode: StsMode, *mx: str) -> StsPolicy:
    return StsPolicy(mode=mode, mx=mx, max_age=60)


def ask(
    policy: StsPolicy | None, *, is_enforced: bool = False, dane: HostDane = NO_DANE, asked: TlsDemand = TlsDemand.USUAL
) -> TlsRequirement | Unmet:
    server = MailHost("mx.test", ("192.0.2.1",), dane)
    return demand("example.org", server, policy, is_enforced=is_enforced, otherwise=lambda _host: ENCRYPTED_WEAK, asked=asked)


@pytest.mark.parametrize("is_enforced", [False, True])
def test_an_enforced_policy_wants_a_named_server_with_its_certificate(*, is_enforced: bool) -> None:
    assert ask(sts(StsMode.ENFORCE, "mx.test"), is_enforced=is_enforced) == authenticated("mx.test", TlsSecurity.MTA_STS)
    unmet = ask(sts(StsMode.ENFORCE, "other.test"), is_enforced=is_enforced)
    assert isinstance(unmet, Unmet)
    verdict = unmet.verdict()
    assert (verdict.kind, verdict.enhanced, verdict.unmet) == (Kind.DEFERRED, "4.7.5", TlsSecurity.MTA_STS)
    assert verdict.sentence == "The MTA-STS policy of example.org does not name its mail server mx.test"


@pytest.mark.parametrize("policy", [None, sts(StsMode.TESTING, "other.test"), sts(StsMode.NONE)])
def test_without_an_enforced_policy_the_sender_decides(policy: StsPolicy | None) -> None:
    assert ask(policy) == ENCRYPTED_WEAK
    assert ask(policy, is_enforced=True) == enforced("mx.test")


KEY, UNUSABLE = TlsaRecord(3, 1, 1, b"\0" * 32), TlsaRecord(1, 1, 1, b"\0" * 32)


@pytest.mark.parametrize("policy", [None, sts(StsMode.ENFORCE, "other.test")])
@pytest.mark.parametrize("is_enforced", [False, True])
def test_dane_comes_before_everything_else(policy: StsPolicy | None, *, is_enforced: bool) -> None:
    asked = ask(policy, is_enforced=is_enforced, dane=HostDane((UNUSABLE, KEY)))
    assert asked == TlsRequirement(mode=TlsMode.REQUIRED, names=("mx.test", "example.org"), dane=(KEY,), security=TlsSecurity.DANE)
    unmet = ask(policy, is_enforced=is_enforced, dane=HostDane(failure="TLSA of mx.test: the look-up failed"))
    assert isinstance(unmet, Unmet)
    assert unmet.verdict().unmet is TlsSecurity.DANE


def test_records_of_which_none_can_be_used_demand_encryption() -> None:
    assert ask(None, dane=HostDane((UNUSABLE,))) == ENCRYPTED
    assert ask(sts(StsMode.ENFORCE, "mx.test"), dane=HostDane((UNUSABLE,))) == authenticated("mx.test", TlsSecurity.MTA_STS)


FAILED = HostDane(failure="TLSA of mx.test: the look-up failed")


@pytest.mark.parametrize("policy", [None, sts(StsMode.ENFORCE, "other.test")])
@pytest.mark.parametrize("dane", [NO_DANE, HostDane((KEY,)), FAILED])
def test_a_message_that_does_not_require_tls_goes_past_the_recipients_policies_alone(policy: StsPolicy | None, dane: HostDane) -> None:
    assert ask(policy, dane=dane, asked=TlsDemand.OPTIONAL) == OPPORTUNISTIC
    assert ask(policy, dane=dane, asked=TlsDemand.OPTIONAL, is_enforced=True) == enforced("mx.test")


def test_a_message_that_requires_tls_goes_to_servers_that_dnssec_or_a_policy_vouches_for() -> None:
    for mode in (StsMode.ENFORCE, StsMode.TESTING):
        assert ask(sts(mode, "mx.test"), asked=TlsDemand.REQUIRED) == authenticated("mx.test", TlsSecurity.MTA_STS)
    found = ask(None, dane=HostDane((KEY,)), asked=TlsDemand.REQUIRED)
    assert isinstance(found, TlsRequirement)
    assert found.security is TlsSecurity.DANE
    for policy in (None, sts(StsMode.TESTING, "other.test"), sts(StsMode.NONE)):
        unmet = ask(policy, is_enforced=True, asked=TlsDemand.REQUIRED)
        assert isinstance(unmet, Unmet)
        assert (unmet.verdict().kind, unmet.verdict().enhanced) == (Kind.BOUNCED, "5.7.30")
    waiting = ask(None, dane=FAILED, asked=TlsDemand.REQUIRED)
    assert isinstance(waiting, Unmet)
    assert waiting.verdict().kind is Kind.DEFERRED


def test_a_server_that_does_not_prove_itself_defers_the_mail_to_the_next_host() -> None:
    relay = Relay(host="mx.test", address="192.0.2.1", port=25)
    verdict = not_secured("example.org", relay, TlsSecurity.MTA_STS, "the server does not offer STARTTLS")
    assert (verdict.kind, verdict.scope, verdict.enhanced, verdict.unmet) == (Kind.DEFERRED, Scope.HOST, "4.7.5", TlsSecurity.MTA_STS)
    assert verdict.sentence == (
        "The MTA-STS policy of example.org asks for a valid certificate, and mx.test has not shown it: the server does not offer STARTTLS"
    )


@pytest.mark.parametrize(("usual", "next_try"), [(ENCRYPTED, ENCRYPTED), (OPPORTUNISTIC, OPPORTUNISTIC), (CLEAR_TEXT, OPPORTUNISTIC)])
def test_a_policy_on_trial_weakens_nothing_that_is_required_without_it(usual: TlsRequirement, next_try: TlsRequirement) -> None:
    server, policy = MailHost("mx.test", ("192.0.2.1",)), sts(StsMode.TESTING, "mx.test")
    found = demand("example.org", server, policy, is_enforced=False, otherwise=lambda _host: usual, tries_policies=True)
    assert isinstance(found, TlsRequirement)
    assert (found.is_trial, found.mode) == (True, next_try.mode)
    assert fall_back(found, TlsTrouble.REFUSED) == next_try
