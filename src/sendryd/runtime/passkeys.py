"""Checks what browsers answer to the challenges of WebAuthn.

The library is loaded with the first answer, in a thread: an installation without passkeys does not pay for it.
Standards: Web Authentication Level 3, §7.1 (registration) and §7.2 (authentication).
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

from sendryd.policy.base64url import from_base64url

MAX_ANSWER: Final = 16 * 1024  # octets of JSON: answers have under two thousand, with the longest keys and an attestation some more
MAX_REASON: Final = 300  # characters of a reason for the log, which may quote the answer
ALGORITHMS: Final = (-8, -7, -257)  # EdDSA, ES256, RS256: what authenticators have


class PasskeyRefused(Exception):
    """The answer is not one to this challenge by this passkey; the message says why, for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """Who asks for passkeys."""

    id: str  # the host of the origin
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """What an authenticator has made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an answer claims; nothing of it is checked yet."""

    content: dict[str, Any]
    credential_id: bytes
    challenge: bytes
    user_handle: bytes  # empty: the answer has none


def read_answer(text: str) -> Answer:
    """Takes apart the JSON of an answer. Raises `PasskeyRefused`."""
    if len(text) > MAX_ANSWER:
        raise PasskeyRefused(f"the answer has more than {MAX_ANSWER} characters")
    try:
        content = json.loads(text)
        response = content["response"]
        client_data = json.loads(from_base64url(response["clientDataJSON"]))
        return Answer(
            content=content,
            credential_id=from_base64url(content["rawId"]),
            challenge=from_base64url(client_data["challenge"]),
            user_handle=from_base64url(response.get("userHandle") or ""),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise PasskeyRefused(f"the answer cannot be read: {type(error).__name__}") from None


async def check_new(answer: Answer, challenge: bytes, party: RelyingParty) -> NewCredential:
    """The credential that an authenticator has made, with its user verified. Raises `PasskeyRefused`."""
    return await asyncio.to_thread(_check_new, answer, challenge, party)


async def check_use(answer: Answer, challenge: bytes, party: RelyingParty, *, public_key: bytes, sign_count: int) -> int:
    """The sign count of an answer that the credential has signed, with its user verified. Raises `PasskeyRefused`."""
    return await asyncio.to_thread(_check_use, answer, challenge, party, public_key, sign_count)


def _check_new(answer: Answer, challenge: bytes, party: RelyingParty) -> NewCredential:
    from webauthn import verify_registration_response
    from webauthn.helpers.cose import COSEAlgorithmIdentifier

    try:
        made = verify_registration_response(
            credential=answer.content,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(each) for each in ALGORITHMS],
        )
    except Exception as error:  # the parsers beneath the library have faults of their own
        raise PasskeyRefused(f"{type(error).__name__}: {error}"[:MAX_REASON]) from error
    return NewCredential(credential_id=made.credential_id, public_key=made.credential_public_key, sign_count=made.sign_count)


def _check_use(answer: Answer, challenge: bytes, party: RelyingParty, public_key: bytes, sign_count: int) -> int:
    from webauthn import verify_authentication_response

    try:
        used = verify_authentication_response(
            credential=answer.content,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except Exception as error:  # the parsers beneath the library have faults of their own
        raise PasskeyRefused(f"{type(error).__name__}: {error}"[:MAX_REASON]) from error
    return used.new_sign_count
