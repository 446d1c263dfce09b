"""Chance."""

import string
from collections import Counter

import pytest

from sendryd.runtime.rand import SeededRand, SystemRand

LETTERS = set(string.ascii_letters + string.digits)


@pytest.mark.parametrize("length", [0, 1, 20, 43, 500])
def test_secrets_have_the_length_and_letters_that_they_should(length: int) -> None:
    for rand in (SystemRand(), SeededRand(1)):
        secret = rand.secret(length)
        assert len(secret) == length
        assert set(secret) <= LETTERS


def test_secrets_differ_and_no_letter_is_favoured() -> None:
    rand = SystemRand()
    assert len({rand.secret(20) for _ in range(1000)}) == 1000
    counts = Counter(rand.secret(62_000))
    assert set(counts) == LETTERS
    assert 800 < min(counts.values()) <= max(counts.values()) < 1200  # 1000 each, give or take six standard deviations


def test_the_same_seed_gives_the_same_sequence() -> None:
    assert SeededRand(7).secret(30) == SeededRand(7).secret(30)
    assert -1 <= SystemRand().jitter() < 1
    assert 0 <= SystemRand().token() < 1 << 63
