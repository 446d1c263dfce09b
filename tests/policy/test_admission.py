"""Nobody sends as somebody else."""

from datetime import UTC, datetime

import pytest

from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.domain import DomainSettings, DomainStatus, SendingDomain
from sendryd.model.ids import AccountId, ApiKeyId, DomainId
from sendryd.policy.admission import admit_author, admit_reverse_path, check_sender, covering_names
from sendryd.policy.refusal import Refusal, RefusalKey

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def key(mode: KeyMode = KeyMode.LIVE, scope: Scope = Scope.SENDING_ACCESS) -> ApiKey:
    return ApiKey(id=ApiKeyId(1), account_id=AccountId(1), name="k", scope=scope, mode=mode, prefix="sn_live_abcd", created_at=NOW)


def domain(name: str, status: DomainStatus = DomainStatus.VERIFIED, *, include_subdomains: bool = False) -> SendingDomain:
    return SendingDomain(
        id=DomainId(1),
        account_id=AccountId(1),
        name=name,
        status=status,
        selector="s",
        public_key="p",
        settings=DomainSettings(include_subdomains=include_subdomains),
        created_at=NOW,
    )


@pytest.mark.parametrize(("scope", "is_admitted"), [(Scope.FULL_ACCESS, True), (Scope.SENDING_ACCESS, True), (Scope.READ_ONLY, False)])
def test_scope_decides_whether_a_key_may_send(scope: Scope, is_admitted: bool) -> None:
    refusal = check_sender(key(scope=scope))
    assert (refusal is None) == is_admitted
    if refusal:
        assert "sending_access" in refusal.sentence


def test_covering_names_stop_before_the_top_level() -> None:
    assert list(covering_names("a.b.example.test")) == ["a.b.example.test", "b.example.test", "example.test"]
    assert list(covering_names("test")) == ["test"]


def test_reverse_path_may_be_in_a_subdomain_of_a_verified_domain() -> None:
    assert admit_reverse_path(key(), "bounces.example.test", [domain("example.test")]) is None


@pytest.mark.parametrize("status", [DomainStatus.PENDING, DomainStatus.FAILED])
def test_reverse_path_of_an_unverified_domain_is_refused_by_name(status: DomainStatus) -> None:
    refusal = admit_reverse_path(key(), "example.test", [domain("example.test", status)])
    assert refusal == Refusal(RefusalKey.DOMAIN_NOT_VERIFIED, "example.test")


def test_reverse_path_of_a_foreign_domain_is_refused() -> None:
    assert admit_reverse_path(key(), "evil.test", []) is not None


def test_null_reverse_path_is_left_to_the_header() -> None:
    assert admit_reverse_path(key(), "", []) is None


def test_author_must_be_of_the_exact_domain() -> None:
    own = domain("example.test")
    assert admit_author(key(), "example.test", [own]) is own
    assert isinstance(admit_author(key(), "sub.example.test", [own]), Refusal)


def test_author_in_a_subdomain_if_the_domain_is_set_so() -> None:
    inner, outer = domain("b.example.test"), domain("example.test", include_subdomains=True)
    assert admit_author(key(), "a.b.example.test", [inner, outer]) is outer


def test_unverified_domain_is_no_cover_even_if_it_includes_subdomains() -> None:
    outer = domain("example.test", DomainStatus.PENDING, include_subdomains=True)
    assert isinstance(admit_author(key(), "a.example.test", [outer]), Refusal)


def test_a_test_key_sends_from_anywhere_and_signs_nothing() -> None:
    assert admit_author(key(KeyMode.TEST), "anything.test", []) is None
    assert admit_reverse_path(key(KeyMode.TEST), "anything.test", []) is None
