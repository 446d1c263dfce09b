"""The form of a key decides before anything is looked up."""

import base64
import hashlib

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.policy.credentials import RANDOM_LENGTH, display_prefix, hash_key, new_secret, without_keys
from sendryd.testing.cases import cases

RANDOM = "abcDEF0123456789abcDEF0123456789abcDEF01234"


def test_a_key_is_hashed_whole() -> None:
    secret = new_secret(KeyMode.LIVE, RANDOM)
    assert hash_key(secret) == hashlib.sha256(secret.encode()).digest()
    assert len(RANDOM) == RANDOM_LENGTH


def test_display_prefix_shows_four_characters_of_the_secret() -> None:
    assert display_prefix(new_secret(KeyMode.TEST, RANDOM)) == "sn_test_abcD"


@cases(
    "text",
    [
        "",
        "sn_live_",
        "sn_live_" + RANDOM[:-1],
        "sn_live_" + RANDOM + "a",
        "SN_LIVE_" + RANDOM,
        "sn_prod_" + RANDOM,
        " sn_live_" + RANDOM,
        "sn_live_" + RANDOM + "\n",
        "sn_live_" + RANDOM[:-1] + "é",
        "sn_live_" + RANDOM[:-1] + "٣",
        "sn_live_" + "a" * 10_000_000,
    ],
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert hash_key(text) is None


def test_a_random_part_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="43 letters"):
        new_secret(KeyMode.LIVE, "short")


@cases("mode", KeyMode)
@cases("before", [b"", b"x", b"xy", b"\0sendry\0", b"sendry\0sendry\0"])
def test_keys_are_starred_in_any_text_and_in_base64(mode: KeyMode, before: bytes) -> None:
    secret = new_secret(mode, RANDOM)
    assert without_keys(f"GET /v1/keys/{secret}?x={secret.lower()}.") == f"GET /v1/keys/sn_{mode.value}_***?x=sn_{mode.value}_***."
    encoded = base64.b64encode(before + secret.encode()).decode()
    starred = without_keys(f"AUTH PLAIN {encoded}")
    assert all(encoded[start : start + 12] not in starred for start in range(len(before) * 4 // 3 + 8, len(encoded) - 12))


def test_what_may_be_shown_of_a_key_is_left_alone() -> None:
    shown = f'{{"key_prefix":"{display_prefix(new_secret(KeyMode.LIVE, RANDOM))}"}} sn_other'
    assert without_keys(shown) == shown
