"""People of the account as requests and answers have them. Pure."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from sendryd.api.framework.bodies import Body, Line
from sendryd.api.organizations.schema import PLAN
from sendryd.model.ids import MEMBERSHIP_PREFIX, ORGANIZATION_PREFIX, PERSON_PREFIX, format_id
from sendryd.model.moment import timestamp
from sendryd.model.people import Membership

MAX_EMAIL: Final = 320  # characters: RFC 5321 §4.5.3.1 allows no longer one

GivenRole = Literal["viewer", "member", "admin", "owner"]


class Invitation(Body):
    """A person to invite."""

    email: Annotated[Line, Field(min_length=3, max_length=MAX_EMAIL)]
    role: Annotated[GivenRole | None, Field(description="`member` by default. A key can make no owners.")] = None


class RoleBody(Body):
    """The role to give."""

    role: Annotated[GivenRole, Field(description="A key can make no owners.")]


class TeamMember(TypedDict):
    """A person of the account, or an invitation."""

    id: str
    org_id: str
    user_id: str | None
    email: str
    name: str | None
    role: str
    status: Literal["pending", "active"]
    invited_at: str
    joined_at: str | None


class Seats(TypedDict):
    """How many people the account has. There is no limit."""

    used: int
    limit: int | None
    unlimited: bool


class Team(TypedDict):
    """All people of the account."""

    data: list[TeamMember]
    seats: Seats
    plan: str


def member_json(membership: Membership) -> TeamMember:
    """A person or an invitation."""
    return {
        "id": format_id(MEMBERSHIP_PREFIX, membership.id),
        "org_id": format_id(ORGANIZATION_PREFIX, membership.account_id),
        "user_id": format_id(PERSON_PREFIX, membership.person_id) if membership.person_id is not None else None,
        "email": membership.email,
        "name": membership.name or None,
        "role": membership.role.value,
        "status": "active" if membership.joined_at else "pending",
        "invited_at": timestamp(membership.invited_at),
        "joined_at": timestamp(membership.joined_at) if membership.joined_at else None,
    }


def team_json(members: Sequence[Membership]) -> Team:
    """The team."""
    seats: Seats = {"used": len(members), "limit": None, "unlimited": True}
    return {"data": [member_json(each) for each in members], "seats": seats, "plan": PLAN}
