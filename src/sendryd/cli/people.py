"""`sendryd people`: who may use the dashboard."""

from typing import Annotated, Final

import typer

from sendryd.accounts.audit import Client
from sendryd.accounts.people import BadPersonField, member_id
from sendryd.api.framework.answers import page, timestamp_or_none
from sendryd.api.team.schema import TeamMember, member_json
from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.app.links import public_url
from sendryd.cli.opening import CommandFailed, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import print_json, print_line, print_table, say
from sendryd.model.actor import Role
from sendryd.model.people import Membership
from sendryd.store.errors import Conflict, NotAllowed

app = typer.Typer(name="people", no_args_is_help=True, help="List, invite and remove people of the dashboard.")

OPERATOR: Final = "operator"  # how the audit names the command line
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's email.")]


class MemberDocument(TeamMember):
    """A member or an invitation, as `--json` prints it."""

    seen_at: str | None


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List members and invitations."""

    async def work(basics: Basics) -> list[Membership]:
        return await basics.people.list(DEFAULT_ACCOUNT)

    members = [_document(each) for each in with_store(work)]
    if as_json:
        print_json(page(members, has_more=False))
        return
    print_table(
        ("id", "email", "role", "status", "last seen"),
        [(each["id"], each["email"], each["role"], each["status"], each["seen_at"] or "") for each in members],
        if_empty="Nobody uses the dashboard yet: sendryd people owner-link makes a link for the owner.",
    )


@app.command()
def invite(
    email: Email,
    role: Annotated[Role, typer.Option("--role", help="What the person may do.")] = Role.MEMBER,
    as_json: Json = False,
) -> None:
    """Invite a person; prints the link that makes them a member, once, within 72 hours."""

    async def work(basics: Basics) -> tuple[Membership, str]:
        try:
            membership, token = await basics.people.invite(
                DEFAULT_ACCOUNT, email=email, role=role, by=OPERATOR, by_role=Role.OWNER, client=Client()
            )
        except (BadPersonField, Conflict) as error:
            raise CommandFailed(str(error)) from None
        return membership, f"{public_url(basics.settings)}/join/{token}"

    membership, url = with_store(work)
    if as_json:
        print_json({**_document(membership), "url": url})
        return
    print_line(url)
    say(f"{membership.email} is invited as {membership.role.value}: pass this link on. It works once, within 72 hours.")


@app.command()
def remove(email: Email, as_json: Json = False) -> None:
    """Remove a member, or withdraw an invitation; ends the person's sessions."""

    async def work(basics: Basics) -> Membership:
        wanted = email.strip().lower()
        found = [each for each in await basics.people.list(DEFAULT_ACCOUNT) if wanted in {each.email, member_id(each)}]
        if not found:
            raise CommandFailed(f"there is nobody with the email {email}; sendryd people list shows them all")
        try:
            return await basics.people.remove(found[0], by=OPERATOR, by_role=Role.OWNER, client=Client())
        except NotAllowed as error:
            raise CommandFailed(str(error)) from None

    removed = with_store(work)
    if as_json:
        print_json({"id": member_id(removed), "deleted": True})
        return
    say(f"{removed.email} is removed." if removed.joined_at else f"The invitation of {removed.email} is withdrawn.")


@app.command("owner-link")
def owner_link(as_json: Json = False) -> None:
    """Print a link that makes an owner, or lets a locked-out one in, once, within 24 hours."""

    async def work(basics: Basics) -> str:
        return f"{public_url(basics.settings)}/welcome/{await basics.people.make_owner_link(DEFAULT_ACCOUNT)}"

    url = with_store(work)
    if as_json:
        print_json({"url": url})
        return
    print_line(url)
    say("Open this link to become the owner. It works once, within 24 hours.")


def _document(membership: Membership) -> MemberDocument:
    return {**member_json(membership), "seen_at": timestamp_or_none(membership.seen_at)}
