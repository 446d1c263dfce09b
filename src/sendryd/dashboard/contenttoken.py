"""The token that opens the framed content of one message for one person, for ten minutes. Pure.

A sandboxed frame has no origin and sends no cookie with its requests, so the address itself says what may be seen. HMAC-SHA256 (RFC 2104) under
the installation's secret, cut to 128 bits.
"""

import base64
import binascii
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sendryd.model.ids import AccountId, MessageId, PersonId

LIFETIME: Final = timedelta(minutes=10)
_CONTEXT: Final = b"sendryd framed content 2\0"  # separates the uses of the secret
_BODY: Final = struct.Struct(">QQQIB")  # account, message, person, seconds since 1970, flags
_REMOTE: Final = 1  # flags
_WHOLE: Final = 2
_MAC_LENGTH: Final = 16  # octets
_LENGTH: Final = (_BODY.size + _MAC_LENGTH) * 4 // 3  # characters; the octets are a multiple of three, so no letter has unused bits


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentToken:
    """What may be seen, by whom and until when."""

    account_id: AccountId
    message_id: MessageId
    person_id: PersonId
    expires_at: datetime
    is_remote_shown: bool = False  # whether pictures from elsewhere are fetched
    is_whole: bool = False  # whether HTML is framed although it is very large


def mint(secret: bytes, token: ContentToken) -> str:
    """The text of a token, exact to the second."""
    flags = token.is_remote_shown * _REMOTE | token.is_whole * _WHOLE
    body = _BODY.pack(token.account_id, token.message_id, token.person_id, int(token.expires_at.timestamp()), flags)
    return base64.urlsafe_b64encode(body + _mac(secret, body)).decode("ascii")


def read(secret: bytes, text: str) -> ContentToken | None:
    """The token; None unless it was minted with this secret. The caller checks the expiry. Never raises."""
    if len(text) != _LENGTH or not text.isascii():
        return None
    try:
        octets = base64.b64decode(text, altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    body, mac = octets[: _BODY.size], octets[_BODY.size :]
    if len(octets) != _BODY.size + _MAC_LENGTH or not hmac.compare_digest(mac, _mac(secret, body)):
        return None
    account_id, message_id, person_id, seconds, flags = _BODY.unpack(body)
    return ContentToken(
        account_id=AccountId(account_id),
        message_id=MessageId(message_id),
        person_id=PersonId(person_id),
        expires_at=datetime.fromtimestamp(seconds, UTC),
        is_remote_shown=bool(flags & _REMOTE),
        is_whole=bool(flags & _WHOLE),
    )


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, _CONTEXT + body, "sha256")[:_MAC_LENGTH]
