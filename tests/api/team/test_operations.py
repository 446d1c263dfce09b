"""The people of an account as a client sees them."""

import pytest

from sendryd.accounts.audit import Client
from sendryd.accounts.people import member_id
from sendryd.message.parse import summarise
from sendryd.model.apikey import ApiKey
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import MessageId, parse_id
from sendryd.model.people import LinkPurpose
from sendryd.store.base import DomainCheck
from sendryd.testing.api import PUBLIC_URL, ApiWorld
from sendryd.testing.http import Answer
from sendryd.testing.samples import ACCOUNT

Key = tuple[ApiKey, str]
PASSWORD = "four words make one"
HERE = Client(address="192.0.2.1")


async def make_owner(api: ApiWorld, email: str = "mara@acme.example") -> str:
    """The member id of an owner."""
    token = await api.people.make_owner_link(ACCOUNT)
    await api.people.welcome(token, name="Mara", email=email, password=PASSWORD, client=HERE)
    return next(member_id(each) for each in await api.people.list(ACCOUNT) if each.email == email)


async def verify_domain(api: ApiWorld) -> None:
    domain, now = await api.domains.add(ACCOUNT, "acme.example"), api.clock.now()
    check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=now, verified_at=now, failing_since=None, failures=0)
    await api.store.record_domain_check(domain, check)
    api.directory.invalidate()


async def invite(api: ApiWorld, owner: str, email: str, role: str | None = None) -> Answer:
    return await api.send("POST", "/v1/team/invite", owner, {"email": email, "role": role})


async def test_the_team_as_the_contract_says(api: ApiWorld, owner: str) -> None:
    member = await make_owner(api)
    answer = await invite(api, owner, "Bob@acme.example")
    assert answer.status == 200
    team = (await api.get("/v1/team", owner)).json
    assert (team["seats"], team["plan"]) == ({"used": 2, "limit": None, "unlimited": True}, "self-hosted")
    first, second = team["data"]
    assert (first["id"], first["name"], first["role"], first["status"]) == (member, "Mara", "owner", "active")
    assert first["user_id"].startswith("usr_")
    assert second == answer.json
    assert (second["email"], second["role"], second["status"], second["user_id"]) == ("bob@acme.example", "member", "pending", None)
    assert (second["name"], second["joined_at"]) == (None, None)


async def test_a_key_acts_as_an_admin_and_manages_no_owners(api: ApiWorld, owner: str) -> None:
    mara = await make_owner(api)
    assert (await invite(api, owner, "eve@acme.example", "owner")).status == 409
    assert (await api.send("PUT", f"/v1/team/{mara}/role", owner, {"role": "viewer"})).status == 409
    assert (await api.send("DELETE", f"/v1/team/{mara}", owner)).status == 409
    bob = (await invite(api, owner, "bob@acme.example", "admin")).json["id"]
    assert (await api.send("PATCH", f"/v1/team/{bob}/role", owner, {"role": "owner"})).status == 409
    assert (await api.send("PUT", f"/v1/team/{bob}/role", owner, {"role": "viewer"})).json["role"] == "viewer"
    assert (await api.send("PATCH", f"/v1/team/{bob}/role", owner, {"role": "admin"})).json["role"] == "admin"
    assert (await api.send("DELETE", f"/v1/team/{bob}", owner)).json == {"deleted": True}
    assert (await api.send("DELETE", f"/v1/team/{bob}", owner)).fault == (404, "not_found", None)
    entries = (await api.store.list_audit(ACCOUNT, limit=9)).items
    assert [each.action for each in entries][:4] == ["person.removed", "person.role_changed", "person.role_changed", "person.invited"]
    assert entries[0].actor.startswith("key_")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "nonsense"}, "email"),
        ({"email": "a@b.example\r\nBcc: c@d.example"}, "email"),
        ({"email": "a" * 400 + "@acme.example"}, "email"),
        ({"email": "a@acme.example", "role": "king"}, "role"),
    ],
)
async def test_a_bad_invitation_names_its_field(api: ApiWorld, owner: str, body: object, field: str) -> None:
    assert (await api.send("POST", "/v1/team/invite", owner, body)).fault == (422, "validation_error", field)
    assert (await api.get("/v1/team", owner)).json["data"] == []


async def test_a_member_is_not_invited_again(api: ApiWorld, owner: str) -> None:
    await make_owner(api)
    assert (await invite(api, owner, "mara@acme.example")).status == 409


async def test_the_link_is_mailed_and_nobody_else_reads_it(api: ApiWorld, owner: str) -> None:
    await verify_domain(api)
    assert (await invite(api, owner, "bob@acme.example", "admin")).status == 200
    (mail,) = (await api.get("/v1/emails", owner)).json["data"]
    assert (mail["from"], mail["to"], mail["subject"]) == (
        "sendryd <no-reply@acme.example>",
        ["bob@acme.example"],
        "You are invited to sendryd",
    )
    number = parse_id(mail["id"], "em")
    assert number is not None
    text = summarise(await api.store.read_content(MessageId(number))).text or ""
    token = text.partition(f"{PUBLIC_URL}/join/")[2].split()[0]
    assert await api.people.find_link(token, LinkPurpose.INVITATION) is not None
    shown = (await api.get(f"/v1/emails/{mail['id']}", owner)).json
    assert token not in str(shown)


async def test_accounts_do_not_see_each_other(api: ApiWorld, owner: str, stranger: Key) -> None:
    bob = (await invite(api, owner, "bob@acme.example")).json["id"]
    assert (await api.get("/v1/team", stranger[1])).json["data"] == []
    assert (await api.send("DELETE", f"/v1/team/{bob}", stranger[1])).status == 404
    assert (await api.send("PUT", f"/v1/team/{bob}/role", stranger[1], {"role": "admin"})).status == 404
