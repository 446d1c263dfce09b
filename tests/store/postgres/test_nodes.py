"""The processes of a cluster: shares of the destinations, handing over, and the end of those that are silent."""

from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from sendryd.model.event import EventType
from sendryd.policy.crashes import pause_after_crash
from sendryd.store.base import Engagement, OneHop
from sendryd.store.base.leases import Owner
from sendryd.store.base.nodes import SHARDS, Beat, NameTaken, NodeState, PlaceTaken, shard_of
from sendryd.store.postgres.queries import SQL
from sendryd.store.postgres.store import PostgresStore, open_store
from sendryd.testing.postgres import shared_server
from sendryd.testing.samples import ACCOUNT, NOW, Samples

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]


@pytest.fixture
def database() -> str:
    return shared_server().new_database()


@pytest.fixture
async def store(database: str, tmp_path: Path) -> AsyncIterator[PostgresStore]:
    made = await open_store(shared_server().target(database), tmp_path, monotonic=monotonic)
    yield made
    await made.aclose()
    shared_server().drop_database(database)


def beat_of(
    boot: int,
    *,
    name: str | None = None,
    serves: bool = True,
    kept: frozenset[int] = frozenset(),
    place: str | None = None,
    roles: tuple[str, ...] = ("delivery", "http"),
    machine: str = "",
    sessions: int = 0,
) -> Beat:
    return Beat(
        owner=Owner(node=name or f"node-{boot}", boot=boot),
        place=place or f"place-{boot}",
        roles=roles,
        machine=machine,
        serves=serves,
        kept=kept,
        sessions=sessions,
    )


async def test_one_process_gets_all_shares(store: PostgresStore) -> None:
    share = await store.beat(beat_of(1))
    assert share.shards == frozenset(range(SHARDS))
    assert share.is_first
    assert share.servers == 1


async def test_a_second_process_gets_its_half_once_the_first_has_let_go(store: PostgresStore) -> None:
    first = await store.beat(beat_of(1))
    assert not (await store.beat(beat_of(2))).shards, "nothing is free yet"
    smaller = await store.beat(beat_of(1, kept=first.shards))
    assert len(smaller.shards) == SHARDS // 2
    assert not (await store.beat(beat_of(2))).shards, "sessions may still be under way in what the first does not serve any more"
    await store.beat(beat_of(1, kept=smaller.shards))
    second = await store.beat(beat_of(2))
    assert len(second.shards) == SHARDS // 2
    assert not second.shards & smaller.shards
    assert not second.is_first


async def test_shares_with_sessions_under_way_are_kept(store: PostgresStore) -> None:
    await store.beat(beat_of(1))
    await store.beat(beat_of(2))
    await store.beat(beat_of(1, kept=frozenset({200, 201})))
    second = await store.beat(beat_of(2))
    assert second.shards == frozenset(range(128, 256)) - {200, 201}


async def test_a_process_that_leaves_frees_its_shares_at_once(store: PostgresStore) -> None:
    await store.beat(beat_of(1))
    await store.leave(Owner(node="node-1", boot=1))
    assert len((await store.beat(beat_of(2))).shards) == SHARDS
    assert {(node.name, node.state) for node in await store.list_nodes()} == {("node-1", NodeState.GONE), ("node-2", NodeState.UP)}


async def test_a_silent_process_is_taken_over_from(store: PostgresStore, database: str) -> None:
    await store.beat(beat_of(1))
    shared_server().run(
        "UPDATE node SET last_seen = now() - interval '29 seconds'; UPDATE shard SET expires_at = now() + interval '1 second'", database
    )
    assert not (await store.beat(beat_of(2))).shards
    shared_server().run("UPDATE node SET last_seen = now() - interval '31 seconds' WHERE boot = 1", database)
    share = await store.beat(beat_of(2))
    assert len(share.shards) == SHARDS
    assert share.is_first


async def test_after_the_database_was_away_no_process_is_taken_for_dead(store: PostgresStore, database: str) -> None:
    for boot in (1, 2, 1, 2):
        await store.beat(beat_of(boot))
    owned = [(await store.beat(beat_of(boot))).shards for boot in (1, 2)]
    shared_server().run(
        "UPDATE node SET last_seen = now() - interval '40 seconds'; UPDATE shard SET expires_at = now() - interval '10 seconds'", database
    )
    back = [await store.beat(beat_of(boot)) for boot in (1, 2)]
    assert [share.shards for share in back] == owned, "each goes on with what it had"


