"""When a key fails often."""

import pytest

from sendryd.policy.failingkeys import FEW, fails_often


@pytest.mark.parametrize(
    ("failed", "done", "expected"), [(0, 0, False), (FEW - 1, 0, False), (FEW, 0, True), (FEW, 4 * FEW, True), (FEW, 4 * FEW + 1, False)]
)
def test_a_key_fails_often_from_ten_failures_that_are_a_fifth_of_all(failed: int, done: int, *, expected: bool) -> None:
    assert fails_often(failed, done) is expected
