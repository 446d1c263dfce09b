"""Who reads the texts of mails."""

from typing import Final

from sendryd.dashboard.visit import Visit
from sendryd.policy.privacy import may_read_content

WITHHELD: Final = "This account keeps the texts of mails from viewers. What became of the mail is in its timeline."


async def may_read(visit: Visit) -> bool:
    """Whether the visitor sees the texts of the account's mails."""
    account = await visit.needs.store.get_account(visit.account_id)
    return account is not None and may_read_content(visit.me.signed_in.membership.role, account.settings)