async def test_a_process_that_does_not_come_back_with_the_database_is_taken_over_from(store: PostgresStore, database: str) -> None:
    await store.beat(beat_of(1))
    await store.beat(beat_of(2))
    shared_server().run("UPDATE node SET last_seen = now() - interval '40 seconds'", database)
    assert len((await store.beat(beat_of(2))).shards) < SHARDS
    shared_server().run("UPDATE node SET back_since = now() - interval '11 seconds' WHERE boot = 2", database)
    share = await store.beat(beat_of(2))
    assert len(share.shards) == SHARDS


async def test_a_restart_in_the_same_place_takes_over_at_once(store: PostgresStore) -> None:
    await store.beat(beat_of(1, name="a", place="here"))
    share = await store.beat(beat_of(2, name="a", place="here"))
    assert len(share.shards) == SHARDS
    assert [(node.name, node.state, node.owns) for node in await store.list_nodes()] == [("a", NodeState.UP, SHARDS)]


async def test_a_name_belongs_to_one_living_process(store: PostgresStore) -> None:
    await store.beat(beat_of(1, name="a"))
    with pytest.raises(NameTaken):
        await store.beat(beat_of(2, name="a"))
    await store.leave(Owner(node="a", boot=1))
    assert (await store.beat(beat_of(2, name="a"))).shards


async def test_a_drained_process_owns_nothing_and_is_not_first(store: PostgresStore) -> None:
    share = await store.beat(beat_of(1, name="a"))
    await store.beat(beat_of(2, name="b"))
    assert await store.ask_to_drain("a")
    asked = await store.beat(beat_of(1, name="a", kept=share.shards))
    assert asked.is_asked_to_drain
    assert not asked.shards
    done = await store.beat(beat_of(1, name="a", serves=False))
    assert not done.is_first
    assert len((await store.beat(beat_of(2, name="b"))).shards) == SHARDS
    states = {node.name: (node.state, node.owns) for node in await store.list_nodes()}
    assert states == {"a": (NodeState.DRAINED, 0), "b": (NodeState.UP, SHARDS)}
    assert not await store.ask_to_drain("c")


async def test_the_first_is_one_with_the_duties_of_upkeep(store: PostgresStore) -> None:
    assert (await store.beat(beat_of(1, roles=("http", "smtp")))).is_first, "nobody else is there"
    assert (await store.beat(beat_of(2, roles=("upkeep", "webhooks")))).is_first
    assert not (await store.beat(beat_of(1, roles=("http", "smtp")))).is_first
    assert not (await store.beat(beat_of(3, roles=("upkeep",)))).is_first


async def test_leases_of_a_process_that_is_gone_are_called_dead_until_they_are_returned(store: PostgresStore) -> None:
    samples, gone, living = Samples(), Owner(node="node-1", boot=1), Owner(node="node-2", boot=2)
    for boot in (1, 2):
        await store.beat(beat_of(boot))
    await store.ensure_account(ACCOUNT, "default", NOW)
    await store.add_webhook(samples.webhook())
    new = samples.message(lease=samples.lease(gone))
    await store.accept(new)
    event = samples.event(EventType.DELIVERED)
    await store.record_engagements([Engagement(delivery_id=new.deliveries[0].id, event=event, happened_at=NOW)])
    await store.fan_out(limit=9)
    assert await store.claim_notifications(now=NOW, lease=samples.lease(gone), limit=9, busy=frozenset(), per_webhook=9)
    assert not (await store.beat(beat_of(2))).dead
    await store.leave(gone)
    for _ in range(2):  # whoever saw it first may have failed to return them
        assert (await store.beat(beat_of(2))).dead == {1}
    assert len(await store.return_dead_leases(living, now=NOW, pause=pause_after_crash)) == 1
    assert (await store.beat(beat_of(2))).dead == {1}, "notifications are leased too"
    assert await store.return_dead_notifications(living) == 1
    assert not (await store.beat(beat_of(2))).dead


def test_a_domain_that_is_set_apart_stays_with_the_owner_of_its_provider() -> None:
    assert shard_of("evil.example@google") == shard_of("google")


