"""Team: who uses the dashboard, as what, and who is invited."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from sendryd.accounts.invitations import Invited
from sendryd.accounts.people import INVITATION_TIME, BadPersonField, may_manage, member_id
from sendryd.dashboard.app import Page, always
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.actor import Role
from sendryd.model.people import Membership
from sendryd.policy.rights import Right
from sendryd.store.errors import Changed, Conflict, NotAllowed, NotFound

SAID: Final = {
    "role": "The role is changed. The person's sessions have ended.",
    "removed": "The person is removed.",
    "withdrawn": "The invitation is withdrawn: its link is of no use any more.",
    "ended": "The person is signed out everywhere.",
    "disabled": "The person is signed out and cannot sign in.",
    "enabled": "The person can sign in again.",
    "required": "A second factor is required from now on. People without one are asked to set it up.",
    "not-required": "The second factor is left to each person.",
}
ROLE_TEXTS: Final = {
    Role.VIEWER: "sees mail, queue, logs and figures",
    Role.MEMBER: "also works: Test Inbox, templates, suppressions, webhooks, retries",
    Role.ADMIN: "also manages domains, live keys and people up to admins",
    Role.OWNER: "everything",
}


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role that may be given."""

    value: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """A person or an invitation."""

    id: str
    email: str
    name: str
    role: str
    status: str  # active or pending
    is_expired: bool
    is_me: bool
    seen: Moment | None
    has_factor: bool
    has_password: bool
    is_disabled: bool
    may_disable: bool
    invited: Moment
    invited_by: str
    is_manageable: bool


async def show(visit: Visit) -> Response:
    """`GET /team`."""
    return await _show(visit, {}, status=200)


async def invite(visit: Visit) -> Response:
    """`POST /team/invite`: the link is shown once."""
    try:
        role = Role(visit.fields.get("role") or Role.MEMBER.value)
    except ValueError:
        return await _show(visit, {"role": "There is no such role."}, status=422)
    return await _invite(visit, visit.fields.get("email", ""), role)


async def send_again(visit: Visit, member: Membership) -> Response:
    """`POST /team/{id}/invite`: a new link; the earlier one ends."""
    return await _invite(visit, member.email, member.role)


async def set_role(visit: Visit, member: Membership) -> Response:
    """`POST /team/{id}/role`."""
    try:
        role = Role(visit.fields.get("role", ""))
    except ValueError:
        return await _show(visit, {"": "There is no such role."}, status=422)
    if role is not member.role:
        await visit.needs.people.set_role(member, role, by=_email(visit), by_role=_role(visit), client=visit.client)
    return visit.go("/team?said=role")


async def remove(visit: Visit, member: Membership) -> Response:
    """`POST /team/{id}/remove`: a person, or an invitation."""
    await visit.needs.people.remove(member, by=_email(visit), by_role=_role(visit), client=visit.client)
    return visit.go("/team?said=removed" if member.joined_at else "/team?said=withdrawn")


async def end_sessions(visit: Visit, member: Membership) -> Response:
    """`POST /team/{id}/end-sessions`."""
    await visit.needs.people.end_sessions(member, by=_email(visit), by_role=_role(visit), client=visit.client)
    return visit.go("/team?said=ended")


async def reset(visit: Visit, member: Membership) -> Response:
    """`POST /team/{id}/reset`: the link for a new password is shown once."""
    made = await visit.needs.invitations.reset(member, by=visit.me.signed_in, client=visit.client)
    return await _show(visit, {}, status=200, invited=made)


async def disable(visit: Visit, member: Membership) -> Response:
    """`POST /team/{id}/disable`: keeps the person out, or lets them in again."""
    is_disabled = visit.fields.get("disabled") == "yes"
    try:
        await visit.needs.people.set_disabled(member, disabled=is_disabled, by=visit.me.signed_in, client=visit.client)
    except Changed:
        return await _show(visit, {"": "This was changed elsewhere in the meantime: load the page again."}, status=409)
    return visit.go("/team?said=disabled" if is_disabled else "/team?said=enabled")


async def require_factor(visit: Visit) -> Response:
    """`POST /team/factor`: whether the account requires a second factor."""
    is_required = visit.fields.get("required") == "yes"
    try:
        await visit.needs.signin.factors.require(visit.me.signed_in, required=is_required, client=visit.client)
    except NotAllowed:
        return await _show(visit, {"": "Set up your own second factor first: you find it on your page."}, status=409)
    return visit.go("/team?said=required" if is_required else "/team?said=not-required")


