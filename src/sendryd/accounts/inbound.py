"""Operations on received emails, and on their forwarding."""

from collections.abc import Callable
from dataclasses import replace

from sendryd.accounts.account import Accounts
from sendryd.accounts.webhooks import new_secret
from sendryd.model.account import AccountSettings, InboundForwarding
from sendryd.model.ids import AccountId, InboundId
from sendryd.model.inbound import InboundMail
from sendryd.policy.urlguard import check_url
from sendryd.runtime.rand import Rand
from sendryd.store.base import InboundStore, Page
from sendryd.store.errors import NotFound


class Inbound:
    """Received emails of accounts, and where they are posted."""

    def __init__(
        self,
        accounts: Accounts,
        store: InboundStore,
        rand: Rand,
        *,
        allow_private: bool,
        address: Callable[[AccountId], str | None] = lambda _account_id: None,
    ) -> None:
        """`address` gives the address of an account; None where no mail comes in."""
        self._accounts = accounts
        self._store = store
        self.address = address
        self._rand = rand
        self._allow_private = allow_private

    async def page(self, account_id: AccountId, *, limit: int, before: InboundId | None) -> Page[InboundMail]:
        """Received emails, newest first."""
        return await self._store.page_inbound(account_id, limit=limit, before=before)

    async def find(self, account_id: AccountId, inbound_id: InboundId) -> InboundMail:
        """One received email. Raises `NotFound`."""
        found = await self._store.get_inbound(account_id, inbound_id)
        if found is None:
            raise NotFound("no such email")
        return found

    async def get(self, account_id: AccountId) -> InboundForwarding:
        """Get the forwarding of an account. Raises `NotFound`."""
        return (await self._accounts.get(account_id)).settings.inbound

    async def set(self, account_id: AccountId, *, url: str | None, secret: str | None) -> InboundForwarding:
        """Set the URL to post to; None switches forwarding off. Without `secret`, the present one stays, or a new one is made. Raises
        `UrlRefused`, `NotFound`.
        """
        checked = None if url is None else check_url(url, allow_private=self._allow_private)

        def change(settings: AccountSettings) -> AccountSettings:
            kept = secret
            if checked is not None:
                kept = secret or settings.inbound.secret or new_secret(self._rand)
            return replace(settings, inbound=InboundForwarding(url=checked, secret=kept))

        return (await self._accounts.change(account_id, change)).settings.inbound
