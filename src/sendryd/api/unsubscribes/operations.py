"""The list of those who want no marketing."""

from typing import Annotated, Any, Final

from pydantic import Field

from sendryd.accounts.suppressions import ListOffice, seek_address
from sendryd.api.framework.addresses import Address
from sendryd.api.framework.answers import Deleted, Json, Page
from sendryd.api.framework.bodies import Body, Line, PageQuery, SearchText
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import not_found, parse_cursor
from sendryd.api.shapes import Inserted
from sendryd.api.shapes import Unsubscribe as UnsubscribeShape
from sendryd.api.wire import page, unsubscribe_json
from sendryd.model.apikey import Scope
from sendryd.model.ids import UNSUBSCRIBE_PREFIX, UnsubscribeId, parse_id
from sendryd.store.base import Store
from sendryd.store.errors import NotFound

GROUP: Final = "Unsubscribes"
MAX_BATCH: Final = 1000  # what the contract allows
MAX_LIST_ID: Final = 200  # characters, as names have
MAX_REASON: Final = 1000  # characters, as descriptions have

ListId = Annotated[Line, Field(min_length=1, max_length=MAX_LIST_ID)]
Reason = Annotated[str, Field(max_length=MAX_REASON)]


class UnsubscribesQuery(PageQuery):
    """Of the list."""

    email: SearchText | None = None
    list_id: Annotated[str, Field(max_length=MAX_LIST_ID)] | None = None


class NewUnsubscribe(Body):
    """One address."""

    email: Address
    list_id: ListId | None = None
    reason: Reason | None = None


class NewUnsubscribes(Body):
    """Several addresses."""

    emails: Annotated[list[Address], Field(min_length=1, max_length=MAX_BATCH)]
    list_id: ListId | None = None
    reason: Reason | None = None


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
                answers=Page[UnsubscribeShape],
            ),
            Operation(
                method="POST",
                path=path,
                group=GROUP,
                summary="Unsubscribe an address; one that is unsubscribed already is answered as it stands",
                handler=self.add,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=UnsubscribeShape,
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
                answers=Inserted,
                example={"emails": ["a@example.org", "b@example.org"]},
            ),
            Operation(
                method="GET", path=f"{path}/{{id}}", group=GROUP, summary="Get an unsubscribe", handler=self.get, answers=UnsubscribeShape
            ),
            Operation(
                method="DELETE",
                path=f"{path}/{{id}}",
                group=GROUP,
                summary="Subscribe an address again",
                handler=self.remove,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=Deleted,
            ),
        ]

    async def list(self, call: Call[None, UnsubscribesQuery]) -> Json:
        """`GET /v1/unsubscribes`."""
        query: UnsubscribesQuery = call.query
        before = parse_cursor(call.query.cursor, UNSUBSCRIBE_PREFIX)
        found = await self._store.page_unsubscribes(
            call.key.account_id,
            email=seek_address(query.email) if query.email else None,
            list_id=query.list_id,
            limit=query.limit,
            before=None if before is None else UnsubscribeId(before),
        )
        return page([unsubscribe_json(each) for each in found.items], has_more=found.has_more)

    async def add(self, call: Call[NewUnsubscribe, None]) -> Json:
        """`POST /v1/unsubscribes`."""
        body: NewUnsubscribe = call.body
        standing, _ = await self._lists.unsubscribe(call.key.account_id, [body.email], list_id=body.list_id, reason=body.reason)
        return unsubscribe_json(standing[0])

    async def add_batch(self, call: Call[NewUnsubscribes, None]) -> Json:
        """`POST /v1/unsubscribes/batch`."""
        body: NewUnsubscribes = call.body
        _, inserted = await self._lists.unsubscribe(call.key.account_id, body.emails, list_id=body.list_id, reason=body.reason)
        return {"inserted": inserted}

    async def get(self, call: Call[None, None]) -> Json:
        """`GET /v1/unsubscribes/:id`."""
        found = await self._store.get_unsubscribe(call.key.account_id, _read_id(call))
        if found is None:
            raise not_found("Unsubscribe")
        return unsubscribe_json(found)

    async def remove(self, call: Call[None, None]) -> Json:
        """`DELETE /v1/unsubscribes/:id`."""
        try:
            await self._store.remove_unsubscribe(call.key.account_id, _read_id(call))
        except NotFound:
            raise not_found("Unsubscribe") from None
        return {"deleted": True}


def _read_id(call: Call[Any, Any]) -> UnsubscribeId:
    number = parse_id(call.params["id"], UNSUBSCRIBE_PREFIX)
    if number is None:
        raise not_found("Unsubscribe")
    return UnsubscribeId(number)
