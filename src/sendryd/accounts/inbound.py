"""Operations on the forwarding of received emails."""

from dataclasses import replace

from sendryd.accounts.account import Accounts
from sendryd.accounts.webhooks import new_secret
from sendryd.model.account import AccountSettings, InboundForwarding
from sendryd.model.ids import AccountId
from sendryd.policy.urlguard import check_url
from sendryd.runtime.rand import Rand


class Inbound:
    """Reads and sets where an account's received emails are posted."""

    def __init__(self, accounts: Accounts, rand: Rand, *, allow_private: bool) -> None:
        self._accounts = accounts
        self._rand = rand
        self._allow_private = allow_private

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
