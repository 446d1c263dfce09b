"""What an ID token proves: each claim that has to fit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sendryd.policy.idtoken import LEEWAY, Expected, TokenRefused, add_userinfo, read_claims
from sendryd.testing.cases import cases

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
EXPECTED = Expected(issuer="https://id.example", client_id="relay", nonce="n")
CLAIMS: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "relay",
    "sub": "7",
    "nonce": "n",
    "iat": SECONDS,
    "exp": SECONDS + 300,
    "email": "ann@acme.example",
    "email_verified": True,
    "name": "Ann",
    "auth_time": SECONDS - 10,
}


def test_a_token_that_fits_gives_the_identity() -> None:
    found = read_claims(CLAIMS, EXPECTED, NOW)
    assert (found.subject, found.email, found.is_verified, found.name) == ("7", "ann@acme.example", True, "Ann")
    assert found.signed_in_at == NOW - timedelta(seconds=10)
    for more in (
        {"aud": ["relay"]},
        {"aud": ["relay", "other"], "azp": "relay"},
        {"exp": SECONDS - LEEWAY.seconds + 1},
        {"iat": SECONDS + 60},
    ):
        assert read_claims({**CLAIMS, **more}, EXPECTED, NOW) == found


@cases(
    "change",
    [
        {"iss": "https://id.example/"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["relay", "other"]},
        {"aud": ["other"]},
        {"aud": {"relay": 1}},
        {"azp": "other"},
        {"nonce": "N"},
        {"nonce": None},
        {"exp": SECONDS - LEEWAY.seconds},
        {"exp": None},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": str(SECONDS + 300)},
        {"iat": SECONDS + LEEWAY.seconds + 1},
        {"iat": None},
        {"nbf": SECONDS + LEEWAY.seconds + 1},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
    ],
    ids=repr,
)
def test_a_token_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        read_claims({**CLAIMS, **change}, EXPECTED, NOW)


@pytest.mark.parametrize(
    ("claim", "is_verified"), [(True, True), ("true", True), (False, False), ("false", False), (1, False), (None, False)]
)
def test_only_a_true_claim_verifies_an_email(claim: object, is_verified: bool) -> None:
    assert read_claims({**CLAIMS, "email_verified": claim}, EXPECTED, NOW).is_verified is is_verified


def test_what_is_no_text_or_moment_is_left_out() -> None:
    found = read_claims({**CLAIMS, "email": ["a"], "name": "x" * 300, "auth_time": 10**30}, EXPECTED, NOW)
    assert (found.email, found.name, found.signed_in_at) == ("", "", None)


def test_userinfo_is_of_the_same_subject() -> None:
    identity = read_claims({**CLAIMS, "email": None}, EXPECTED, NOW)
    assert add_userinfo(identity, {"sub": "7", "email": "bob@acme.example", "email_verified": True}).email == "bob@acme.example"
    with pytest.raises(TokenRefused):
        add_userinfo(identity, {"sub": "8", "email": "bob@acme.example", "email_verified": True})
