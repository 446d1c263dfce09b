"""The list of those who want no marketing."""

from typing import Final

from sendryd.accounts.suppressions import ListOffice, seek_address
from sendryd.api.framework.answers import Deleted, Page, page
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import not_found, parse_cursor
from sendryd.api.unsubscribes.schema import (
    MAX_BATCH,
    Inserted,
    NewUnsubscribe,
    NewUnsubscribes,
    Unsubscribe,
    UnsubscribesQuery,
    unsubscribe_json,
)
from sendryd.model.apikey import Scope
from sendryd.model.ids import UNSUBSCRIBE_PREFIX, UnsubscribeId, parse_id
from sendryd.store.base import Store
from sendryd.store.errors import NotFound

GROUP: Final = "Unsubscribes"


class UnsubscribeHandlers:
    """Everything about addresses that get no marketing."""

    def __init__(self, store: Store, lists: ListOffice) -> None:
        self._store = store
        self._lists = lists

    def operations(self) -> list[Operation]:
        """The declarations."""
        path = "/v1/unsubscribes"
        return [
            Operation(
                method="GET",
                path=path,
                group=GROUP,
                summary="List unsubscribes, newest first",
                handler=self.list,
            ),
            Operation(
                method="POST",
                path=path,
                group=GROUP,
                summary="Unsubscribe an address; one that is unsubscribed already is answered as it stands",
                handler=self.add,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                example={"email": "user@example.org", "list_id": "monthly"},
            ),
            Operation(
                method="POST",
                path=f"{path}/batch",
                group=GROUP,
                summary=f"Unsubscribe up to {MAX_BATCH:,} addresses",
                handler=self.add_batch,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                example={"emails": ["a@example.org", "b@example.org"]},
            ),
            Operation(method="GET", path=f"{path}/{{id}}", group=GROUP, summary="Get an unsubscribe", handler=self.get),
            Operation(
                method="DELETE",
                path=f"{path}/{{id}}",
                group=GROUP,
                summary="Subscribe an address again",
                handler=self.remove,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
            ),
        ]

    async def list(self, call: Call[None, UnsubscribesQuery]) -> Page[Unsubscribe]:
        """`GET /v1/unsubscribes`."""
        query = call.query
        before = parse_cursor(query.cursor, UNSUBSCRIBE_PREFIX)
        found = await self._store.page_unsubscribes(
            call.key.account_id,
            email=seek_address(query.email) if query.email else None,
            list_id=query.list_id,
            limit=query.limit,
            before=None if before is None else UnsubscribeId(before),
        )
        return page([unsubscribe_json(each) for each in found.items], has_more=found.has_more)

    async def add(self, call: Call[NewUnsubscribe, None]) -> Unsubscribe:
        """`POST /v1/unsubscribes`."""
        body = call.body
        standing, _ = await self._lists.unsubscribe(call.key.account_id, [body.email], list_id=body.list_id, reason=body.reason)
        return unsubscribe_json(standing[0])

    async def add_batch(self, call: Call[NewUnsubscribes, None]) -> Inserted:
        """`POST /v1/unsubscribes/batch`."""
        body = call.body
        _, inserted = await self._lists.unsubscribe(call.key.account_id, body.emails, list_id=body.list_id, reason=body.reason)
        return {"inserted": inserted}

    async def get(self, call: Call[None, None]) -> Unsubscribe:
        """`GET /v1/unsubscribes/:id`."""
        found = await self._store.get_unsubscribe(call.key.account_id, _read_id(call))
        if found is None:
            raise not_found("Unsubscribe")
        return unsubscribe_json(found)

    async def remove(self, call: Call[None, None]) -> Deleted:
        """`DELETE /v1/unsubscribes/:id`."""
        try:
            await self._store.remove_unsubscribe(call.key.account_id, _read_id(call))
        except NotFound:
            raise not_found("Unsubscribe") from None
        return {"deleted": True}


def _read_id(call: Call[object, object]) -> UnsubscribeId:
    number = parse_id(call.params["id"], UNSUBSCRIBE_PREFIX)
    if number is None:
        raise not_found("Unsubscribe")
    return UnsubscribeId(number)
