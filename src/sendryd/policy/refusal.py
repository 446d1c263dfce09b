"""The catalogue of refusals, each rendered for SMTP and for HTTP.

A refusal is a value. Its sentence is for the peer: it says what to change and reveals nothing internal. The log gets the cause.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sendryd.smtp.reply import EnhancedStatusCode, Reply


class RefusalKey(StrEnum):
    """The reasons of refusals."""

    AUTH_FAILED = "auth_failed"
    KEY_MISSING = "key_missing"
    SCOPE_MISSING = "scope_missing"
    LIVE_KEY_NEEDED = "live_key_needed"
    DOMAIN_NOT_VERIFIED = "domain_not_verified"
    MALFORMED_MESSAGE = "malformed_message"
    CONTROL_HEADER = "control_header"
    TOO_MANY_HOPS = "too_many_hops"
    MESSAGE_TOO_BIG = "message_too_big"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    CONFLICT = "conflict"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    VALIDATION_ERROR = "validation_error"
    RATE_LIMITED = "rate_limited"
    QUOTA_REACHED = "quota_reached"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    STORAGE_FULL = "storage_full"


@dataclass(frozen=True, slots=True)
class Rendering:
    """The codes and the sentence of one refusal at both doors. `{}` in the sentence takes the refusal's detail."""

    smtp_code: int
    smtp_enhanced: str
    http_status: int
    http_code: str
    sentence: str


CATALOGUE: Final[dict[RefusalKey, Rendering]] = {
    RefusalKey.AUTH_FAILED: Rendering(
        535, "5.7.8", 401, "unauthorized", "Authentication failed: the API key is not valid, or has expired or been revoked"
    ),
    RefusalKey.KEY_MISSING: Rendering(
        530, "5.7.0", 401, "unauthorized", "The API key is missing: send it as Authorization: Bearer <API key>"
    ),
    RefusalKey.SCOPE_MISSING: Rendering(535, "5.7.8", 403, "insufficient_scope", "This API key lacks the {} scope: use a key that has it"),
    RefusalKey.LIVE_KEY_NEEDED: Rendering(550, "5.7.1", 403, "insufficient_scope", "A test key cannot {}: use a live key"),
    RefusalKey.DOMAIN_NOT_VERIFIED: Rendering(
        550,
        "5.7.1",
        403,
        "domain_not_verified",
        "The domain {} is not verified in this account: add its DNS records, or send from a verified domain",
    ),
    RefusalKey.MALFORMED_MESSAGE: Rendering(554, "5.6.0", 422, "validation_error", "Message refused: {}"),
    RefusalKey.CONTROL_HEADER: Rendering(
        550, "5.6.0", 422, "validation_error", "The header {} is not supported here or has a bad value: correct it or leave it out"
    ),
    RefusalKey.TOO_MANY_HOPS: Rendering(
        554, "5.4.6", 422, "validation_error", "Too many Received fields: the message is going round in a loop"
    ),
    RefusalKey.MESSAGE_TOO_BIG: Rendering(552, "5.3.4", 413, "payload_too_large", "The message is larger than this server takes"),
    RefusalKey.NOT_FOUND: Rendering(550, "5.1.0", 404, "not_found", "{} not found"),
    RefusalKey.BAD_REQUEST: Rendering(501, "5.5.4", 400, "bad_request", "{}"),
    RefusalKey.CONFLICT: Rendering(550, "5.5.1", 409, "conflict", "{}"),
    RefusalKey.IDEMPOTENCY_CONFLICT: Rendering(550, "5.6.0", 409, "idempotency_conflict", "{}"),
    RefusalKey.VALIDATION_ERROR: Rendering(501, "5.5.4", 422, "validation_error", "{}"),
    RefusalKey.RATE_LIMITED: Rendering(451, "4.7.1", 429, "rate_limited", "Too many requests: slow down and try again"),
    RefusalKey.QUOTA_REACHED: Rendering(451, "4.7.1", 429, "rate_limited", "The sending quota of {} is used up: try again later"),
    RefusalKey.TOO_MANY_CONNECTIONS: Rendering(421, "4.7.0", 429, "rate_limited", "Too many connections: close some, or try again later"),
    RefusalKey.TEMPORARILY_UNAVAILABLE: Rendering(
        451, "4.3.0", 503, "internal_error", "Temporarily unable to store messages: try again later"
    ),
    RefusalKey.STORAGE_FULL: Rendering(452, "4.3.1", 503, "internal_error", "Not enough room to store the message: try again later"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal with the detail that its sentence names."""

    key: RefusalKey
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The sentence for the peer, without a code."""
        sentence = CATALOGUE[self.key].sentence
        return sentence.replace("{}", self.detail)

    @property
    def smtp(self) -> Reply:
        """The refusal as an SMTP reply."""
        rendering = CATALOGUE[self.key]
        return Reply(rendering.smtp_code, self.sentence, EnhancedStatusCode.parse(rendering.smtp_enhanced))

    @property
    def http_status(self) -> int:
        """The status of the HTTP response."""
        return CATALOGUE[self.key].http_status

    @property
    def http_code(self) -> str:
        """`error.code` of the HTTP response."""
        return CATALOGUE[self.key].http_code
