"""The form of a key decides before anything is looked up."""

import hashlib

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.policy.credentials import RANDOM_LENGTH, display_prefix, hash_key, new_secret

RANDOM = "abcDEF0123456789abcDEF0123456789abcDEF01234"


def test_a_key_is_hashed_whole() -> None:
    secret = new_secret(KeyMode.LIVE, RANDOM)
    assert hash_key(secret) == hashlib.sha256(secret.encode()).digest()
    assert len(RANDOM) == RANDOM_LENGTH


def test_display_prefix_shows_four_characters_of_the_secret() -> None:
    assert display_prefix(new_secret(KeyMode.TEST, RANDOM)) == "sn_test_abcD"


@pytest.mark.parametrize(
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