def _on_member(change: Callable[[Visit, Membership], Awaitable[Response]]) -> Callable[[Visit], Awaitable[Response]]:
    """A change of the member that the path names."""

    async def handle(visit: Visit) -> Response:
        wanted = visit.request.path_params["id"]
        member = next((each for each in await visit.needs.people.list(visit.account_id) if member_id(each) == wanted), None)
        if member is None:
            return visit.show("missing.html", "missing", {}, status=404)
        try:
            return await change(visit, member)
        except NotAllowed as error:
            text = str(error)
            return await _show(visit, {"": f"{text[:1].upper()}{text[1:]}."}, status=403)
        except NotFound:
            return await _show(visit, {"": "Somebody else has removed this person in the meantime."}, status=409)

    return handle


async def _invite(visit: Visit, email: str, role: Role) -> Response:
    person = visit.me.signed_in.person
    try:
        invited = await visit.needs.invitations.invite(
            visit.account_id,
            email=email,
            role=role,
            by=person.email,
            by_role=_role(visit),
            by_name=person.name,
            client=visit.client,
        )
    except BadPersonField as error:
        return await _show(visit, {error.field: str(error)}, status=422)
    except Conflict:
        return await _show(visit, {"email": "This person is here already."}, status=409)
    except NotAllowed as error:
        return await _show(visit, {"role": f"You cannot invite an {role.value}: {error}."}, status=403)
    return await _show(visit, {}, status=200, invited=invited)


async def _show(visit: Visit, wrong: Mapping[str, str], *, status: int, invited: Invited | None = None) -> Response:
    mine, roles = _role(visit), [RoleView(each.value, ROLE_TEXTS[each]) for each in Role if may_manage(_role(visit), each)]
    now, me = visit.needs.clock.now(), visit.me.signed_in.membership.id
    members = [
        MemberView(
            id=member_id(each),
            email=each.email,
            name=each.name,
            role=each.role.value,
            status="active" if each.joined_at else "pending",
            is_expired=each.joined_at is None and now - each.invited_at > INVITATION_TIME,
            is_me=each.id == me,
            seen=moment_of(each.seen_at) if each.seen_at else None,
            has_factor=each.has_factor,
            has_password=each.has_password,
            is_disabled=each.is_disabled,
            may_disable=each.id != me and each.role is not Role.OWNER,
            invited=moment_of(each.invited_at),
            invited_by=each.invited_by,
            is_manageable=may_manage(mine, each.role),
        )
        for each in await visit.needs.people.list(visit.account_id)
    ]
    values = {
        "members": members,
        "roles": roles,
        "invited": invited,
        "email": "" if invited else visit.fields.get("email", ""),
        "role": visit.fields.get("role") or Role.MEMBER.value,
        "wrong": {"email": "", "role": "", "": "", **wrong},
        "fault": wrong.get("", ""),
        "requires_factor": await visit.needs.signin.factors.is_required(visit.account_id),
        "said": SAID.get(visit.query("said"), "") if status == 200 and invited is None else "",
    }
    return visit.show("team.html", "team", values, status=status)


def _role(visit: Visit) -> Role:
    return visit.me.signed_in.membership.role


def _email(visit: Visit) -> str:
    return visit.me.signed_in.person.email


PAGES: Final = (
    Page(path="/team", get=show),
    Page(path="/team/invite", post=invite, needs_to_change=Right.ADMINISTER),
    Page(path="/team/factor", post=require_factor, needs_to_change=Right.OWN, proof=always),
    Page(path="/team/{id}/invite", post=_on_member(send_again), needs_to_change=Right.ADMINISTER),
    Page(path="/team/{id}/role", post=_on_member(set_role), needs_to_change=Right.ADMINISTER, proof=always),
    Page(path="/team/{id}/remove", post=_on_member(remove), needs_to_change=Right.ADMINISTER),
    Page(path="/team/{id}/reset", post=_on_member(reset), needs_to_change=Right.ADMINISTER, proof=always),
    Page(path="/team/{id}/disable", post=_on_member(disable), needs_to_change=Right.ADMINISTER),
    Page(path="/team/{id}/end-sessions", post=_on_member(end_sessions), needs_to_change=Right.ADMINISTER),
)
