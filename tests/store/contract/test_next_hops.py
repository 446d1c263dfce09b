"""Next hops: hosts that did TLS, and probes that an operator asks for."""

from datetime import timedelta

import pytest

from sendryd.store.base import MailStore, PausedDestination, QueueFilter
from sendryd.testing.samples import NOW, Samples

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_the_latest_hosts_that_did_tls_are_kept(store: MailStore) -> None:
    await store.note_tls_hosts({f"mx{number}.test": NOW + number * HOUR for number in range(5)}, keep_since=NOW, most=9)
    await store.note_tls_hosts({"mx1.test": NOW, "mx9.test": NOW + 9 * HOUR}, keep_since=NOW + HOUR, most=4)
    found = await store.list_tls_hosts()
    assert found == [(f"mx{number}.test", NOW + number * HOUR) for number in (2, 3, 4, 9)]


@pytest.mark.parametrize("is_held", [False, True])
async def test_what_an_operator_moves_asks_for_a_probe_of_its_domain(store: MailStore, samples: Samples, *, is_held: bool) -> None:
    await store.accept(samples.message(["a@one.test", "b@two.test"]))
    which = QueueFilter(domain="one.test")
    if is_held:
        await store.hold(which, NOW)
    assert await store.list_probes() == []
    await (store.release_held(which, NOW) if is_held else store.retry(which, NOW))
    assert await store.list_probes() == ["one.test"]
    await store.clear_probes(["other.test"])
    assert await store.list_probes() == ["one.test"]
    await store.clear_probes(["one.test"])
    assert await store.list_probes() == []


async def test_a_destination_is_paused_until_somebody_lets_it_go_on(store: MailStore) -> None:
    assert await store.pause_destination("one.test", by="Mara", now=NOW)
    assert not await store.pause_destination("one.test", by="Vera", now=NOW + timedelta(hours=1))
    assert await store.list_paused_destinations() == [PausedDestination(domain="one.test", by="Mara", since=NOW)]
    assert await store.resume_destination("one.test")
    assert not await store.resume_destination("one.test")
    assert await store.list_paused_destinations() == []
    assert await store.list_probes() == ["one.test"]
