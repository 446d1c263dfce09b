"""Who may call what: every operation, by the scope and the mode of the key, on the application as it is served.

`PERMISSIONS` is the declaration. A test walks over all of it with a key of every scope and mode; others look at what the rows of `OWN` mean,
and at every answer for secrets.
"""

import asyncio
import copy
import tempfile
from collections.abc import AsyncIterator, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import KeyMode, Scope
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import AccountId
from sendryd.store.base import DomainCheck
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases
from sendryd.testing.http import Answer
from sendryd.testing.stores import quick_folder

ACCOUNT: Final = AccountId(1)
READ, SEND, FULL = Scope.READ_ONLY, Scope.SENDING_ACCESS, Scope.FULL_ACCESS


class TestKeys(Enum):
    """What an operation is for test keys of a scope that suffices."""

    __test__ = False

    SAME = "as for live keys, on mail of their own mode"
    OWN = "on what test keys made"
    NONE = "refused"


SAME, OWN, NONE = TestKeys.SAME, TestKeys.OWN, TestKeys.NONE
PERMISSIONS: Final[dict[str, tuple[Scope | None, TestKeys]]] = {
    # Mail: a key has to do with messages of its own mode alone.
    "POST /v1/emails": (SEND, SAME),
    "POST /v1/emails/batch": (SEND, SAME),
    "POST /v1/emails/marketing": (SEND, SAME),
    "PATCH /v1/emails/{id}": (SEND, SAME),
    "POST /v1/emails/{id}/cancel": (SEND, SAME),
    "DELETE /v1/emails/{id}": (SEND, SAME),
    "GET /v1/emails": (READ, SAME),
    "GET /v1/emails/{id}": (READ, SAME),
    "GET /v1/emails/{id}/events": (READ, SAME),
    "GET /v1/emails/{id}/attachments/{index}": (READ, SAME),
    "GET /v1/emails/{id}/share": (READ, SAME),
    "GET /v1/emails/{id}/insights": (READ, SAME),
    "GET /v1/smtp/info": (READ, SAME),
    "GET /v1/test-emails": (READ, SAME),
    "GET /v1/test-emails/wait": (READ, SAME),
    "GET /v1/test-emails/{id}": (READ, SAME),
    "GET /v1/logs": (READ, SAME),
    "GET /v1/analytics/logs": (READ, SAME),
    "GET /v1/logs/api-requests": (READ, SAME),
    # Webhooks: those that test keys make are told of test mail alone.
    "POST /v1/webhooks": (FULL, SAME),
    "GET /v1/webhooks": (READ, SAME),
    "GET /v1/webhooks/{id}": (READ, SAME),
    "PUT /v1/webhooks/{id}": (FULL, OWN),
    "PATCH /v1/webhooks/{id}": (FULL, OWN),
    "DELETE /v1/webhooks/{id}": (FULL, OWN),
    "GET /v1/webhooks/deliveries": (READ, SAME),
    "POST /v1/webhooks/deliveries/{id}/replay": (FULL, OWN),
    "POST /v1/webhooks/{id}/test": (FULL, OWN),
    "POST /v1/webhooks/{id}/replay": (FULL, OWN),
    # Templates: those that test keys make cannot be used by live mail.
    "POST /v1/templates": (FULL, SAME),
    "GET /v1/templates": (READ, SAME),
    "GET /v1/templates/{id}": (READ, SAME),
    "PUT /v1/templates/{id}": (FULL, OWN),
    "PATCH /v1/templates/{id}": (FULL, OWN),
    "DELETE /v1/templates/{id}": (FULL, OWN),
    "GET /v1/templates/{id}/versions": (READ, SAME),
    "POST /v1/templates/{id}/publish/{versionId}": (FULL, OWN),
    "POST /v1/templates/{id}/duplicate": (FULL, SAME),
    "POST /v1/templates/{id}/render": (READ, SAME),
    "POST /v1/templates/render": (READ, SAME),
    "POST /v1/templates/compile-blocks": (READ, SAME),
    "GET /v1/templates/starters": (READ, SAME),
    "GET /v1/templates/visual-starters": (READ, SAME),
    "GET /v1/templates/visual-starters/{starterId}": (READ, SAME),
    # Lists hold for live mail.
    "GET /v1/suppression": (READ, SAME),
    "POST /v1/suppression": (FULL, NONE),
    "POST /v1/suppression/import": (FULL, NONE),
    "GET /v1/suppression/export": (READ, SAME),
    "DELETE /v1/suppression/{email}": (FULL, NONE),
    "GET /v1/unsubscribes": (READ, SAME),
    "POST /v1/unsubscribes": (FULL, NONE),
    "POST /v1/unsubscribes/batch": (FULL, NONE),
    "GET /v1/unsubscribes/{id}": (READ, SAME),
    "DELETE /v1/unsubscribes/{id}": (FULL, NONE),
    # Figures; reports are live mail.
    "GET /v1/analytics": (READ, SAME),
    "GET /v1/analytics/stats": (READ, SAME),
    "GET /v1/analytics/cohorts": (READ, SAME),
    "GET /v1/analytics/benchmarks": (READ, SAME),
    "POST /v1/analytics/benchmarks/opt-in": (FULL, NONE),
    "GET /v1/analytics/breakdowns": (READ, SAME),
    "GET /v1/analytics/comparison": (READ, SAME),
    "GET /v1/analytics/export": (READ, SAME),
    "GET /v1/analytics/regions": (READ, SAME),
    "GET /v1/analytics/scheduled-reports": (READ, SAME),
    "POST /v1/analytics/scheduled-reports": (FULL, NONE),
    "DELETE /v1/analytics/scheduled-reports/{id}": (FULL, NONE),
    "POST /v1/domains": (FULL, NONE),
    "GET /v1/domains": (READ, SAME),
    "GET /v1/domains/{id}": (READ, SAME),
    "PATCH /v1/domains/{id}": (FULL, NONE),
    "DELETE /v1/domains/{id}": (FULL, NONE),
    "POST /v1/domains/{id}/verify": (FULL, NONE),
    "PATCH /v1/domains/{id}/region": (FULL, NONE),
    "POST /v1/domains/{id}/bimi": (FULL, NONE),
    "GET /v1/domains/{id}/bimi": (READ, SAME),
    "DELETE /v1/domains/{id}/bimi": (FULL, NONE),
    "POST /v1/domains/{id}/bimi/verify": (FULL, NONE),
    # A test key makes and revokes test keys.
    "POST /v1/api-keys": (FULL, SAME),
    "GET /v1/api-keys": (READ, SAME),
    "DELETE /v1/api-keys/{id}": (FULL, OWN),
    # The account.
    "GET /v1/organizations/me": (READ, SAME),
    "PATCH /v1/organizations/me": (FULL, NONE),
    "GET /v1/organizations/me/branding": (READ, SAME),
    "PATCH /v1/organizations/me/branding": (FULL, NONE),
    "GET /v1/organizations/me/region": (READ, SAME),
    "PATCH /v1/organizations/me/region": (FULL, NONE),
    "GET /v1/regions": (READ, SAME),
    "GET /v1/team": (READ, SAME),
    "POST /v1/team/invite": (FULL, NONE),
    "DELETE /v1/team/{id}": (FULL, NONE),
    "PUT /v1/team/{id}/role": (FULL, NONE),
    "PATCH /v1/team/{id}/role": (FULL, NONE),
    "GET /v1/inbound": (READ, SAME),
    "GET /v1/inbound/config": (READ, SAME),
    "PUT /v1/inbound/config": (FULL, NONE),
    "GET /v1/inbound/{id}": (READ, SAME),
    "GET /v1/plans": (READ, SAME),
    # For everybody.
    "GET /v1/version": (None, SAME),
    "GET /v1/changelog": (None, SAME),
    "GET /v1/status": (None, SAME),
    "GET /v1/status/history": (None, SAME),
    "GET /v1/status/latency": (None, SAME),
}
# A body that is right, for the operations that look at what they change before they refuse a test key.
BODIES: Final[dict[str, Any]] = {
    "PUT /v1/webhooks/{id}": {"url": "https://elsewhere.example.com/in"},
    "PATCH /v1/webhooks/{id}": {"active": False},
    "POST /v1/webhooks/{id}/replay": {"from": "2026-01-01", "to": "2026-12-31"},
    "PUT /v1/templates/{id}": {"html": "<p>Other</p>"},
    "PATCH /v1/templates/{id}": {"name": "Other"},
}
HOOK: Final = {"url": "https://hooks.example.com/in", "events": ["email.delivered", "domain.created"]}
MAIL: Final = {"from": "hello@example.test", "to": "ann@example.org", "subject": "Hello", "text": "Hi"}
REFUSED: Final = "A test key cannot change what live mail depends on: use a live key"


