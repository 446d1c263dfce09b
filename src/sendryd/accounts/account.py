"""Operations on accounts, shared by the REST API and the command line."""

from collections.abc import Callable

from sendryd.accounts.changes import reapply
from sendryd.model.account import Account, AccountSettings
from sendryd.model.ids import AccountId
from sendryd.store.base import AccountStore
from sendryd.store.errors import NotFound

Change = Callable[[AccountSettings], AccountSettings]


class Accounts:
    """Reads and changes accounts."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def get(self, account_id: AccountId) -> Account:
        """Get an account. Raises `NotFound`."""
        account = await self._store.get_account(account_id)
        if account is None:
            raise NotFound("no such account")
        return account

    async def rename(self, account_id: AccountId, name: str) -> Account:
        """Rename an account. Raises `NotFound`."""

        async def attempt() -> Account:
            account = await self.get(account_id)
            return await self._store.set_account(account, name=name, settings=account.settings)

        return await reapply(attempt)

    async def change(self, account_id: AccountId, change: Change) -> Account:
        """Replace an account's settings by the result of `change`. Raises `NotFound`."""

        async def attempt() -> Account:
            account = await self.get(account_id)
            settings = change(account.settings)
            if settings == account.settings:
                return account
            return await self._store.set_account(account, name=account.name, settings=settings)

        return await reapply(attempt)
