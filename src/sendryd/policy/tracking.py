"""Tokens and URLs of our links in mail: the pixel, tracked links, the unsubscribe page, shared messages.

A link is the base URL, one letter and a token: `/o/` opens, `/c/` clicks, `/u/` unsubscribes, `/s/` shares. A token is base64url without
padding (RFC 4648 §5) of its kind, the number of the delivery or message, the data of the kind, and HMAC-SHA256 (RFC 2104) over all of
that, cut to 128 bits, under the installation's secret. So a link needs no stored state, cannot be forged or changed, and redirects only to targets
in the sender's own message. An unsubscribe token has the address and the list in it: it works as long as the recipient keeps the mail, also after
the message was deleted here.
"""

import base64
import binascii
import hmac
import re
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

import idna

from sendryd.model.ids import AccountId, DeliveryId, MessageId

OPEN_PATH: Final = "/o/"
CLICK_PATH: Final = "/c/"
UNSUBSCRIBE_PATH: Final = "/u/"
SHARE_PATH: Final = "/s/"
SHARED_FOR: Final = timedelta(hours=48)  # the contract of `GET /v1/emails/{id}/share`
SHARE_LIFETIME: Final = timedelta(hours=48)  # the contract
MAX_TARGET: Final = 8192  # octets of a tracked URL: the usual limit of request lines; longer URLs are not tracked
MAX_LIST_ID: Final = 255  # octets: with the longest address the link still fits a header line of 998
MAX_ADDRESS: Final = 512  # octets: a path of 256 (RFC 5321 §4.5.3.1.3), doubled for letters that NFC makes longer

_MAC_LENGTH: Final = 16  # octets: 128 bits cannot be guessed
_CONTEXT: Final = b"sendryd link 1\0"  # separates the uses of the secret; a new token format gets a new number
_OPEN: Final = b"o"
_CLICK: Final = b"c"
_UNSUBSCRIBE: Final = b"u"
_SHARE: Final = b"s"
_HEAD: Final = struct.Struct(">cQ")  # kind, number
_LIST: Final = struct.Struct(">QH")  # account, octets of the list's name
_SHARED: Final = struct.Struct(">QQ")  # account, seconds since 1970
_NO_LIST: Final = 0xFFFF
_MAX_TOKEN: Final = (_HEAD.size + MAX_TARGET + _MAC_LENGTH) * 4 // 3 + 3  # characters

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_TARGET: Final = re.compile(r"https?://([^/?#\\]+)(.*)", re.IGNORECASE | re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BLANK: Final = " \t\r\n\f"  # characters that browsers strip around an href
_PORT: Final = re.compile(r"(?::[0-9]*)?\Z")


@dataclass(frozen=True, slots=True)
class OpenToken:
    """The token of a pixel."""

    delivery_id: DeliveryId


@dataclass(frozen=True, slots=True)
class ClickToken:
    """The token of a tracked link."""

    delivery_id: DeliveryId
    url: str  # as in the message


@dataclass(frozen=True, slots=True)
class UnsubscribeToken:
    """The token of List-Unsubscribe and of unsubscribe links in the body."""

    delivery_id: DeliveryId
    account_id: AccountId
    address: str  # the forward-path
    list_id: str | None  # None: all marketing


@dataclass(frozen=True, slots=True)
class ShareToken:
    """The token of a shared message."""

    message_id: MessageId
    account_id: AccountId
    expires_at: datetime


Token = OpenToken | ClickToken | UnsubscribeToken | ShareToken


def mint_open(secret: bytes, delivery_id: DeliveryId) -> str:
    """Mints the token of a pixel."""
    return _mint(secret, _OPEN, delivery_id, b"")


def mint_click(secret: bytes, delivery_id: DeliveryId, url: str) -> str:
    """Mints the token of a tracked link. Raises `ValueError` for a URL that `redirect_location` refuses, or one over `MAX_TARGET`."""
    if redirect_location(url) is None:
        raise ValueError("only an http or https URL without control characters can be tracked")
    octets = url.encode("utf-8")
    if len(octets) > MAX_TARGET:
        raise ValueError(f"a URL of {len(octets)} octets is too long to be tracked; the most is {MAX_TARGET}")
    return _mint(secret, _CLICK, delivery_id, octets)


def mint_unsubscribe(secret: bytes, delivery_id: DeliveryId, *, account_id: AccountId, address: str, list_id: str | None) -> str:
    """Mints a token that unsubscribes an address from a list. Raises `ValueError` if the address or the list's name is too long."""
    name, path = (list_id or "").encode("utf-8"), address.encode("utf-8")
    if len(name) > MAX_LIST_ID or len(path) > MAX_ADDRESS:
        raise ValueError(f"a list's name has at most {MAX_LIST_ID} octets, an address {MAX_ADDRESS}")
    length = _NO_LIST if list_id is None else len(name)
    return _mint(secret, _UNSUBSCRIBE, delivery_id, _LIST.pack(account_id, length) + name + path)


def mint_share(secret: bytes, message_id: MessageId, *, account_id: AccountId, expires_at: datetime) -> str:
    """Mints a token that shows a message until a time, exact to the second."""
    return _mint(secret, _SHARE, message_id, _SHARED.pack(account_id, int(expires_at.timestamp())))


def _mint(secret: bytes, kind: bytes, number: int, payload: bytes) -> str:
    body = _HEAD.pack(kind, number) + payload
    return base64.urlsafe_b64encode(body + _mac(secret, body)).rstrip(b"=").decode("ascii")


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, _CONTEXT + body, "sha256")[:_MAC_LENGTH]