class Account:
    """An account with keys of all kinds, and of each thing one that a live key made and one that a test key made."""

    def __init__(self, api: ApiWorld) -> None:
        self.api = api
        self.keys: dict[tuple[Scope, KeyMode], str] = {}
        self.made: dict[KeyMode, dict[str, str]] = {mode: {"visual-starters": "newsletter"} for mode in KeyMode}
        self.secrets: set[str] = set()

    async def fill(self) -> None:
        api, now = self.api, self.api.clock.now()
        for mode in KeyMode:
            for scope in Scope:
                self.keys[scope, mode] = (await api.keys.create(System(ACCOUNT), f"{mode} {scope}", scope=scope, mode=mode))[1]
        domain = await api.domains.add(ACCOUNT, "example.test")
        check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=now, verified_at=now, failing_since=None, failures=0)
        await api.store.record_domain_check(domain, check)
        api.directory.invalidate()
        domains = (await api.get("/v1/domains", self.keys[READ, KeyMode.LIVE])).json["data"]
        inbound = await self.call("PUT", "/v1/inbound/config", KeyMode.LIVE, {"url": "https://example.com/in"})
        self.secrets = {*self.keys.values(), inbound["secret"]}
        for mode in KeyMode:
            made = self.made[mode]
            made["domains"] = domains[0]["id"]
            for kind, body in (
                ("webhooks", HOOK),
                ("templates", {"name": "Welcome", "html": "<p>Hello</p>"}),
                ("api-keys", {"name": "spare", "mode": mode.value}),
                ("emails", {**MAIL, "scheduled_at": "in 2 hours"}),
            ):
                answer = await self.call("POST", f"/v1/{kind}", mode, body)
                made[kind] = answer["id"]
                self.secrets |= {answer[name] for name in ("secret", "key") if name in answer}
            made["test-emails"] = self.made[mode]["emails"].replace("em_", "te_")
            versions = await self.api.get(f"/v1/templates/{made['templates']}/versions", self.keys[READ, mode])
            made["publish"] = versions.json["data"][0]["id"]
            await self.call("POST", f"/v1/webhooks/{made['webhooks']}/test", mode)
            told = await api.get(f"/v1/webhooks/deliveries?webhook_id={made['webhooks']}", self.keys[READ, mode])
            made["deliveries"] = told.json["data"][0]["id"]
        await api.request_log.flush()

    async def call(self, method: str, path: str, mode: KeyMode, body: object = None) -> Any:
        """A call with full access that has to succeed."""
        answer = await self.api.send(method, path, self.keys[FULL, mode], body)
        assert answer.status == 200, answer.body
        return answer.json

    def path(self, name: str, mode: KeyMode) -> str:
        """The path of an operation on what a key of this mode made."""
        before, segments = "", []
        for segment in name.partition(" ")[2].split("/"):
            segments.append(self.made[mode].get(before, "0") if segment.startswith("{") else segment)
            before = segment
        return "/".join(segments) + ("?timeout=0" if name.endswith("/wait") else "")

    async def try_out(self, name: str, made_by: KeyMode, scope: Scope, mode: KeyMode) -> Answer:
        """A call of an operation on what a key of one mode made, with a key of another."""
        return await self.api.send(name.partition(" ")[0], self.path(name, made_by), self.keys[scope, mode], BODIES.get(name, {}))


