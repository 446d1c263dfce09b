"""`NodeStore`: the processes of a cluster and their shares of the destinations."""

from datetime import datetime
from typing import Final

from sendryd.store.base.leases import Owner
from sendryd.store.base.nodes import ALIVE, SHARDS, SILENCE, Beat, NameTaken, Node, NodeState, PlaceTaken, Share
from sendryd.store.codec.values import to_json
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows
from sendryd.store.postgres.queries import SQL
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.claims import DueScan

DELIVERY: Final = "delivery"  # the role that takes shards
UPKEEP: Final = "upkeep"  # the role with the duties of which each runs in one process
SECONDS: Final = SILENCE.total_seconds()
AWAY: Final = (
    10.0  # seconds without a heartbeat after which a process has been away; for as long again it gives the others time to come back
)


class Nodes:
    """`NodeStore`."""

    _database: Database
    _scan: DueScan

    async def beat(self, beat: Beat) -> Share:
        def action(connection: Connection, _batch: object) -> Share:
            return _beat(connection, beat)

        share = await self._database.write(action)
        self._scan.serve(share.shards)
        return share

    async def seen_at(self, place: str, machine: str) -> datetime | None:
        found: datetime | None = await self._database.read_value(SQL["seen_at"], place=place, machine=machine, alive=ALIVE.total_seconds())
        return found

    async def leave(self, owner: Owner) -> None:
        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["leave_shards"], boot=owner.boot)
            change(connection, SQL["set_state"], boot=owner.boot, state=NodeState.GONE.value)

        await self._database.write(action)

    async def move_domains(self, shards: dict[str, int]) -> None:
        def action(connection: Connection, _batch: object) -> None:
            for domain, shard in sorted(shards.items()):
                change(connection, SQL["note_domain_shard"], domain=domain, shard=shard)
                change(connection, SQL["move_domain"], domain=domain, shard=shard)

        await self._database.write(action)

    async def list_nodes(self) -> list[Node]:
        rows = await self._database.find_rows(SQL["list_nodes"])
        return [
            Node(
                name=row["name"],
                roles=tuple(row["roles"].split(",")),
                since=row["since"],
                last_seen=row["last_seen"],
                owns=row["owns"],
                state=NodeState(row["state"]),
            )
            for row in rows
        ]

    async def read_time(self) -> datetime:
        moment: datetime = await self._database.read_value(SQL["read_time"])
        return moment

    async def ask_to_drain(self, name: str) -> bool:
        return bool(await self._database.change(SQL["ask_to_drain"], name=name))


def _beat(connection: Connection, beat: Beat) -> Share:
    boot = beat.owner.boot
    if fetch_row(connection, SQL["find_successor"], boot=boot, silence=SECONDS):
        raise PlaceTaken(beat.place)
    change(connection, SQL["end_place"], place=beat.place, boot=boot)
    if fetch_row(connection, SQL["find_namesake"], name=beat.owner.node, place=beat.place, silence=SECONDS):
        raise NameTaken(beat.owner.node)
    values = {
        "name": beat.owner.node,
        "boot": boot,
        "place": beat.place,
        "machine": beat.machine,
        "roles": ",".join(beat.roles),
        "sessions": beat.sessions,
    }
    change(connection, SQL["note_beat"], **values, away=AWAY)
    change(connection, SQL["end_silent"], boot=boot, silence=SECONDS, away=AWAY)
    change(connection, SQL["forget_nodes"])
    change(connection, SQL["free_shards"])
    living = fetch_rows(connection, SQL["list_living"], boot=boot)
    servers = [row["boot"] for row in living if DELIVERY in row["roles"].split(",") and not row["is_asked_to_drain"]]
    shards = _share(connection, beat, servers)
    is_asked = any(row["boot"] == boot and row["is_asked_to_drain"] for row in living)
    if is_asked:
        is_done = beat.is_idle and not shards and not beat.kept
        change(connection, SQL["set_state"], boot=boot, state=(NodeState.DRAINED if is_done else NodeState.DRAINING).value)
    able = [row for row in living if not row["is_asked_to_drain"]]
    dutiful = [row["boot"] for row in able if UPKEEP in row["roles"].split(",")] or [row["boot"] for row in able]
    return Share(
        shards=shards,
        is_asked_to_drain=is_asked,
        is_first=dutiful[:1] == [boot],
        servers=max(1, len(servers)),
        rank=servers.index(boot) if boot in servers else 0,
        others=sum(row["sessions"] for row in living if row["boot"] != boot),
        is_known=all(row["has_seen"] for row in living if row["boot"] in servers and row["boot"] != boot),
        dead=frozenset(row["boot"] for row in fetch_rows(connection, SQL["list_dead"], boot=boot)),
    )


def _share(connection: Connection, beat: Beat, servers: list[int]) -> frozenset[int]:
    """Leases this process its share. Returns the shards that it may begin sessions in: without those that it will hand over."""
    boot = beat.owner.boot
    owned = [row["number"] for row in fetch_rows(connection, SQL["list_owned"], boot=boot)]
    most = _most(boot, servers) if beat.serves else 0
    excess = owned[most:]
    over = [number for number in excess if number not in beat.kept]
    if over:
        change(connection, SQL["give_up_shards"], boot=boot, shards=to_json(over))
    change(connection, SQL["renew_shards"], boot=boot, silence=SECONDS)
    mine = owned[:most]
    if len(owned) < most:
        taken = fetch_rows(connection, SQL["take_shards"], boot=boot, most=most - len(owned), silence=SECONDS)
        mine += [row["number"] for row in taken]
    return frozenset(mine)


def _most(boot: int, servers: list[int]) -> int:
    """How many shards a process may have: as many as the others, or one more for the oldest ones."""
    if boot not in servers:
        return 0
    share, rest = divmod(SHARDS, len(servers))
    return share + (servers.index(boot) < rest)
