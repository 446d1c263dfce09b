"""People of the account. A key acts as an admin, who manages all members except owners."""

from dataclasses import replace
from typing import Final

from sendryd.accounts.invitations import Invitations
from sendryd.accounts.people import BadPersonField, People
from sendryd.api.framework.answers import Deleted
from sendryd.api.framework.group import Group, public_id
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid
from sendryd.api.team.schema import Invitation, RoleBody, Team, TeamMember, member_json, team_json
from sendryd.model.actor import Role
from sendryd.model.ids import MEMBERSHIP_PREFIX
from sendryd.model.people import Membership
from sendryd.store.errors import Conflict, NotAllowed, NotFound

GROUP: Final = Group(
    "Team", "The people who use the account's dashboard.", {"team": public_id("a team member", MEMBERSHIP_PREFIX, "Team member")}
)
ACTS_AS: Final = Role.ADMIN
OWNERS: Final = "The change concerns an owner, whom only an owner manages, in the dashboard."


class TeamHandlers:
    """The operations on people."""

    def __init__(self, people: People, invitations: Invitations) -> None:
        self._people = people
        self._invitations = invitations

    def operations(self) -> list[Operation]:
        """The declarations."""
        set_role = Operation(GROUP, "PUT /v1/team/{id}/role", self.set_role, is_live_only=True, example={"role": "admin"}, conflict=OWNERS)
        return [
            Operation(GROUP, "GET /v1/team", self.list),
            Operation(
                GROUP,
                "POST /v1/team/invite",
                self.invite,
                is_live_only=True,
                example={"email": "ann@example.com", "role": "member"},
                conflict="The person is a member already, or the role is `owner`.",
            ),
            Operation(GROUP, "DELETE /v1/team/{id}", self.remove, is_live_only=True, conflict=OWNERS),
            set_role,
            replace(set_role, route="PATCH /v1/team/{id}/role"),
        ]

    async def list(self, call: Call[None, None]) -> Team:
        """List the people of the account and invitations, oldest first.

        The number of people has no limit.
        """
        return team_json(await self._people.list(call.key.account_id))

    async def invite(self, call: Call[Invitation, None]) -> TeamMember:
        """Invite a person to the account.

        The link is mailed from the account's oldest verified domain and works once, within 72 hours. Without a verified domain no mail is
        sent: the dashboard and `sendryd people invite` show the link. Inviting the same email again ends the earlier link.
        """
        body, key = call.body, call.key
        try:
            invited = await self._invitations.invite(
                key.account_id,
                email=body.email,
                role=Role(body.role or Role.MEMBER.value),
                by=call.author.actor,
                by_role=ACTS_AS,
                client=call.author.client,
            )
        except BadPersonField as error:
            raise invalid(error.field, f"{error.field}: {error}") from None
        except Conflict as error:
            raise NotAllowed(str(error)) from None
        return member_json(invited.membership)

    async def remove(self, call: Call[None, None]) -> Deleted:
        """Remove a person, or withdraw an invitation.

        The person's sessions end.
        """
        await self._people.remove(await self._find(call), by=call.author.actor, by_role=ACTS_AS, client=call.author.client)
        return {"deleted": True}

    async def set_role(self, call: Call[RoleBody, None]) -> TeamMember:
        """Give a person another role.

        The person's sessions end.
        """
        role = Role(call.body.role)
        member = await self._find(call)
        return member_json(await self._people.set_role(member, role, by=call.author.actor, by_role=ACTS_AS, client=call.author.client))

    async def _find(self, call: Call[object, object]) -> Membership:
        number = call.read_id(MEMBERSHIP_PREFIX)
        for each in await self._people.list(call.key.account_id):
            if each.id == number:
                return each
        raise NotFound("no such member")