@pytest.fixture(scope="module")
def before() -> Iterator[tuple[Path, Account]]:
    """The account as it is before each test, and its data directory."""

    async def fill(data_dir: Path) -> Account:
        async with ApiWorld.open(data_dir) as api:
            made = Account(api)
            await made.fill()
            return made

    with tempfile.TemporaryDirectory(dir=quick_folder()) as folder:
        yield Path(folder), asyncio.run(fill(Path(folder)))


@pytest.fixture
async def account(before: tuple[Path, Account], tmp_path: Path) -> AsyncIterator[Account]:
    folder, filled = before
    async with ApiWorld.open_copy(folder, tmp_path) as api:
        account = Account(api)
        account.keys, account.made, account.secrets = copy.deepcopy((filled.keys, filled.made, filled.secrets))
        yield account


def test_every_operation_has_its_row(api: ApiWorld) -> None:
    assert {f"{each.method} {each.path}" for each in api.operations} == set(PERMISSIONS)


@cases("name", [name for name in PERMISSIONS if name.startswith("GET ")])  # reading changes nothing that others look at
async def test_scope_and_mode_of_a_key_decide_what_it_reads(account: Account, name: str) -> None:
    await check_permissions(account, name)


@pytest.mark.parametrize("name", [name for name in PERMISSIONS if not name.startswith("GET ")])
async def test_scope_and_mode_of_a_key_decide_its_permissions(account: Account, name: str) -> None:
    await check_permissions(account, name)


