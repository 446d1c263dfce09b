"""What the claims of an ID token prove about who signs in. Pure: the signature was checked before.

Standards: OpenID Connect Core 1.0 §3.1.3.7 (ID token validation), §5.1 (standard claims).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

LEEWAY: Final = timedelta(minutes=1)  # that the clocks of provider and relay may differ
MAX_TEXT: Final = 255  # characters of a subject or email; OpenID Connect allows a subject no more


class TokenRefused(Exception):
    """The token does not prove who signs in; the message says why, for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token has to match."""

    issuer: str
    client_id: str
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signs in, as the provider says."""

    subject: str
    email: str  # empty: the token names none
    is_verified: bool  # whether the provider has verified the email
    name: str
    signed_in_at: datetime | None  # when the person proved to the provider who they are; None: the token does not say


def read_claims(claims: Mapping[str, Any], expected: Expected, now: datetime) -> Identity:
    """The identity that an ID token proves. Raises `TokenRefused`.

    >>> times = {"iat": 1_000_000_000, "exp": 1_000_000_300}
    >>> claims = {"iss": "https://id.test", "aud": "relay", "sub": "7", "nonce": "n", "email": "ann@acme.example", **times}
    >>> expected = Expected(issuer="https://id.test", client_id="relay", nonce="n")
    >>> read_claims(claims, expected, datetime.fromtimestamp(1_000_000_010, UTC)).email
    'ann@acme.example'
    >>> read_claims({**claims, "aud": "another"}, expected, datetime.fromtimestamp(1_000_000_010, UTC))
    Traceback (most recent call last):
    sendryd.policy.idtoken.TokenRefused: the token is for another client
    """
    if claims.get("iss") != expected.issuer:
        raise TokenRefused("the token is of another issuer")
    audience = claims.get("aud")
    audience = [audience] if isinstance(audience, str) else audience
    if not isinstance(audience, list) or expected.client_id not in audience:
        raise TokenRefused("the token is for another client")
    if claims.get("azp", expected.client_id) != expected.client_id or (len(audience) > 1 and "azp" not in claims):
        raise TokenRefused("the token was given to another client")
    _check_times(claims, now.timestamp())
    if claims.get("nonce") != expected.nonce:
        raise TokenRefused("the token answers another request: its nonce differs")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_TEXT:
        raise TokenRefused("the token names no subject")
    return Identity(
        subject=subject,
        email=_text(claims.get("email")),
        is_verified=is_true(claims.get("email_verified")),
        name=_text(claims.get("name")),
        signed_in_at=_moment(claims.get("auth_time")),
    )


def add_userinfo(identity: Identity, claims: Mapping[str, Any]) -> Identity:
    """The identity with the email and name of the provider's userinfo (§5.3). Raises `TokenRefused` if they are somebody else's."""
    if claims.get("sub") != identity.subject:
        raise TokenRefused("the userinfo is of another subject")
    return Identity(
        subject=identity.subject,
        email=_text(claims.get("email")),
        is_verified=is_true(claims.get("email_verified")),
        name=identity.name or _text(claims.get("name")),
        signed_in_at=identity.signed_in_at,
    )


def is_true(claim: object) -> bool:
    """Whether a claim is true. Some providers write it as text."""
    return claim is True or claim == "true"


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, issued, begins = (_seconds(claims.get(name)) for name in ("exp", "iat", "nbf"))
    leeway = LEEWAY.total_seconds()
    if expires is None or now >= expires + leeway:
        raise TokenRefused("the token has expired")
    if issued is None or issued > now + leeway or (begins is not None and begins > now + leeway):
        raise TokenRefused("the token is from the future: compare the clocks of the provider and of this machine")


def _seconds(claim: object) -> float | None:
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not math.isfinite(claim):
        return None
    return claim


def _moment(claim: object) -> datetime | None:
    seconds = _seconds(claim)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _text(claim: object) -> str:
    return claim if isinstance(claim, str) and len(claim) <= MAX_TEXT else ""
