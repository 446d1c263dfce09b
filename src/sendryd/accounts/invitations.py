"""Links that are mailed to people: invitations, and those by which a member chooses a new password."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sendryd.accounts.audit import Client
from sendryd.accounts.people import People
from sendryd.model.actor import Role
from sendryd.model.ids import AccountId
from sendryd.model.people import Membership
from sendryd.store.base import SignedIn

SUBJECT: Final = "You are invited to sendryd"
RESET_SUBJECT: Final = "Choose a new password for sendryd"

Post = Callable[[AccountId, str, str, str], Awaitable[bool]]  # account, recipient, subject, text → whether the mail is on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """A link for a member. `url` is shown to who made it, once."""

    membership: Membership
    url: str
    is_mailed: bool
    is_reset: bool = False  # for another password; else it is an invitation


class Invitations:
    """Makes the links and mails them."""

    def __init__(self, people: People, post: Post, *, public_url: str) -> None:
        self._people = people
        self._post = post
        self._public_url = public_url

    async def invite(
        self, account_id: AccountId, *, email: str, role: Role, by: str, by_role: Role, client: Client, by_name: str = ""
    ) -> Invited:
        """Invites an email, again if it was invited before: the earlier link ends.

        Raises `BadPersonField`, `NotAllowed` for a role above the inviting person's own rights, `Conflict` for a member.
        """
        membership, token = await self._people.invite(account_id, email=email, role=role, by=by, by_role=by_role, client=client)
        url = f"{self._public_url}/join/{token}"
        is_mailed = await self._post(account_id, membership.email, SUBJECT, _text(membership, url, by_name))
        return Invited(membership=membership, url=url, is_mailed=is_mailed)

    async def reset(self, member: Membership, *, by: SignedIn, client: Client) -> Invited:
        """Makes a link by which a member chooses a new password. Raises as `People.make_reset_link` does."""
        url = f"{self._public_url}/reset/{await self._people.make_reset_link(member, by=by, client=client)}"
        is_mailed = await self._post(member.account_id, member.email, RESET_SUBJECT, _reset_text(url))
        return Invited(membership=member, url=url, is_mailed=is_mailed, is_reset=True)


def _reset_text(url: str) -> str:
    return (
        f"Open this link within 24 hours to choose a new password for sendryd:\n\n{url}\n\n"
        "The link works once. Without it your password stays as it is.\n"
    )


def _text(membership: Membership, url: str, by_name: str) -> str:
    who = f"{by_name} invites you" if by_name else "You are invited"
    return (
        f"{who} to sendryd as {membership.role.value}.\n\nOpen this link within 72 hours to choose a name and a password:\n\n{url}\n\n"
        "The link works once. If you do not know what this is about, ignore this mail: nothing happens without the link.\n"
    )