def read_token(secret: bytes, text: str) -> Token | None:
    """Reads a token; None unless it was minted with this secret, letter for letter. The caller checks the expiry of a shared message.

    Never raises.
    """
    signed = _decode(text)
    if signed is None or len(signed) < _HEAD.size + _MAC_LENGTH:
        return None
    body, mac = signed[:-_MAC_LENGTH], signed[-_MAC_LENGTH:]
    if not hmac.compare_digest(mac, _mac(secret, body)):
        return None
    kind, number = _HEAD.unpack_from(body)
    return _read(kind, number, body[_HEAD.size :])  # authentic, so it cannot be malformed


def _decode(text: str) -> bytes | None:
    if len(text) > _MAX_TOKEN or not _TOKEN.fullmatch(text):
        return None
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None
    # The last letter has unused bits: each token has one spelling.
    return octets if base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii") == text else None


def _read(kind: bytes, number: int, payload: bytes) -> Token:
    if kind == _OPEN:
        return OpenToken(DeliveryId(number))
    if kind == _CLICK:
        return ClickToken(DeliveryId(number), payload.decode("utf-8"))
    if kind == _UNSUBSCRIBE:
        account_id, length = _LIST.unpack_from(payload)
        end = _LIST.size + (0 if length == _NO_LIST else length)
        list_id = None if length == _NO_LIST else payload[_LIST.size : end].decode("utf-8")
        return UnsubscribeToken(DeliveryId(number), AccountId(account_id), payload[end:].decode("utf-8"), list_id)
    account_id, moment = _SHARED.unpack(payload)
    return ShareToken(MessageId(number), AccountId(account_id), datetime.fromtimestamp(moment, UTC))


def open_url(public_url: str, secret: bytes, delivery_id: DeliveryId) -> str:
    """The URL of a recipient's pixel."""
    return _base(public_url) + OPEN_PATH + mint_open(secret, delivery_id)


def unsubscribe_url(
    public_url: str, secret: bytes, delivery_id: DeliveryId, *, account_id: AccountId, address: str, list_id: str | None
) -> str:
    """The URL where a recipient unsubscribes. Raises `ValueError` as `mint_unsubscribe` does."""
    token = mint_unsubscribe(secret, delivery_id, account_id=account_id, address=address, list_id=list_id)
    return _base(public_url) + UNSUBSCRIBE_PATH + token


def share_url(public_url: str, secret: bytes, message_id: MessageId, *, account_id: AccountId, expires_at: datetime) -> str:
    """The URL of a shared message until a time."""
    return _base(public_url) + SHARE_PATH + mint_share(secret, message_id, account_id=account_id, expires_at=expires_at)


def click_wrapper(public_url: str, secret: bytes, delivery_id: DeliveryId, left_alone: Collection[str]) -> Callable[[str], str | None]:
    """A function that returns the tracked URL for a link of a message, or None if the link stays unchanged.

    Unchanged are the URLs in `left_alone` (the sender's unsubscribe URLs), our own links, schemes other than http and https, URLs with control
    characters, and URLs longer than `MAX_TARGET` octets.
    """
    base = _base(public_url)
    own = tuple(base + path for path in (OPEN_PATH, CLICK_PATH, UNSUBSCRIBE_PATH, SHARE_PATH))
    untouched = frozenset(url.strip(_BLANK) for url in left_alone)

    def wrap(url: str) -> str | None:
        url = url.strip(_BLANK)
        if url in untouched or url.startswith(own):
            return None
        try:
            return base + CLICK_PATH + mint_click(secret, delivery_id, url)
        except ValueError:
            return None

    return wrap


def redirect_location(url: str) -> str | None:
    """A URL in the form of a Location field (RFC 9110 §10.2.2): ASCII, one line, otherwise unchanged.

    None if it is not http or https, has no host, has control characters, or lone surrogates.

    Letters beyond ASCII are percent-encoded as UTF-8, as browsers do; those of the host become A-labels (RFC 5891).
    """
    match = _TARGET.fullmatch(url)
    if match is None or _CONTROL.search(url):
        return None
    try:
        url.encode("utf-8")
    except UnicodeEncodeError:
        return None
    authority, rest = match[1], match[2]
    scheme = url[: match.start(1)]
    return scheme + _ascii_authority(authority) + _percent(rest)


def _ascii_authority(authority: str) -> str:
    if authority.isascii():
        return _percent(authority)
    user, at, place = authority.rpartition("@")
    port = _PORT.search(place)
    host, tail = (place[: port.start()], port[0]) if port else (place, "")
    try:
        name = idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        name = _percent(host)
    return _percent(user) + at + name + tail


def _percent(text: str) -> str:
    """Percent-encodes spaces and letters beyond ASCII; all else stays, also percent signs."""
    return quote(text, safe=_PRINTABLE)


_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


def _base(public_url: str) -> str:
    return public_url.rstrip("/")
