"""Deleting an account. The caller has checked the right to do it, and who does it."""

from typing import Final

from sendryd.accounts.audit import By, make_entry
from sendryd.accounts.errors import BadField
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import Store
from sendryd.store.errors import NotFound

EMPTY_NAME: Final = "default"  # of the account that the next owner finds, as of a new installation


class Closing:
    """Ends accounts."""

    def __init__(self, store: Store, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def count_waiting(self, by: By) -> int:
        """Deliveries that have to be sent or cancelled first."""
        return await self._store.count_waiting(by.account_id)

    async def close(self, by: By, *, typed: str) -> None:
        """Delete the account whose name was typed. Raises `BadField` for another name, `MailWaits`, `NotFound`."""
        account = await self._store.get_account(by.account_id)
        if account is None:
            raise NotFound("no such account")
        name = account.name.strip()  # one that was stored with a space at an end could not be typed otherwise
        if not name:
            raise BadField("name", "The account has a blank name: give it another one in Settings, then type that to delete the account.")
        if typed.strip() != name:
            raise BadField("name", f"Type {name} to delete the account.")
        entry = make_entry(by, "account.deleted", account.name, clock=self._clock, ids=self._ids, before={"name": account.name})
        await self._store.close_account(by.account_id, EMPTY_NAME, self._clock.now(), entry)
