"""Sending domains as a client sees them."""

from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.ids import AccountId, DomainId, WebhookId, format_id, parse_id
from sendryd.model.webhook import Webhook, WebhookEvent
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases

Key = tuple[ApiKey, str]
NAME = "example.test"
LOGO = "https://example.test/logo.svg"
NO_DOMAIN = format_id("dom", 77)


@pytest.fixture
async def domain(api: ApiWorld, owner: str) -> dict[str, Any]:
    answer = await api.send("POST", "/v1/domains", owner, {"name": NAME})
    assert answer.status == 200
    made: dict[str, Any] = answer.json
    return made


async def publish(api: ApiWorld, body: dict[str, Any]) -> None:
    number = parse_id(body["id"], "dom")
    assert number is not None
    stored = await api.store.get_domain(DomainId(number))
    assert stored is not None
    api.zone.publish(stored)


async def test_a_new_domain_has_the_shape_of_the_contract(domain: dict[str, Any]) -> None:
    records = domain.pop("dns_records")
    assert parse_id(domain.pop("id"), "dom") is not None
    assert domain == {
        "name": NAME,
        "status": "pending",
        "region": None,
        "tls_policy": "opportunistic",
        "custom_return_path": None,
        "mta_sts": "testing",
        "delivery": "live",
        "pool": None,
        "smarthost": None,
        "status_reports": False,
        "include_subdomains": False,
        "track_opens": False,
        "track_clicks": False,
        "tracking": {"opens": False, "clicks": False},
        "created_at": "2026-03-01T12:00:00.000Z",
    }
    names = ["_dmarc.example.test", "sendry._domainkey.example.test", "example.test"]
    assert [record["name"] for record in records] == [record["host"] for record in records] == names
    assert [record["value"].partition(";")[0] for record in records] == ["v=DMARC1", "v=DKIM1", "v=spf1 a:relay.example.test ~all"]
    assert {record["type"] for record in records} == {"TXT"}
    assert not any(record["verified"] for record in records)


async def test_names_are_brought_into_one_form(api: ApiWorld, owner: str) -> None:
    assert (await api.send("POST", "/v1/domains", owner, {"name": " Bücher.Example. "})).json["name"] == "xn--bcher-kva.example"


@cases(
    "name",
    ["", "ab", "localhost", "a b.test", "http://example.test", "192.0.2.1", "x@example.test", "a" * 254, "-a.test", None, 5, ["a.test"]],
)
async def test_what_is_no_domain_is_refused(api: ApiWorld, owner: str, name: object) -> None:
    assert (await api.send("POST", "/v1/domains", owner, {"name": name})).fault == (422, "validation_error", "name")
    assert (await api.get("/v1/domains", owner)).json["total"] == 0


async def test_a_body_without_a_name_is_refused(api: ApiWorld, owner: str) -> None:
    for body in ({}, None, {"domain": NAME}):
        assert (await api.send("POST", "/v1/domains", owner, body)).fault == (422, "validation_error", "name")
    assert (await api.send("POST", "/v1/domains", owner, [NAME])).status == 422


async def test_a_domain_that_is_there_is_a_conflict_that_names_it(api: ApiWorld, owner: str, stranger: Key, domain: dict[str, Any]) -> None:
    answer = await api.send("POST", "/v1/domains", owner, {"name": NAME.upper()})
    assert answer.fault == (409, "conflict", "name")
    assert answer.json["details"]["id"] == domain["id"]
    assert (await api.send("POST", "/v1/domains", stranger[1], {"name": NAME})).status == 200


async def test_the_list_has_pages_a_search_and_a_total(api: ApiWorld, owner: str, stranger: Key) -> None:
    for name in ("one.test", "two.test", "three.example"):
        api.clock.advance(timedelta(seconds=1))
        await api.send("POST", "/v1/domains", owner, {"name": name})
    await api.send("POST", "/v1/domains", stranger[1], {"name": "foreign.test"})
    first = (await api.get("/v1/domains?limit=2", owner)).json
    assert ([each["name"] for each in first["data"]], first["has_more"], first["total"]) == (["three.example", "two.test"], True, 3)
    rest = (await api.get(f"/v1/domains/?limit=2&cursor={first['next_cursor']}", owner)).json
    assert ([each["name"] for each in rest["data"]], rest["has_more"], rest["next_cursor"]) == (["one.test"], False, None)
    found = (await api.get("/v1/domains?q=TEST", owner)).json
    assert ([each["name"] for each in found["data"]], found["total"]) == (["two.test", "one.test"], 2)
    for query, field in (("limit=101", "limit"), ("limit=0", "limit"), ("cursor=x", "cursor"), (f"cursor={format_id('em', 1)}", "cursor")):
        assert (await api.get(f"/v1/domains?{query}", owner)).fault == (422, "validation_error", field)


