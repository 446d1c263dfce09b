"""What a key may, and until when."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.apikey import Scope
from sendryd.testing.samples import NOW, Samples

KEY = Samples().api_key().key
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("held", Scope)
def test_a_scope_includes_those_below_it(held: Scope) -> None:
    key, order = replace(KEY, scope=held), [Scope.READ_ONLY, Scope.SENDING_ACCESS, Scope.FULL_ACCESS]
    assert [key.may(needed) for needed in order] == [needed_rank <= order.index(held) for needed_rank in range(3)]


def test_a_key_opens_until_it_is_revoked_or_expires() -> None:
    assert KEY.is_active(NOW)
    for ended in (replace(KEY, revoked_at=NOW), replace(KEY, expires_at=NOW), replace(KEY, revoked_at=NOW, expires_at=NOW + SECOND)):
        assert ended.is_active(NOW - SECOND)
        assert not ended.is_active(NOW)
