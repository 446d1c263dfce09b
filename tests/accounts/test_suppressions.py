"""The lists of those who get no mail or no marketing."""

from datetime import timedelta

import pytest

from sendryd.accounts.suppressions import MAX_IMPORT, BadAddress, BadLength, Suppressions, read_address, seek_address
from sendryd.model.ids import AccountId
from sendryd.model.suppression import SuppressionReason
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Store
from sendryd.store.errors import NotFound
from sendryd.testing.cases import cases
from sendryd.testing.clock import ManualClock

ACCOUNT, OTHER = AccountId(1), AccountId(2)
BOUNCE, MANUAL = SuppressionReason.HARD_BOUNCE, SuppressionReason.MANUAL


@pytest.fixture
def suppressions(store: Store, clock: ManualClock) -> Suppressions:
    return Suppressions(store, clock=clock, ids=IdSource(clock, SeededRand(3)))


@cases(
    ("written", "kept"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        ("  ann@example.org ", "ann@example.org"),
        ("GRÜSSE@Bücher.example", "grüsse@xn--bcher-kva.example"),
        ('"Two Words"@example.org', '"two words"@example.org'),
        ('"plain"@example.org', "plain@example.org"),
        ("e\u0301@example.org", "é@example.org"),
    ],
)
def test_addresses_are_kept_in_one_form(written: str, kept: str) -> None:
    assert read_address(written) == kept
    assert seek_address(written) == kept


@cases(
    "text",
    ["", "ann", "ann@", "@example.org", "a b@example.org", "a@b", "a@example.org,b@example.org", "a@example.org\r\nx", "a\0@example.org"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        read_address(text)


@pytest.mark.parametrize("text", ["Ann <ann@example.org>", "<ann@example.org>"])
def test_a_name_is_not_part_of_an_address(text: str) -> None:
    with pytest.raises(BadAddress, match="the address alone"):
        read_address(text)


async def test_who_is_suppressed_twice_keeps_reason_and_time(suppressions: Suppressions, clock: ManualClock) -> None:
    first = await suppressions.suppress(ACCOUNT, "Ann@example.org", BOUNCE)
    clock.advance(timedelta(days=1))
    assert await suppressions.suppress(ACCOUNT, "ann@EXAMPLE.org", MANUAL) == first
    assert (await suppressions.suppress(OTHER, "ann@example.org", MANUAL)).reason is MANUAL


async def test_lifting_takes_any_spelling(suppressions: Suppressions, store: Store) -> None:
    await suppressions.suppress(ACCOUNT, "ann@example.org", BOUNCE)
    with pytest.raises(NotFound):
        await suppressions.lift_suppression(OTHER, "ann@example.org")
    await suppressions.lift_suppression(ACCOUNT, "ANN@Example.org")
    assert await store.get_suppression(ACCOUNT, "ann@example.org") is None
    for text in ("ann@example.org", "nonsense"):
        with pytest.raises(NotFound):
            await suppressions.lift_suppression(ACCOUNT, text)


async def test_an_import_counts_what_is_new(suppressions: Suppressions) -> None:
    await suppressions.suppress(ACCOUNT, "a@example.org", BOUNCE)
    entries = [("a@example.org", MANUAL), ("b@example.org", MANUAL), ("B@example.org", BOUNCE), ("c@example.org", BOUNCE)]
    assert await suppressions.import_suppressions(ACCOUNT, entries) == 2


async def test_an_import_with_a_bad_address_stores_nothing(suppressions: Suppressions, store: Store) -> None:
    with pytest.raises(BadAddress) as caught:
        await suppressions.import_suppressions(ACCOUNT, [("a@example.org", MANUAL), ("b@example.org", MANUAL), ("nobody", MANUAL)])
    assert caught.value.index == 2
    assert (await store.page_suppressions(ACCOUNT, limit=10)).items == ()


async def test_unsubscribes_are_per_list(suppressions: Suppressions) -> None:
    (everywhere,), new = await suppressions.unsubscribe(ACCOUNT, ["Ann@example.org"], list_id=None, reason="asked")
    assert (everywhere.email, everywhere.list_id, everywhere.reason, new) == ("ann@example.org", None, "asked", 1)
    standing, new = await suppressions.unsubscribe(ACCOUNT, ["ann@example.org", "bob@example.org"], list_id=None, reason="again")
    assert (standing[0], standing[1].email, new) == (everywhere, "bob@example.org", 1)
    _, new = await suppressions.unsubscribe(ACCOUNT, ["ann@example.org", "ANN@example.org"], list_id="news", reason=None)
    assert new == 1


@pytest.mark.parametrize("count", [0, MAX_IMPORT + 1])
async def test_an_import_has_a_length(suppressions: Suppressions, count: int) -> None:
    with pytest.raises(BadLength, match="give 1 to 10,000 addresses") as caught:
        await suppressions.import_suppressions(ACCOUNT, [("ann@example.org", MANUAL)] * count)
    assert (caught.value.field, caught.value.sentence) == ("emails", str(caught.value))
