"""API keys as text: form and hash.

A key is `sn_live_` or `sn_test_` and 43 letters and digits: 256 random bits, so a fast hash is safe to store, and the
timing of a look-up by hash reveals nothing.
"""

import hashlib
import re
from typing import Final

from sendryd.model.apikey import KeyMode

RANDOM_LENGTH: Final = 43  # 43 * log2(62) = 256 bits
DISPLAY_LENGTH: Final = 12  # "sn_live_" and four more: enough to tell keys apart, useless to an attacker
# Case-insensitive, since some texts are folded; longer than the displayed prefix.
_IN_TEXT: Final = re.compile(r"(sn_(?:live|test)_)[A-Za-z0-9]{5,}", re.ASCII | re.IGNORECASE)
_BASE64_STARTS: Final = (
    "c25fbGl2ZV",
    "c25fdGVzdF",
    "NuX2xpdmVf",
    "NuX3Rlc3Rf",
    "zbl9saXZlX",
    "zbl90ZXN0X",
)  # for each alignment of the key
_IN_BASE64: Final = re.compile(rf"(?:{'|'.join(_BASE64_STARTS)})[A-Za-z0-9+/_-]+", re.ASCII)
# A text without any of these has no key: a plain search is ten times faster than the patterns.
_STARTS: Final = ("sn_live_", "sn_test_", *(start.lower() for start in _BASE64_STARTS))
_FORM: Final = re.compile(r"sn_(?:live|test)_[A-Za-z0-9]{43}", re.ASCII)


def new_secret(mode: KeyMode, random_part: str) -> str:
    """A key from its random part. Raises `ValueError` if the part has the wrong form."""
    secret = f"sn_{mode.value}_{random_part}"
    if not _FORM.fullmatch(secret):
        raise ValueError(f"the random part of a key is {RANDOM_LENGTH} letters and digits")
    return secret


def hash_key(secret: str) -> bytes | None:
    """The SHA-256 that is stored for a key; None if the text has not the form of a key."""
    if not _FORM.fullmatch(secret):
        return None
    return hashlib.sha256(secret.encode("ascii")).digest()


def display_prefix(secret: str) -> str:
    """The part of a key that may be shown."""
    return secret[:DISPLAY_LENGTH]


def without_keys(text: str) -> str:
    """A text with each API key in it, also in base64, replaced by stars."""
    folded = text.lower()
    for start in _STARTS:
        if start in folded:
            return _IN_BASE64.sub("***", _IN_TEXT.sub(r"\1***", text))
    return text
