"""What an account sets for itself, at whatever door."""

import asyncio
from collections.abc import Callable

from sendryd.model.account import Account, AccountSettings
from sendryd.model.ids import AccountId
from sendryd.store.base import AccountStore
from sendryd.store.errors import NotFound

Change = Callable[[AccountSettings], AccountSettings]


class AccountOffice:
    """What is done with accounts."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._changing = asyncio.Lock()  # settings are replaced as a whole: two changes at once must not undo one another

    async def get(self, account_id: AccountId) -> Account:
        """An account. Raises `NotFound`."""
        account = await self._store.get_account(account_id)
        if account is None:
            raise NotFound("no such account")
        return account

    async def rename(self, account_id: AccountId, name: str) -> Account:
        """Gives an account another name. Raises `NotFound`."""
        async with self._changing:
            account = await self.get(account_id)
            return await self._store.set_account(account_id, name=name, settings=account.settings)

    async def change(self, account_id: AccountId, change: Change) -> Account:
        """Replaces an account's settings by what is made of them. Raises `NotFound`."""
        async with self._changing:
            account = await self.get(account_id)
            settings = change(account.settings)
            if settings == account.settings:
                return account
            return await self._store.set_account(account_id, name=account.name, settings=settings)