async def test_settings_are_set_one_by_one(api: ApiWorld, owner: str, domain: dict[str, Any]) -> None:
    path = f"/v1/domains/{domain['id']}"
    for body, expected in (
        ({"tls_policy": "enforced"}, {"tls_policy": "enforced"}),
        ({"custom_return_path": "Bounces.example.test"}, {"custom_return_path": "bounces.example.test"}),
        ({"tracking": {"opens": True, "clicks": False}}, {"track_opens": True, "tracking": {"opens": True, "clicks": False}}),
        ({"tracking": {"clicks": True}}, {"track_opens": True, "track_clicks": True}),
        ({"track_opens": False, "include_subdomains": True}, {"track_opens": False, "include_subdomains": True}),
        ({"tls_policy": None, "tracking": None, "unknown": 1}, {"tls_policy": "enforced", "track_clicks": True}),
        ({}, {"tls_policy": "enforced", "custom_return_path": "bounces.example.test"}),
        ({"custom_return_path": None}, {"custom_return_path": None, "include_subdomains": True}),
        ({"delivery": "redirect:Dev@Team.test"}, {"delivery": "redirect:Dev@team.test"}),
        ({"delivery": None}, {"delivery": "redirect:Dev@team.test"}),
        ({"delivery": "live"}, {"delivery": "live"}),
        ({"smarthost": "smtp://u:secret@Smtp.example.com"}, {"smarthost": "smtp://u@smtp.example.com:587"}),
        ({"smarthost": "smtp://u@smtp.example.com:587"}, {"smarthost": "smtp://u@smtp.example.com:587"}),
        ({"smarthost": None}, {"smarthost": None}),
    ):
        answer = await api.send("PATCH", path, owner, body)
        assert answer.status == 200
        assert {name: answer.json[name] for name in expected} == expected
        assert (await api.get(path, owner)).json == answer.json


@cases(
    ("body", "field"),
    [
        ({"tls_policy": "sometimes"}, "tls_policy"),
        ({"custom_return_path": "bounces.other.test"}, "custom_return_path"),
        ({"custom_return_path": NAME}, "custom_return_path"),
        ({"custom_return_path": "a b"}, "custom_return_path"),
        ({"custom_return_path": 5}, "custom_return_path"),
        ({"tracking": {"opens": "yes"}}, "tracking.opens"),
        ({"tracking": True}, "tracking"),
        ({"track_clicks": 1}, "track_clicks"),
        ({"delivery": "redirect:nobody"}, "delivery"),
        ({"pool": "bulk"}, "pool"),
        ({"smarthost": "smtp://u:p@127.0.0.1:25"}, "smarthost"),
        ({"smarthost": "smtp://u:p@smtp.example.com:6379"}, "smarthost"),
        ({"smarthost": "mail.example.com"}, "smarthost"),
    ],
)
async def test_settings_that_cannot_be_are_refused(
    api: ApiWorld, owner: str, domain: dict[str, Any], body: dict[str, Any], field: str
) -> None:
    path = f"/v1/domains/{domain['id']}"
    answer = await api.send("PATCH", path, owner, {"include_subdomains": True, **body})
    assert answer.fault == (422, "validation_error", field)
    assert (await api.get(path, owner)).json == domain


async def test_a_check_says_what_was_found_and_what_to_do(api: ApiWorld, owner: str, domain: dict[str, Any]) -> None:
    path = f"/v1/domains/{domain['id']}/verify"
    await publish(api, domain)
    api.zone.texts["example.test"] = ("unrelated", "v=spf1 -all")
    del api.zone.texts["_dmarc.example.test"]
    answer = (await api.send("POST", path, owner)).json
    checks = answer.pop("checks")
    assert answer == {
        "id": domain["id"],
        "name": NAME,
        "status": "pending",
        "spf_verified": False,
        "dkim_verified": True,
        "dmarc_verified": False,
    }
    expected = {record["name"]: record["value"] for record in domain["dns_records"]}
    key = expected["sendry._domainkey.example.test"]
    assert checks["dkim"] == {"verified": True, "found": key, "expected": key, "issue": None, "action": None}
    assert checks["spf"] == {
        "verified": False,
        "found": "v=spf1 -all",
        "expected": "v=spf1 a:relay.example.test ~all",
        "issue": "The SPF record does not authorise this server: add a:relay.example.test before its all term.",
        "action": "Add a:relay.example.test before its all term.",
    }
    assert checks["dmarc"] == {
        "verified": False,
        "found": None,
        "expected": "v=DMARC1; p=none;",
        "issue": "No DMARC record was found: receivers of bulk mail ask for one.",
        "action": "Publish a TXT record of the name _dmarc.example.test with the value v=DMARC1; p=none;",
    }
    assert len((await api.send("POST", path, owner)).json["checks"]["spf"]["found"]) < 2001