async def check_permissions(account: Account, name: str) -> None:
    needed, test_keys = PERMISSIONS[name]
    rank = [READ, SEND, FULL]
    for made_by in KeyMode:
        for mode in KeyMode:
            for scope in rank:
                is_enough = needed is None or rank.index(scope) >= rank.index(needed)
                is_kept = mode is KeyMode.TEST and (test_keys is NONE or (test_keys is OWN and made_by is KeyMode.LIVE))
                if is_enough and not is_kept:
                    continue  # below: it changes things
                answer = await account.try_out(name, made_by, scope, mode)
                assert (answer.status, answer.json["code"]) == (403, "insufficient_scope"), (made_by, mode, scope, answer.body)
                if is_enough:
                    assert answer.json["message"] == REFUSED
    for made_by in KeyMode:
        for mode in (KeyMode.TEST, KeyMode.LIVE):  # what a live key saves is not the test keys' own any more
            if mode is KeyMode.LIVE or test_keys is SAME or (test_keys is OWN and made_by is KeyMode.TEST):
                answer = await account.try_out(name, made_by, needed or READ, mode)
                assert answer.status not in {401, 403}, (made_by, mode, answer.body)
                is_full = (needed or READ, mode) == (FULL, KeyMode.LIVE)
                makes = name in {"POST /v1/api-keys", "POST /v1/webhooks"}
                if not is_full and not makes:
                    assert not [secret for secret in account.secrets if secret in answer.body.decode()]


async def test_what_a_test_key_is_refused_has_not_happened(account: Account) -> None:
    api, live, test = account.api, account.keys[FULL, KeyMode.LIVE], account.keys[FULL, KeyMode.TEST]
    seen = ("/v1/webhooks", "/v1/templates", "/v1/domains", "/v1/organizations/me", "/v1/inbound/config", "/v1/suppression")
    before = [(await api.get(path, live)).json for path in seen]
    for name, (_, test_keys) in PERMISSIONS.items():
        if test_keys is not SAME:
            await api.send(name.partition(" ")[0], account.path(name, KeyMode.LIVE), test, BODIES.get(name, {}))
    assert [(await api.get(path, live)).json for path in seen] == before
    listed = {each["id"] for each in (await api.get("/v1/api-keys?limit=100", live)).json["data"]}
    assert account.made[KeyMode.LIVE]["api-keys"] in listed


async def test_the_whole_url_is_shown_to_keys_alone_that_may_change_it(account: Account) -> None:
    api, live, made = account.api, account.keys[FULL, KeyMode.LIVE], account.made[KeyMode.LIVE]["webhooks"]
    for path in (f"/v1/webhooks/{made}", "/v1/inbound/config"):
        url = "https://hooks.example.com/in/T0-password?token=t0ken"
        assert (await api.send("PUT", path, live, {"url": url})).status == 200
    await api.request_log.flush()
    reads = [name for name in PERMISSIONS if name.startswith("GET ")]
    seen = {READ: set[str](), SEND: set[str](), FULL: set[str]()}
    for name in reads:
        path = account.path(name, KeyMode.LIVE)
        for (scope, mode), secret in account.keys.items():
            answer = await api.get(path, secret)
            if "T0-password" in answer.body.decode() or "t0ken" in answer.body.decode():
                assert mode is KeyMode.LIVE
                seen[scope].add(name)
            elif path in {"/v1/inbound/config", f"/v1/webhooks/{made}"}:
                assert answer.json["url"] == "https://hooks.example.com/[hidden]"
    assert seen == {READ: set(), SEND: set(), FULL: {"GET /v1/webhooks", "GET /v1/webhooks/{id}", "GET /v1/inbound/config"}}


async def test_a_search_looks_at_no_more_of_a_url_than_is_shown(account: Account) -> None:
    for (scope, mode), secret in account.keys.items():
        found = {text: (await account.api.get(f"/v1/webhooks?q={text}", secret)).json["total"] for text in ("S.example", "com/IN")}
        assert found == {"S.example": 2, "com/IN": {(FULL, KeyMode.LIVE): 2, (FULL, KeyMode.TEST): 1}.get((scope, mode), 0)}


