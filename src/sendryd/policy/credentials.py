"""API keys as text: their form and their hash.

A key is `sn_live_` or `sn_test_` and 43 letters and digits: 256 random bits, so a fast hash is the right one to store, and a look-up
by that hash tells an attacker nothing by its timing.
"""

import hashlib
import re
from typing import Final

from sendryd.model.apikey import KeyMode

RANDOM_LENGTH: Final = 43  # 43 * log2(62) = 256 bits
DISPLAY_LENGTH: Final = 12  # "sn_live_" and four more: enough to tell keys apart, useless to an attacker
_FORM: Final = re.compile(r"sn_(?:live|test)_[A-Za-z0-9]{43}", re.ASCII)


def new_secret(mode: KeyMode, random_part: str) -> str:
    """The text of a key from its random part. Raises `ValueError` if that has not the right form."""
    secret = f"sn_{mode.value}_{random_part}"
    if not _FORM.fullmatch(secret):
        raise ValueError(f"the random part of a key is {RANDOM_LENGTH} letters and digits")
    return secret


def hash_key(secret: str) -> bytes | None:
    """The SHA-256 under which a key is stored; None if the text has not the form of a key."""
    if not _FORM.fullmatch(secret):
        return None
    return hashlib.sha256(secret.encode("ascii")).digest()


def display_prefix(secret: str) -> str:
    """The part of a key that may be shown."""
    return secret[:DISPLAY_LENGTH]
