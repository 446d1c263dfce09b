"""Addresses of our own: a return path for each delivery, to which other servers report what became of the mail, and one for each account.

The local part is `b+` and a token: the 13 letters of the delivery's public id, and 16 that sign it (HMAC-SHA256, RFC 2104, cut to 80 bits, which
cannot be guessed over a network). So no state is stored, a forged address is recognised without a look-up, and the address survives servers that
write local parts in lower or upper case. It has 31 octets of the 64 of RFC 5321 §4.5.3.1.1.
"""

import hmac
import re
from typing import Final

from sendryd.model.ids import DELIVERY_PREFIX, AccountId, DeliveryId, format_id, parse_id

SECRET_NAME: Final = "return paths"  # noqa: S105 - the name under which the store keeps it
SECRET_LENGTH: Final = 64  # characters
PREFIX: Final = "b+"
INBOUND_PREFIX: Final = "in-"  # of the addresses of accounts: a plus sign is refused by some forms
MAX_FOUND: Final = 20  # addresses of one report that are read: a message that is sent back names its own in a few fields

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # of public ids
_ID_LENGTH: Final = 13
_MAC_OCTETS: Final = 10
_MAC_LENGTH: Final = _MAC_OCTETS * 8 // 5
_OF_DELIVERY: Final = b"sendryd return path 1\0"  # a new form gets a new number
_OF_ACCOUNT: Final = b"sendryd inbound address 1\0"
_SIGNED: Final = rf"([0-9a-hjkmnp-tv-z]{{{_ID_LENGTH}}})([0-9a-hjkmnp-tv-z]{{{_MAC_LENGTH}}})(?![0-9a-z])"
_TOKEN: Final = re.compile(r"b\+" + _SIGNED)
_ACCOUNT_TOKEN: Final = re.compile("in-" + _SIGNED)


def make_return_path(secret: bytes, delivery_id: DeliveryId, domain: str) -> str:
    """The address of a delivery."""
    letters = _letters(delivery_id)
    return f"{PREFIX}{letters}{_mac(secret, letters)}@{domain}"


def read_local_part(secret: bytes, local_part: str) -> DeliveryId | None:
    """The delivery that a local part names; None unless it was made with this secret. Never raises."""
    match = _TOKEN.fullmatch(local_part.lower())
    return _verify(secret, match[1], match[2]) if match else None


def find_deliveries(secret: bytes, text: str) -> list[DeliveryId]:
    """The deliveries whose return paths are in a text, in order, each once."""
    found: dict[DeliveryId, None] = {}
    for number, match in enumerate(_TOKEN.finditer(text.lower())):
        if number == MAX_FOUND:
            break
        delivery_id = _verify(secret, match[1], match[2])
        if delivery_id is not None:
            found[delivery_id] = None
    return list(found)


def make_inbound_address(secret: bytes, account_id: AccountId, domain: str) -> str:
    """The address at which an account receives mail."""
    letters = _letters(account_id)
    return f"{INBOUND_PREFIX}{letters}{_mac(secret, letters, _OF_ACCOUNT)}@{domain}"


def read_inbound_local_part(secret: bytes, local_part: str) -> AccountId | None:
    """The account whose address has this local part; None unless it was made with this secret. Never raises."""
    match = _ACCOUNT_TOKEN.fullmatch(local_part.lower())
    if match is None or not _is_signed(secret, match[1], match[2], _OF_ACCOUNT):
        return None
    number = parse_id(f"{DELIVERY_PREFIX}_{match[1]}", DELIVERY_PREFIX)
    return None if number is None else AccountId(number)


def _is_signed(secret: bytes, letters: str, mac: str, context: bytes) -> bool:
    return hmac.compare_digest(mac.encode("ascii"), _mac(secret, letters, context).encode("ascii"))


def _verify(secret: bytes, letters: str, mac: str) -> DeliveryId | None:
    if not _is_signed(secret, letters, mac, _OF_DELIVERY):
        return None
    number = parse_id(f"{DELIVERY_PREFIX}_{letters}", DELIVERY_PREFIX)
    return None if number is None else DeliveryId(number)


def _letters(number: int) -> str:
    return format_id(DELIVERY_PREFIX, number).partition("_")[2]


def _mac(secret: bytes, letters: str, context: bytes = _OF_DELIVERY) -> str:
    number = int.from_bytes(hmac.digest(secret, context + letters.encode("ascii"), "sha256")[:_MAC_OCTETS])
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_MAC_LENGTH - 1), -1, -5))
