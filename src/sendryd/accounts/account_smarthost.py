"""The smart host of an account, for the mail of those of its domains that name none. The caller has checked the right to change it."""

from dataclasses import replace

from sendryd.accounts.account import Accounts
from sendryd.accounts.audit import Audit, By
from sendryd.accounts.domain_settings import check_smart_host
from sendryd.accounts.errors import BadField
from sendryd.model.account import Account, AccountSettings, AccountSmartHost
from sendryd.model.ids import ORGANIZATION_PREFIX, AccountId, format_id
from sendryd.policy.smarthost import smart_host_lane
from sendryd.store.base import Store


class AccountSmartHosts:
    """Names and takes away the smart hosts of accounts."""

    def __init__(self, store: Store, audit: Audit) -> None:
        self._store = store
        self._accounts = Accounts(store)
        self._audit = audit

    async def set(self, account_id: AccountId, url: str, by: By, *, is_operator: bool) -> Account:
        """Names the smart host of an account by a URL that may have its password; an empty one takes it away. Waiting mail of its domains moves.
        `is_operator`: it may be at a private address and at any port. Raises `NotFound`, and `BadField` for a malformed smart host.
        """
        before = AccountSmartHost()

        def change(settings: AccountSettings) -> AccountSettings:
            nonlocal before
            before = settings.smarthost
            return replace(settings, smarthost=_checked(url, before, is_operator=is_operator))

        account = await self._accounts.change(account_id, change)
        after = account.settings.smarthost
        if after != before:
            told = {"smarthost": after.url, **({"password": "set"} if after.password not in {"", before.password} else {})}
            target = format_id(ORGANIZATION_PREFIX, account_id)
            shown = {"smarthost": before.url}
            await self._audit.add(by.account_id, by.actor, by.client, "account.smarthost", target, before=shown, after=told)
            await self._move(account)
        return account

    async def _move(self, account: Account) -> None:
        # If the program is stopped meanwhile, the mail moves when its turn comes (`delivery.smarthosts`).
        lane = smart_host_lane(account.settings.smarthost.url, account.id)
        for domain in await self._store.list_domains(account.id):
            if not domain.settings.smarthost:
                await self._store.reroute(domain.id, lane or None)


def _checked(url: str, present: AccountSmartHost, *, is_operator: bool) -> AccountSmartHost:
    """Raises `BadField`. A URL without a password keeps that of the same smart host."""
    if url.strip() == present.url:
        return present
    try:
        checked = check_smart_host(url, present.url, is_operator=is_operator, may_be_private=present.may_be_private)
    except ValueError as error:
        raise BadField("smarthost", str(error)) from None
    password = present.password if checked.password is None else checked.password
    return AccountSmartHost(url=checked.url, password=password, may_be_private=checked.may_be_private)