async def test_a_published_domain_is_verified_at_once(api: ApiWorld, owner: str, domain: dict[str, Any]) -> None:
    await publish(api, domain)
    answer = (await api.send("POST", f"/v1/domains/{domain['id']}/verify", owner)).json
    assert (answer["status"], answer["spf_verified"], answer["dkim_verified"], answer["dmarc_verified"]) == ("verified", True, True, True)
    covering = await api.directory.covering_domains(AccountId(1), NAME)
    assert [each.status.value for each in covering] == ["verified"]
    api.zone.silent = set(api.zone.texts)
    silent = (await api.send("POST", f"/v1/domains/{domain['id']}/verify", owner)).json
    assert (silent["status"], silent["spf_verified"], silent["checks"]["spf"]["found"]) == ("verified", True, None)
    assert silent["checks"]["spf"]["action"] == "Check again later."


async def test_what_strangers_publish_is_cut(api: ApiWorld, owner: str, domain: dict[str, Any]) -> None:
    await publish(api, domain)
    api.zone.texts["_dmarc.example.test"] = ("x" * 60_000,)
    answer = (await api.send("POST", f"/v1/domains/{domain['id']}/verify", owner)).json
    assert answer["checks"]["dmarc"]["found"] == "x" * 2000


async def test_a_removed_domain_is_gone(api: ApiWorld, owner: str, domain: dict[str, Any]) -> None:
    path = f"/v1/domains/{domain['id']}"
    await api.send("POST", f"{path}/bimi", owner, {"logo_url": LOGO})
    assert (await api.send("DELETE", path, owner)).json == {"deleted": True}
    assert (await api.get(path, owner)).status == 404
    assert (await api.send("DELETE", path, owner)).status == 404
    again = (await api.send("POST", "/v1/domains", owner, {"name": NAME})).json
    assert again["id"] != domain["id"]
    assert (await api.get(f"/v1/domains/{again['id']}/bimi", owner)).status == 404


async def test_a_preferred_region_is_kept(api: ApiWorld, owner: str, domain: dict[str, Any]) -> None:
    path = f"/v1/domains/{domain['id']}/region"
    assert (await api.send("PATCH", path, owner, {"region": "eu-west-1"})).json["region"] == "eu-west-1"
    assert (await api.send("PATCH", path, owner, {})).json["region"] == "eu-west-1"
    for region in ("", "EU", "a b", "-", 5, "a" * 65):
        assert (await api.send("PATCH", path, owner, {"region": region})).fault == (422, "validation_error", "region")
    assert (await api.send("PATCH", path, owner, {"region": None})).json["region"] is None


# Logos.


async def test_a_logo_is_set_proved_and_taken_away(api: ApiWorld, owner: str, domain: dict[str, Any]) -> None:
    path = f"/v1/domains/{domain['id']}/bimi"
    made = (await api.send("POST", path, owner, {"logo_url": LOGO, "vmc_url": None})).json
    value = f"v=BIMI1; l={LOGO}; a=;"
    name = "default._bimi.example.test"
    assert parse_id(made.pop("id"), "bimi") is not None
    assert made == {
        "domain_id": domain["id"],
        "logo_url": LOGO,
        "vmc_url": None,
        "selector": "default",
        "status": "pending",
        "dns_record": value,
        "dns_records": [{"type": "TXT", "host": name, "value": value, "name": name, "verified": False, "required": False}],
        "verified_at": None,
        "created_at": "2026-03-01T12:00:00.000Z",
        "updated_at": "2026-03-01T12:00:00.000Z",
    }
    failed = (await api.send("POST", f"{path}/verify", owner)).json
    assert failed == {"verified": False, "status": "pending", "issue": "No BIMI record was found: publish it."}
    api.zone.texts[name] = (value,)
    assert (await api.send("POST", f"{path}/verify", owner)).json == {"verified": True, "status": "verified"}
    got = (await api.get(path, owner)).json
    assert (got["status"], got["verified_at"], got["dns_records"][0]["verified"]) == ("verified", "2026-03-01T12:00:00.000Z", True)
    api.zone.texts.clear()
    assert (await api.send("POST", f"{path}/verify", owner)).json["status"] == "failed"
    assert (await api.send("DELETE", path, owner)).json == {"deleted": True}
    for method, target in (("GET", path), ("DELETE", path), ("POST", f"{path}/verify")):
        assert (await api.send(method, target, owner)).status == 404


