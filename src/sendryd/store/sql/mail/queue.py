"""The operator's operations on the queue."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from sendryd.model.delivery import WAITING_STATES, DeliveryState, HoldReason
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import DELIVERY_PREFIX, AccountId, DeliveryId, DomainId, MessageId
from sendryd.model.message import MessageClass
from sendryd.policy.detour import DetourHost
from sendryd.policy.smarthost import domain_of
from sendryd.store.base import DETOUR_HOST_KEPT, EventMaker, HeldBy, Page, QueuedDelivery, QueueFilter, WaitingDestination
from sendryd.store.codec.deliveries import hold_note, read_destination, read_queued, read_waiting
from sendryd.store.codec.events import read_subject
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import id_below, to_json, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows
from sendryd.store.errors import NotFound
from sendryd.store.rules import list_untried
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.batch import Rows
from sendryd.store.sql.mail.changes import move
from sendryd.store.sql.mail.claims import DueScan
from sendryd.store.sql.mail.filters import Conditions, queue_conditions
from sendryd.store.sql.mail.queries import SQL

ALL: Final = 2**63 - 1  # rows
REROUTED_AT_ONCE: Final = 1000  # deliveries of one transaction: other writers wait no longer than for it


class Queue:
    """`QueueStore`. Methods that move many deliveries use several transactions."""

    _database: Database
    _scan: DueScan

    async def list_queue(self, which: QueueFilter, *, limit: int | None = None) -> list[QueuedDelivery]:
        conditions = queue_conditions(which)
        values = {**conditions.values, "limit": ALL if limit is None else limit}
        rows = await self._database.list_rows(conditions.of(SQL["list_queue"]), DELIVERY_PREFIX, **values)
        return list(self._database.unreadable.keep(rows, read_queued))

    async def list_waiting_destinations(
        self, account_id: AccountId | None, *, limit: int, domain: str | None = None
    ) -> list[WaitingDestination]:
        conditions = _of_account(account_id)
        if domain is not None:
            conditions.add("domain = :domain", domain=domain)
        values = {**conditions.values, "limit": limit}
        found = await self._database.search(partial(_list_destinations, conditions, values))
        return list(self._database.unreadable.keep(found, read_destination))

    async def page_destination(
        self, domain: str, account_id: AccountId | None, *, limit: int, before: DeliveryId | None = None
    ) -> Page[QueuedDelivery]:
        conditions = _of_account(account_id)
        values = {**conditions.values, "domain": domain, "before": id_below(before), "limit": limit + 1}
        rows = await self._database.search_rows(conditions.of(SQL["page_destination"]), DELIVERY_PREFIX, **values)
        return self._database.unreadable.page(rows, read_queued, limit)

    async def count_ahead(self, domain: str, due_at: datetime, *, most: int) -> int:
        rows = await self._database.read_rows(SQL["count_ahead"], domain=domain, due_at=to_ms(due_at), most=most)
        return int(rows[0]["number"])

    async def count_queue(self) -> Mapping[DeliveryState, int]:
        rows = await self._database.read_rows(SQL["count_queue"])
        return {DeliveryState(row["state"]): row["number"] for row in rows}

    async def find_deliveries(self, which: QueueFilter) -> list[DeliveryId]:
        states = which.states or frozenset(DeliveryState)
        if which.message_ids is None and states <= WAITING_STATES:  # a statement for each state: only then can each use its own index
            found = [number for state in sorted(states) for number in await self._find(replace(which, states=None), state)]
        else:
            conditions = queue_conditions(replace(which, states=states))
            found = await self._list(conditions.of(SQL["find_in_queue"]), **conditions.values)
        return [DeliveryId(number) for number in sorted(found)]

    async def hold(self, which: QueueFilter, now: datetime, *, by: HeldBy | None = None) -> int:
        note = hold_note(by) if by else None
        count = await self._move_all(which, DeliveryState.QUEUED, DeliveryState.HELD, now, note=note)
        if (by is None or not by.is_suspended) and (which.states is None or DeliveryState.HELD in which.states):
            for held in (replace(which, is_suspended=True), replace(which, hold_reason=HoldReason.DOMAIN_REMOVED)):
                count += await self._move_all(held, DeliveryState.HELD, DeliveryState.HELD, now, note=note)
        return count

    async def release_held(self, which: QueueFilter, now: datetime) -> int:
        return await self._move_all(which, DeliveryState.HELD, DeliveryState.QUEUED, now, does_probe=True)

    async def hold_for_domain(self, domain_id: DomainId, now: datetime) -> int:
        numbers = await self._list(SQL["list_queued_of_sending_domain"], domain_id=domain_id)
        states = (DeliveryState.QUEUED, DeliveryState.HELD)
        return await move(self._database, numbers, states, now, hold_reason=HoldReason.DOMAIN_REMOVED)

    async def release_for_domain(self, account_id: AccountId, name: str, now: datetime) -> int:
        numbers = await self._list(SQL["list_held_of_removed_domain"], account_id=account_id, name=name)
        return await move(self._database, numbers, (DeliveryState.HELD, DeliveryState.QUEUED), now)

    async def reroute(self, domain_id: DomainId, lane: str | None, delivery_ids: Sequence[DeliveryId] | None = None) -> int:
        moved, after = 0, 0
        while True:
            rows = await self._read_rerouted(domain_id, lane, delivery_ids, after)
            moves = [(row["id"], domain) for row in rows if (domain := domain_of(row["forward_path"], lane)) != row["domain"]]

            def action(connection: Connection, _batch: object, moves: Sequence[tuple[int, str]] = tuple(moves)) -> int:
                return sum(change(connection, SQL["reroute_delivery"], id=number, domain=domain) for number, domain in moves)

            if moves:
                moved += await self._database.write(action)
            if delivery_ids is not None or len(rows) < REROUTED_AT_ONCE:
                break
            after = rows[-1]["id"]
        if moved:
            self._scan.restart()
        return moved

    async def set_detour(self, which: QueueFilter, detour: str | None, lane: str | None = None) -> list[DeliveryId]:
        states = (DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.HELD)
        numbers = sorted([number for state in states for number in await self._find(which, state)])
        moved: list[DeliveryId] = []
        for start in range(0, len(numbers), REROUTED_AT_ONCE):
            rows = await self._database.read_rows(SQL["list_for_detour"], ids=to_json(numbers[start : start + REROUTED_AT_ONCE]))
            ways = [(row, domain_of(row["forward_path"], lane)) for row in rows]
            moves = {row["id"]: domain for row, domain in ways if (domain, detour) != (row["domain"], row["detour"])}
            moved += await self._send_by(moves, detour) if moves else []
        if moved:
            self._scan.restart()
        return moved

    async def _send_by(self, moves: Mapping[int, str], detour: str | None) -> list[DeliveryId]:
        def action(connection: Connection, _batch: object) -> list[DeliveryId]:
            found = moves.items()
            return [
                DeliveryId(each) for each, domain in found if change(connection, SQL["set_detour"], id=each, domain=domain, detour=detour)
            ]

        return await self._database.write(action)

    async def put_detour_host(self, host: DetourHost, now: datetime) -> None:
        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["prune_detour_hosts"], added_before=to_ms(now - DETOUR_HOST_KEPT))
            change(connection, SQL["put_detour_host"], lane=host.lane, url=host.url, password=host.password, added_at=to_ms(now))

        await self._database.write(action)

    async def find_detour_host(self, lane: str) -> DetourHost | None:
        row = await self._database.find_row(SQL["find_detour_host"], lane=lane)
        return DetourHost(lane=row["lane"], url=row["url"], password=row["password"]) if row else None

    async def _read_rerouted(
        self, domain_id: DomainId, lane: str | None, delivery_ids: Sequence[DeliveryId] | None, after: int
    ) -> Sequence[Row]:
        if delivery_ids is not None:
            ids = to_json(list(delivery_ids))
            return await self._database.read_rows(SQL["list_some_waiting_of_sending_domain"], ids=ids, domain_id=domain_id)
        values = {"domain_id": domain_id, "lane": lane, "after": after, "limit": REROUTED_AT_ONCE}
        return await self._database.read_rows(SQL["list_waiting_of_sending_domain"], **values)

    async def retry(self, which: QueueFilter, now: datetime) -> int:
        states = (DeliveryState.QUEUED, DeliveryState.QUEUED)
        numbers = await self._find(which, DeliveryState.QUEUED)
        return await move(self._database, numbers, states, now, does_probe=True, spares_scheduled=not which.names_one)

    async def cancel(self, which: QueueFilter, now: datetime, make_event: EventMaker) -> int:
        count = 0
        for state in (DeliveryState.QUEUED, DeliveryState.HELD):
            states = (state, DeliveryState.CANCELLED)
            count += await move(self._database, await self._find(which, state), states, now, (make_event, EventType.CANCELLED, {}))
        return count

    async def bounce(self, which: QueueFilter, now: datetime, make_event: EventMaker, *, metadata: Metadata) -> int:
        count = 0
        for state in (DeliveryState.QUEUED, DeliveryState.HELD):
            states = (state, DeliveryState.BOUNCED)
            count += await move(self._database, await self._find(which, state), states, now, (make_event, EventType.BOUNCED, metadata))
        return count

    async def set_class(self, which: QueueFilter, priority: MessageClass) -> int:
        numbers = [number for state in (DeliveryState.QUEUED, DeliveryState.HELD) for number in await self._find(which, state)]
        count, size = 0, self._database.sizes.step
        for start in range(0, len(numbers), size):
            some = to_json(numbers[start : start + size])
            values = {"ids": some, "after": priority.value}
            count += await self._database.write(partial(_set_class, values))
        return count

    async def cancel_message(self, account_id: AccountId, message_id: MessageId, now: datetime, make_event: EventMaker) -> None:
        states = await self._database.read_rows(SQL["list_states"], message_id=message_id)
        made = {row["id"]: make_event(EventType.CANCELLED, {}) for row in states}
        moment = to_ms(now)

        def action(connection: Connection, rows: Rows) -> None:
            if fetch_row(connection, SQL["get_message"], account_id=account_id, id=message_id) is None:
                raise NotFound("no such message")
            waiting = list_untried([read_waiting(row) for row in fetch_rows(connection, SQL["lock_states"], message_id=message_id)])
            values = {
                "after": DeliveryState.CANCELLED.value,
                "due_at": None,
                "hold_reason": None,
                "hold_note": None,
                "ids": to_json([each.id for each in waiting]),
                "spares_scheduled": False,
            }
            for state in (DeliveryState.QUEUED, DeliveryState.HELD):
                for row in fetch_rows(connection, SQL["move"], before=state.value, **values):
                    rows.add_events(read_subject(row), (made[row["id"]],), moment)
            change(connection, SQL["delete_source_request"], message_id=message_id)

        await self._database.write(action)

    async def _move_all(
        self,
        which: QueueFilter,
        before: DeliveryState,
        after: DeliveryState,
        now: datetime,
        *,
        note: str | None = None,
        does_probe: bool = False,
    ) -> int:
        return await move(self._database, await self._find(which, before), (before, after), now, hold_note=note, does_probe=does_probe)

    async def _find(self, which: QueueFilter, state: DeliveryState) -> list[int]:
        conditions = queue_conditions(which)
        conditions.add(f"d.state = '{state.value}'")  # written out: only then can the planner use a partial index
        return await self._list(conditions.of(SQL["find_in_queue"]), **conditions.values)

    async def _list(self, statement: Statement, **values: Any) -> list[int]:
        return [row["id"] for row in await self._database.read_rows(statement, **values)]


def _set_class(values: Row, connection: Connection, _batch: object) -> int:
    return connection.change(SQL["set_class"], values)


def _of_account(account_id: AccountId | None) -> Conditions:
    return Conditions() if account_id is None else Conditions("account_id = :account_id", account_id=account_id)


def _list_destinations(conditions: Conditions, values: Mapping[str, Any], connection: Connection) -> list[Row | None]:
    found = fetch_rows(connection, conditions.of(SQL["list_waiting_destinations"]), **values)
    sample = conditions.of(SQL["sample_of_destination"])
    return [
        {**row, **(fetch_row(connection, sample, **{**conditions.values, "domain": row["domain"], "oldest": row["oldest"]}) or {})}
        for row in found
    ]
