"""Suppressed addresses are known at once to who suppresses, and soon to all."""

from pathlib import Path

import pytest

from sendryd.model.ids import AccountId, SuppressionId
from sendryd.model.suppression import Suppression, SuppressionReason
from sendryd.store.sqlite import open_store, suppressed
from sendryd.testing.samples import ACCOUNT, NOW


def suppression(number: int, email: str, account_id: AccountId = ACCOUNT) -> Suppression:
    return Suppression(id=SuppressionId(number), account_id=account_id, email=email, reason=SuppressionReason.MANUAL, created_at=NOW)


@pytest.mark.parametrize("kept", [50_000, 1])
async def test_what_this_process_changes_is_known_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(suppressed, "MAX_KEPT", kept)
    store = open_store(tmp_path)
    assert await store.find_suppressed(ACCOUNT, ["a@x.test"]) == frozenset()
    await store.add_suppressions([suppression(1, "a@x.test"), suppression(2, "b@x.test"), suppression(3, "c@x.test", AccountId(2))])
    assert await store.find_suppressed(ACCOUNT, ["a@x.test", "b@x.test", "c@x.test"]) == {"a@x.test", "b@x.test"}
    await store.remove_suppression(ACCOUNT, "a@x.test")
    assert await store.find_suppressed(ACCOUNT, ["a@x.test", "b@x.test"]) == {"b@x.test"}
    await store.aclose()


async def test_what_another_process_changes_is_seen_at_the_next_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppressed, "CHECK_INTERVAL", 0.0)
    here, there = open_store(tmp_path), open_store(tmp_path)
    assert await here.find_suppressed(ACCOUNT, ["a@x.test"]) == frozenset()
    await there.add_suppressions([suppression(1, "a@x.test")])
    assert await here.find_suppressed(ACCOUNT, ["a@x.test"]) == {"a@x.test"}
    await there.remove_suppression(ACCOUNT, "a@x.test")
    assert await here.find_suppressed(ACCOUNT, ["a@x.test"]) == frozenset()
    await here.aclose()
    await there.aclose()