async def test_a_test_key_sees_the_urls_and_notifications_of_the_webhooks_of_test_keys_alone(account: Account) -> None:
    api, test, live = account.api, account.keys[FULL, KeyMode.TEST], account.keys[FULL, KeyMode.LIVE]
    made = {mode: account.made[mode]["webhooks"] for mode in KeyMode}
    found = {each["id"]: each["url"] for each in (await api.get("/v1/webhooks", test)).json["data"]}
    assert found == {made[KeyMode.TEST]: HOOK["url"], made[KeyMode.LIVE]: "https://hooks.example.com/[hidden]"}
    for each, count in ((made[KeyMode.LIVE], 0), (made[KeyMode.TEST], 1)):
        assert len((await api.get(f"/v1/webhooks/deliveries?webhook_id={each}", test)).json["data"]) == count
        assert len((await api.get(f"/v1/webhooks/deliveries?webhook_id={each}", live)).json["data"]) == 1
    told = {each["webhook_id"] for each in (await api.get("/v1/webhooks/deliveries", test)).json["data"]}
    assert told == {made[KeyMode.TEST]}


@cases("path", ["/v1/webhooks/{webhooks}", "/v1/inbound/config"])
async def test_only_a_live_key_with_full_access_sees_a_secret(account: Account, path: str) -> None:
    path = path.format(**account.made[KeyMode.LIVE])
    for (scope, mode), secret in account.keys.items():
        answer = (await account.api.get(path, secret)).json
        if (scope, mode) == (FULL, KeyMode.LIVE):
            assert answer["secret"] in account.secrets
        else:
            assert answer.get("secret") is None


async def test_a_webhook_of_a_test_key_shows_its_secret_once_and_then_to_live_keys_alone(account: Account) -> None:
    test = account.keys[FULL, KeyMode.TEST]
    made = (await account.api.send("POST", "/v1/webhooks", test, HOOK)).json
    assert (made["secret"][:6], made["mode"]) == ("whsec_", "test")
    path = f"/v1/webhooks/{made['id']}"
    assert "secret" not in (await account.api.send("PUT", path, test, {"active": False})).json
    assert "secret" not in (await account.api.get(path, test)).json
    assert (await account.api.get(path, account.keys[FULL, KeyMode.LIVE])).json["secret"] == made["secret"]


async def test_a_webhook_of_a_test_key_is_told_of_test_mail_alone(account: Account) -> None:
    api = account.api
    await account.call("POST", "/v1/domains", KeyMode.LIVE, {"name": "example.net"})
    await account.call("POST", "/v1/emails", KeyMode.TEST, MAIL)
    await api.store.fan_out(limit=100)
    told: dict[str, set[str]] = {}
    for each in (await api.get("/v1/webhooks/deliveries?limit=100", account.keys[READ, KeyMode.LIVE])).json["data"]:
        if not each["payload"]["data"].get("test"):  # not the invented one
            told.setdefault(each["webhook_id"], set()).add(each["payload"]["type"])
    assert told[account.made[KeyMode.TEST]["webhooks"]] == {"email.delivered"}
    assert told[account.made[KeyMode.LIVE]["webhooks"]] == {"email.delivered", "domain.created"}


async def test_live_mail_uses_a_template_of_a_test_key_only_once_a_live_key_has_saved_it(account: Account) -> None:
    api, live, test = account.api, account.keys[FULL, KeyMode.LIVE], account.keys[FULL, KeyMode.TEST]
    template = account.made[KeyMode.TEST]["templates"]
    send = {**{name: value for name, value in MAIL.items() if name != "text"}, "template_id": template}
    assert (await api.send("POST", "/v1/emails", test, send)).status == 200
    refused = await api.send("POST", "/v1/emails", live, send)
    assert (refused.status, refused.json["details"]["field"]) == (422, "template_id")
    assert "save it with a live key" in refused.json["message"]
    assert "mode" not in (await api.send("PUT", f"/v1/templates/{template}", live, {})).json
    assert (await api.send("POST", "/v1/emails", live, send)).status == 200
    assert (await api.send("PUT", f"/v1/templates/{template}", test, {"html": "<p>Changed</p>"})).status == 403


async def test_test_keys_are_made_and_revoked_by_test_keys(account: Account) -> None:
    api, test = account.api, account.keys[FULL, KeyMode.TEST]
    made = (await api.send("POST", "/v1/api-keys", test, {"name": "suite", "mode": "test"})).json
    assert (await api.send("DELETE", f"/v1/api-keys/{made['id']}", test)).status == 200
    assert (await api.send("POST", "/v1/api-keys", test, {"name": "suite"})).status == 403