async def test_each_process_sees_a_request_for_a_probe_once(store: PostgresStore, database: str, tmp_path: Path) -> None:
    other = await open_store(shared_server().target(database), tmp_path / "other", monotonic=monotonic)
    for _ in range(2):
        await store.resume_destination("one.test")
        for each in (store, other):
            assert await each.list_probes() == ["one.test"]
            await each.clear_probes(["one.test"])
            assert await each.list_probes() == []
    shared_server().run("UPDATE probe SET asked_at = now() - interval '20 seconds'", database)
    late = await open_store(shared_server().target(database), tmp_path / "late", monotonic=monotonic)
    assert await late.list_probes() == []
    await late.resume_destination("two.test")
    await late.clear_probes(await late.list_probes())
    assert [row["domain"] for row in await late._server.find_rows(SQL["list_asked_probes"], lifetime=1e6)] == ["two.test"]
    await late.aclose()
    await other.aclose()


async def test_a_process_whose_folder_was_copied_gives_way_to_the_later_one(store: PostgresStore) -> None:
    await store.beat(beat_of(1, name="a", place="here"))
    assert len((await store.beat(beat_of(2, name="b", place="here"))).shards) == SHARDS
    for _ in range(2):
        with pytest.raises(PlaceTaken):
            await store.beat(beat_of(1, name="a", place="here"))
        assert len((await store.beat(beat_of(2, name="b", place="here"))).shards) == SHARDS
    await store.leave(Owner(node="b", boot=2))
    assert len((await store.beat(beat_of(1, name="a", place="here"))).shards) == SHARDS


async def test_a_process_of_the_same_place_is_seen_unless_it_is_of_this_machine_or_ended(store: PostgresStore) -> None:
    assert await store.seen_at("here", "m2") is None
    await store.beat(beat_of(1, place="here", machine="m1"))
    first = await store.seen_at("here", "m2")
    assert first is not None
    assert await store.seen_at("here", "m1") is None
    await store.beat(beat_of(1, place="here", machine="m1"))
    second = await store.seen_at("here", "m2")
    assert second is not None
    assert second > first
    await store.leave(Owner(node="node-1", boot=1))
    assert await store.seen_at("here", "m2") is None


async def test_a_process_knows_what_others_have_of_a_smart_host_and_begins_once_all_know_of_it(store: PostgresStore) -> None:
    assert (await store.beat(beat_of(1))).is_known
    await store.beat(beat_of(1, sessions=20))
    second = await store.beat(beat_of(2))
    assert (second.servers, second.rank, second.others, second.is_known) == (2, 1, 20, False)
    first = await store.beat(beat_of(1, sessions=10))
    assert (first.servers, first.rank, first.others, first.is_known) == (2, 0, 0, True)
    second = await store.beat(beat_of(2, sessions=10))
    assert (second.others, second.is_known) == (10, True)
    await store.ask_to_drain("node-1")
    await store.beat(beat_of(1, sessions=4, serves=False))
    second = await store.beat(beat_of(2, sessions=10))
    assert (second.servers, second.rank, second.others) == (1, 0, 4), "one that drains ends its sessions"


async def test_mail_of_a_process_without_a_session_is_claimed_by_others(store: PostgresStore, database: str, tmp_path: Path) -> None:
    await store.ensure_account(ACCOUNT, "default", NOW)
    await store.beat(beat_of(1))
    other = await open_store(shared_server().target(database), tmp_path / "other", monotonic=monotonic)
    await other.beat(beat_of(2))  # it gets nothing: the first has all
    samples = Samples()
    relay = "relay.test:587~0123456789abcdef"
    for number in range(6):
        await store.accept(samples.message([f"u@d{number}.test"]))
    await store.accept(samples.message(["u@d1.test"], lane=relay))
    values = {"now": NOW, "limit": 9, "busy": frozenset[str](), "per_domain": 9}
    assert await other.claim_deliveries(lease=samples.lease(), one_hop=OneHop(most=9), **values) == []  # type: ignore[arg-type]
    claims = await other.claim_deliveries(
        lease=samples.lease(),
        one_hop=OneHop(most=4, is_of_all_shards=True),
        **values,  # type: ignore[arg-type]
    )
    assert len(claims) == 4
    assert relay not in {each.domain for each in claims}, "lanes have one owner"
    claims = await store.claim_deliveries(lease=samples.lease(), one_hop=OneHop(most=9), **values)  # type: ignore[arg-type]
    assert (len(claims), claims[0].domain) == (3, relay)
    await other.aclose()