@cases(
    ("body", "field"),
    [
        ({}, "logo_url"),
        ({"logo_url": "http://example.test/logo.svg"}, "logo_url"),
        ({"logo_url": "logo.svg"}, "logo_url"),
        ({"logo_url": "https://"}, "logo_url"),
        ({"logo_url": "https://[::1"}, "logo_url"),
        ({"logo_url": "https://example.test/a b"}, "logo_url"),
        ({"logo_url": "https://example.test/;a=x"}, "logo_url"),
        ({"logo_url": "https://u:p@example.test/x"}, "logo_url"),
        ({"logo_url": "https://example.test/" + "a" * 2048}, "logo_url"),
        ({"logo_url": LOGO, "vmc_url": "ftp://example.test/x"}, "vmc_url"),
        ({"logo_url": LOGO, "vmc_url": "https://example.test/;x"}, "vmc_url"),
        ({"logo_url": LOGO, "selector": "a.b"}, "selector"),
        ({"logo_url": LOGO, "selector": ""}, "selector"),
        ({"logo_url": LOGO, "selector": "a" * 64}, "selector"),
    ],
)
async def test_logos_that_cannot_be_are_refused(
    api: ApiWorld, owner: str, domain: dict[str, Any], body: dict[str, Any], field: str
) -> None:
    path = f"/v1/domains/{domain['id']}/bimi"
    assert (await api.send("POST", path, owner, body)).fault == (422, "validation_error", field)
    assert (await api.get(path, owner)).status == 404


# Who may.

WRITES = [
    ("PATCH", ""),
    ("DELETE", ""),
    ("POST", "/verify"),
    ("PATCH", "/region"),
    ("POST", "/bimi"),
    ("DELETE", "/bimi"),
    ("POST", "/bimi/verify"),
]
READS = [("GET", ""), ("GET", "/bimi")]


@cases(("method", "suffix"), WRITES + READS)
async def test_domains_of_others_are_not_found(
    api: ApiWorld, owner: str, stranger: Key, domain: dict[str, Any], method: str, suffix: str
) -> None:
    body = {"logo_url": LOGO, "tls_policy": "enforced", "region": "eu"} if method in {"PATCH", "POST"} else None
    await api.send("POST", f"/v1/domains/{domain['id']}/bimi", owner, {"logo_url": LOGO})
    before = (await api.get(f"/v1/domains/{domain['id']}", owner)).json
    for number in (domain["id"], NO_DOMAIN, "dom_x", "x", "dom_", domain["id"].replace("dom_", "em_")):
        answer = await api.send(method, f"/v1/domains/{number}{suffix}", stranger[1], body)
        assert answer.fault[:2] == (404, "not_found"), number
    assert (await api.get(f"/v1/domains/{domain['id']}", owner)).json == before
    assert (await api.get(f"/v1/domains/{domain['id']}/bimi", owner)).status == 200


@pytest.mark.parametrize("scope", [Scope.READ_ONLY, Scope.SENDING_ACCESS])
async def test_writing_needs_full_access_and_reading_does_not(api: ApiWorld, domain: dict[str, Any], scope: Scope) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "less", scope=scope)
    path = f"/v1/domains/{domain['id']}"
    assert (await api.send("POST", "/v1/domains", secret, {"name": "other.test"})).status == 403
    for method, suffix in WRITES:
        assert (await api.send(method, path + suffix, secret, {"logo_url": LOGO})).fault[:2] == (403, "insufficient_scope")
    for target in ("/v1/domains", path):
        assert (await api.get(target, secret)).status == 200
    assert (await api.get(path)).status == 401


async def test_webhooks_are_told(api: ApiWorld, owner: str) -> None:
    now = api.clock.now()
    events = (WebhookEvent.DOMAIN_CREATED, WebhookEvent.DOMAIN_UPDATED, WebhookEvent.DOMAIN_DELETED)
    webhook = Webhook(
        id=WebhookId(5),
        account_id=AccountId(1),
        url="https://hook.test/",
        events=events,
        secret="whsec_x",
        is_active=True,
        created_at=now,
        updated_at=now,
    )
    await api.store.add_webhook(webhook)
    made = (await api.send("POST", "/v1/domains", owner, {"name": NAME})).json
    path = f"/v1/domains/{made['id']}"
    await publish(api, made)
    api.clock.advance(timedelta(seconds=1))
    await api.send("POST", f"{path}/verify", owner)
    api.clock.advance(timedelta(seconds=1))
    await api.send("PATCH", path, owner, {"tls_policy": "enforced"})
    api.clock.advance(timedelta(seconds=1))
    await api.send("DELETE", path, owner)
    await api.store.fan_out(limit=100)
    told = list(reversed((await api.store.page_notifications(AccountId(1), limit=10)).items))
    assert [each.type.value for each in told] == ["domain.created", "domain.updated", "domain.updated", "domain.deleted"]
    bodies = [each.body or {} for each in told]
    assert [body["domain_id"] for body in bodies] == [made["id"]] * 4
    assert [(body["status"], body["tls_policy"]) for body in bodies] == [
        ("pending", "opportunistic"),
        ("verified", "opportunistic"),
        ("verified", "enforced"),
        ("verified", "enforced"),
    ]
