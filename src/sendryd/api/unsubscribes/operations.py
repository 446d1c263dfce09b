"""The list of those who want no marketing."""

from typing import Final

from sendryd.accounts.suppressions import Suppressions, seek_address
from sendryd.api.framework.answers import Deleted, Page, page
from sendryd.api.framework.group import Group, public_id
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import not_found, parse_cursor
from sendryd.api.unsubscribes.schema import (
    Inserted,
    NewUnsubscribe,
    NewUnsubscribes,
    Unsubscribe,
    UnsubscribesQuery,
    unsubscribe_json,
)
from sendryd.model.ids import UNSUBSCRIBE_PREFIX, UnsubscribeId
from sendryd.store.base import Store

GROUP: Final = Group(
    "Unsubscribes",
    "Addresses that get no marketing emails.",
    {"unsubscribes": public_id("an unsubscribe", UNSUBSCRIBE_PREFIX, "Unsubscribe")},
)


class UnsubscribeHandlers:
    """The operations on unsubscribes."""

    def __init__(self, store: Store, lists: Suppressions) -> None:
        self._store = store
        self._lists = lists

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(GROUP, "GET /v1/unsubscribes", self.list),
            Operation(
                GROUP, "POST /v1/unsubscribes", self.add, is_live_only=True, example={"email": "user@example.org", "list_id": "monthly"}
            ),
            Operation(
                GROUP,
                "POST /v1/unsubscribes/batch",
                self.add_batch,
                is_live_only=True,
                example={"emails": ["a@example.org", "b@example.org"]},
            ),
            Operation(GROUP, "GET /v1/unsubscribes/{id}", self.get),
            Operation(GROUP, "DELETE /v1/unsubscribes/{id}", self.remove, is_live_only=True),
        ]

    async def list(self, call: Call[None, UnsubscribesQuery]) -> Page[Unsubscribe]:
        """List unsubscribes, newest first.

        An unsubscribed address gets no marketing, of one list or of all.
        """
        query = call.query
        before = parse_cursor(query.cursor, UnsubscribeId, UNSUBSCRIBE_PREFIX)
        found = await self._store.page_unsubscribes(
            call.key.account_id,
            email=seek_address(query.email) if query.email else None,
            list_id=query.list_id,
            limit=query.limit,
            before=before,
        )
        return page([unsubscribe_json(each) for each in found.items], has_more=found.has_more)

    async def add(self, call: Call[NewUnsubscribe, None]) -> Unsubscribe:
        """Unsubscribe an address.

        An address that is already unsubscribed keeps its reason and time.
        """
        body = call.body
        standing, _ = await self._lists.by(call.author).unsubscribe(
            call.key.account_id, [body.email], list_id=body.list_id, reason=body.reason
        )
        return unsubscribe_json(standing[0])

    async def add_batch(self, call: Call[NewUnsubscribes, None]) -> Inserted:
        """Unsubscribe up to 1,000 addresses.

        One invalid address refuses the whole request. `inserted` counts the new ones.
        """
        body = call.body
        _, inserted = await self._lists.by(call.author).unsubscribe(
            call.key.account_id, body.emails, list_id=body.list_id, reason=body.reason
        )
        return {"inserted": inserted}

    async def get(self, call: Call[None, None]) -> Unsubscribe:
        """Get an unsubscribe.

        The answer has the address, the list and the reason.
        """
        found = await self._store.get_unsubscribe(call.key.account_id, UnsubscribeId(call.read_id(UNSUBSCRIBE_PREFIX)))
        if found is None:
            raise not_found("Unsubscribe")
        return unsubscribe_json(found)

    async def remove(self, call: Call[None, None]) -> Deleted:
        """Subscribe an address again.

        The address gets marketing again.
        """
        await self._lists.by(call.author).subscribe(call.key.account_id, UnsubscribeId(call.read_id(UNSUBSCRIBE_PREFIX)))
        return {"deleted": True}
