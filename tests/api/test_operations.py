"""Every operation of the public contract that is built: its description, its answers, and how it refuses.

`tests/data/operations.json` has the contract's operations, one in each line.
"""

import asyncio
import copy
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jsonschema_rs
import pytest

from sendryd.api.framework.operation import Operation
from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.domain import DomainStatus
from sendryd.model.event import EventType
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, EventId, MessageId, parse_id
from sendryd.model.webhook import NotificationState
from sendryd.store.base import DomainCheck, Engagement, EventFilter, Lease, NewEvent, NotificationOutcome
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases
from sendryd.testing.http import Answer
from sendryd.testing.samples import OWNER
from sendryd.testing.stores import quick_folder

Json = dict[str, Any]
ACCOUNT: Final = AccountId(1)
CONTRACT: Final[list[Json]] = json.loads((Path(__file__).parents[1] / "data" / "operations.json").read_text())
BY_NAME: Final[Mapping[str, Json]] = {f"{each['method']} {each['path']}": each for each in CONTRACT}


# The description, against the contract.

LIMITS: Final = ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum")

# Every text and list has a bound here, also where the contract sets none: by field, what it is.
BOUNDS: Final[Mapping[str, Json]] = {
    "attachments": {"maxItems": 100},
    "component": {"maxLength": 100},
    "content_id": {"maxLength": 255},
    "content_type": {"minLength": 3, "maxLength": 255},
    "cursor": {"maxLength": 200},
    "custom_return_path": {"maxLength": 253},
    "domain": {"maxLength": 320},
    "email": {"maxLength": 320},
    "events": {"maxItems": 100},
    "filename": {"minLength": 1, "maxLength": 255},
    "from": {"minLength": 3},  # also in a batch
    "headers.*": {"maxLength": 8000},
    "html": {"maxLength": 5_242_880},
    "limit": {"minimum": 1},
    "list_id": {"minLength": 1, "maxLength": 200},
    "method": {"maxLength": 20},
    "name": {"maxLength": 200},
    "path": {"maxLength": 320},
    "q": {"maxLength": 320},
    "reason": {"maxLength": 1000},
    "scheduled_at": {"maxLength": 200},
    "secret": {"minLength": 1, "maxLength": 256},
    "subject": {"maxLength": 998},
    "tag": {"maxLength": 320},
    "tags": {"maxItems": 50},
    "text": {"maxLength": 1_048_576},
    "to": {"maxLength": 320},
    "type": {"maxLength": 50},
    "unsubscribe_url": {"maxLength": 900},
    "url": {"maxLength": 2048},
}
BOUNDED_RECIPIENTS: Final = {"minItems": 1, "maxItems": 50, "minLength": 3}  # the contract says the fifty in words alone

# Words that can be asked for, where the contract has any text: others are refused, for they can never be found.
WORDS: Final = {
    "status": {"queued", "sending", "delivered", "bounced", "failed", "complained", "cancelled", "sent"},
    "type": {
        *("queued", "sent", "delivered", "deferred", "bounced", "failed", "suppressed", "cancelled"),
        *("opened", "clicked", "complained", "unsubscribed"),
    },
}

# What stays different, and why. `*` stands for any operation or field.
DEVIATIONS: Final[Mapping[str, str]] = {
    "POST /v1/api-keys: body.expires_* is ours": "keys can expire",
    "PATCH /v1/domains/{id}: body.tracking is ours": "the Python client sends it",
    "PATCH /v1/domains/{id}: body.include_subdomains is ours": "a setting of this server",
    "PATCH /v1/domains/{id}: body.track_* is ours": "tracking under other names",
    "PATCH /v1/domains/{id}: body.delivery is ours": "a setting of this server",
    "PATCH /v1/domains/{id}: body.smarthost is ours": "a setting of this server",
    "PATCH /v1/domains/{id}: body.pool is ours": "a setting of this server",
    "PATCH /v1/domains/{id}: body.mta_sts is ours": "a setting of this server",
    "POST /v1/emails*: body.*priority is ours": "the class of the mail, as `X-Sendry-Priority` sets it over SMTP",
    "PATCH /v1/domains/{id}: body.status_reports is ours": "a setting of this server",
    "GET /v1/suppression: query.q is ours": "lists can be searched",
    "GET /v1/suppression: query.reason is ours": "lists can be searched",
    "GET /v1/analytics/export: query.tag is ours": "the export takes what the figures take",
    "* /v1/webhooks/{id}: 200.secret is optional": "only a live key with full access sees it after it was made",
    "POST /v1/webhooks: body.active is ours": "a webhook can begin switched off",
    "* /v1/templates*: body.text is ours": "templates have a text of their own, as older pages of the contract say",
    "POST /v1/templates/render: body.subject is ours": "a subject can be tried too",
    "POST /v1/templates*: body.variables.* may be any": "values may be any JSON, not only text",
    "* /v1/templates*: body.*.blocks[[][]].* is optional": "a design may leave out what has a default",
    "* /v1/templates*: body.*.blocks[[][]].id may be any": "an id only names the block in messages",
    "* /v1/templates*: body.*.globalStyles* is optional": "a design may leave out what has a default",
    "POST /v1/emails*: body.*reply_to may be array": "several addresses may be given",
    "POST /v1/emails*: body.subject has minLength None": "one client sends an empty subject with a template",
    "POST /v1/emails/marketing: body.subject is optional": "a template brings its own subject",
}


def branches(schema: Json | bool, components: Json) -> dict[str, Json]:
    """The alternatives of a schema, by the type of JSON. Words of one type are put together."""
    if isinstance(schema, bool):
        return {"any": {}} if schema else {}
    if "$ref" in schema:
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return branches({**components[schema["$ref"].rpartition("/")[2]], **rest}, components)
    found: dict[str, Json] = {}
    outside = {name: value for name, value in schema.items() if name != "anyOf"}
    for each in schema.get("anyOf", [{}]):
        if each.keys() & {"anyOf", "$ref"}:
            inner = branches(each, components)
        else:
            merged = {**outside, **each}
            kind = merged.get("type", "string" if words(merged) else "any")
            inner = {"number" if kind == "integer" else kind: merged}
        for kind, branch in inner.items():
            both = [*words(found.get(kind, {})), *words(branch)]
            found[kind] = {**{name: value for name, value in branch.items() if name != "const"}, **({"enum": both} if both else {})}
    return found


def words(schema: Json) -> list[str]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


class Comparison:
    """What the contract says of an operation, beside what the description says."""

    def __init__(self, document: Json) -> None:
        self.components: Json = document["components"]["schemas"]
        self.document = document

    def differences(self, contract: Json) -> Iterator[str]:
        ours = self.document["paths"][contract["path"]][contract["method"].lower()]
        parameters = {(each["in"], each["name"]): each for each in map(self._resolve, ours.get("parameters", ()))}
        takes = "requestBody" in ours or any(where == "query" for where, _ in parameters)
        for name in contract.get("path_params", ()):
            if ("path", name) not in parameters:
                yield f"path {name} is missing"
        for name, schema in contract.get("query", {}).items():
            found = parameters.pop(("query", name), None)
            if found is None:
                yield f"query.{name} is missing"
                continue
            if found["required"] != bool(schema.get("required")):
                yield f"query.{name} is {'required' if found['required'] else 'optional'}"
            yield from self._request(schema, found["schema"], f"query.{name}")
        yield from (f"query.{name} is ours" for where, name in parameters if where == "query")
        if ("body" in contract) != ("requestBody" in ours):
            yield "body is there" if "requestBody" in ours else "body is missing"
        elif "body" in contract:
            yield from self._request(contract["body"], ours["requestBody"]["content"]["application/json"]["schema"], "body")
        for status, schema in contract["responses"].items():
            yield from self._answer(schema, ours["responses"][status]["content"]["application/json"]["schema"], f"{status}")
        for status in contract["errors"]:
            # Every key may read, and what takes nothing can be given nothing wrong.
            never = {"403": "read_only" in str(ours["security"]), "422": not takes}
            if status not in ours["responses"] and not never.get(status):
                yield f"{status} is missing"

    def _resolve(self, parameter: Json) -> Json:
        reference = parameter.get("$ref", "").rpartition("/")[2]
        return self.document["components"]["parameters"][reference] if reference else parameter

    def _request(self, contract: Json, ours: Json | bool, place: str) -> Iterator[str]:
        """A request may say as much as the contract lets it."""
        theirs, mine = branches(contract, {}), branches(ours, self.components)
        name = place.removeprefix("body.").removeprefix("query.") if place.endswith(".*") else place.rpartition(".")[2]
        if "number" in mine or "boolean" in mine:  # in a query all is text
            theirs.pop("string", None)
        if theirs.keys() - {"any"} - mine.keys() and "any" not in mine:
            yield f"{place} is no {'/'.join(sorted(theirs.keys() - mine.keys()))}"
        if mine.keys() - {"null"} - theirs.keys() and "any" not in theirs:  # null stands for what is not given
            yield f"{place} may be {'/'.join(sorted(mine.keys() - {'null'} - theirs.keys()))}"
        for kind in theirs.keys() & mine.keys():
            one, other = theirs[kind], mine[kind]
            if set(words(one)) != set(words(other)) and not (
                not words(one) and place.startswith("query.") and set(words(other)) == WORDS[name]
            ):
                yield f"{place} is one of {words(other)}"
            is_recipient = place.startswith("body.") and name.removesuffix("[]") in {"to", "cc", "bcc"}
            bounds = BOUNDED_RECIPIENTS if is_recipient else BOUNDS.get(name, {})
            for limit in LIMITS:
                if one.get(limit, other.get(limit) and bounds.get(limit)) != other.get(limit):
                    yield f"{place} has {limit} {other.get(limit)}"
            if "default" in one and one["default"] not in {other.get("default"), 0} and not place.startswith("body"):
                yield f"{place} is {other.get('default')} by default"
            if "items" in one:
                yield from self._request(one["items"], other.get("items", {}), f"{place}[]")
            yield from self._fields(one, other, place)

    def _fields(self, one: Json, other: Json, place: str) -> Iterator[str]:
        for name, schema in one.get("properties", {}).items():
            if name not in other.get("properties", {}):
                yield f"{place}.{name} is missing"
            else:
                yield from self._request(schema, other["properties"][name], f"{place}.{name}")
        if "properties" in one:
            yield from (f"{place}.{name} is ours" for name in other.get("properties", {}) if name not in one["properties"])
            required, mine = set(one.get("required", ())), set(other.get("required", ()))
            yield from (f"{place}.{name} is {'optional' if name in required else 'required'}" for name in sorted(required ^ mine))
        for schema in one.get("patternProperties", {}).values():
            yield from self._request(schema, other.get("additionalProperties", True), f"{place}.*")

    def _answer(self, contract: Json, ours: Json, place: str) -> Iterator[str]:
        """An answer has all that the contract promises, and nothing in its place that it does not know."""
        theirs, mine = branches(contract, {}), branches(ours, self.components)
        if "any" in theirs:
            return
        if mine.keys() - theirs.keys():
            yield f"{place} may be {'/'.join(sorted(mine.keys() - theirs.keys()))}"
        for kind in theirs.keys() & mine.keys():
            one, other = theirs[kind], mine[kind]
            if words(one) and not set(words(other)) <= set(words(one)):
                yield f"{place} is one of {words(other)}"
            if "items" in one:
                yield from self._answer(one["items"], other["items"], f"{place}[]")
            for name, schema in one.get("properties", {}).items():
                if name not in other.get("properties", {}):
                    yield f"{place}.{name} is missing"
                    continue
                if name in one.get("required", ()) and name not in other.get("required", ()):
                    yield f"{place}.{name} is optional"
                yield from self._answer(schema, other["properties"][name], f"{place}.{name}")
            for schema in one.get("patternProperties", {}).values():
                yield from self._answer(schema, other["additionalProperties"], f"{place}.*")


async def test_the_description_says_what_the_contract_says(api: ApiWorld) -> None:
    comparison = Comparison((await api.get("/openapi.json")).json)
    found = {f"{name}: {each}" for name, contract in BY_NAME.items() for each in comparison.differences(contract)}
    assert [each for each in sorted(found) if not any(fnmatchcase(each, pattern) for pattern in DEVIATIONS)] == []
    assert [pattern for pattern in DEVIATIONS if not any(fnmatchcase(each, pattern) for each in found)] == []


# The operations, called.

PERIOD: Final = {"from": "2026-02-01", "to": "2026-03-31"}
ATTACHMENT: Final = {"filename": "a.txt", "content": "SGVsbG8=", "content_type": "text/plain"}
MAIL: Final[Json] = {"from": "Acme <hello@example.test>", "to": ["Ann <ann@example.org>"], "subject": "Hello", "html": "<p>Hi</p>"}
DESIGN: Final[Json] = {
    "globalStyles": {
        "bodyBackgroundColor": "#ffffff",
        "contentBackgroundColor": "#ffffff",
        "contentWidth": 600,
        "fontFamily": "Arial",
        "linkColor": "#0000ff",
    },
    "blocks": [{"id": "b1", "type": "text", "props": {"text": "Hello {{name}}"}}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How an operation is called: rightly, and with a fault in the field that its answer must name."""

    body: Json | None = None
    query: Mapping[str, object] | None = None
    bad_body: Json | None = None
    bad_query: Mapping[str, object] | None = None
    field: str = ""  # what is wrong


PAGED: Final = Usage(query={"limit": 1}, bad_query={"limit": 101}, field="limit")
FIGURES: Final = Usage(query=PERIOD, bad_query={"from": "yesterday", "to": "2026-03-31"}, field="from")
USAGES: Final[Mapping[str, Usage]] = {
    "POST /v1/api-keys": Usage(body={"name": "shop", "scope": "read_only", "mode": "test"}, bad_body={"name": ""}, field="name"),
    "GET /v1/api-keys": PAGED,
    "POST /v1/domains": Usage(body={"name": "example.net"}, bad_body={"name": "no domain"}, field="name"),
    "GET /v1/domains": Usage(query={"q": "EXAMPLE"}, bad_query={"limit": "x"}, field="limit"),
    "PATCH /v1/domains/{id}": Usage(
        body={"tls_policy": "enforced", "custom_return_path": None}, bad_body={"tls_policy": "x"}, field="tls_policy"
    ),
    "POST /v1/domains/{id}/bimi": Usage(
        body={"logo_url": "https://example.test/logo.svg", "selector": "default"}, bad_body={"logo_url": "http://x"}, field="logo_url"
    ),
    "PATCH /v1/domains/{id}/region": Usage(body={"region": "eu-west-1"}, bad_body={"region": 1}, field="region"),
    "POST /v1/emails": Usage(
        body={
            **MAIL,
            "cc": "cc@example.org",
            "bcc": ["bcc@example.org"],
            "reply_to": "reply@example.test",
            "text": "Hi",
            "tags": [{"name": "kind", "value": "order"}],
            "headers": {"X-Order": "1"},
            "variables": {},
            "attachments": [ATTACHMENT],
            "tracking": True,
        },
        bad_body={**MAIL, "attachments": [{"filename": "a"}]},
        field="attachments.0.content",
    ),
    "GET /v1/emails": Usage(query={"include_total": "true", "q": "ANN", "status": "queued"}, bad_query={"status": "lost"}, field="status"),
    "PATCH /v1/emails/{id}": Usage(body={"subject": "Better"}, bad_body={"subject": ""}, field="subject"),
    "POST /v1/emails/batch": Usage(
        body={
            "from": "hello@example.test",
            "subject": "Hello",
            "emails": [{"to": "a@example.org", "text": "A"}],
            "batch_validation": "strict",
        },
        bad_body={"emails": []},
        field="emails",
    ),
    "POST /v1/emails/marketing": Usage(
        body={**MAIL, "to": "a@example.org", "unsubscribe_url": "https://example.test/u", "list_id": "monthly"},
        bad_body={**MAIL, "unsubscribe_url": "u"},
        field="unsubscribe_url",
    ),
    "GET /v1/emails/{id}/events": Usage(query={"type": "queued"}, bad_query={"type": "x"}, field="type"),
    "POST /v1/webhooks": Usage(
        body={"url": "https://example.com/in", "events": ["email.delivered"]},
        bad_body={"url": "https://example.com", "events": []},
        field="events",
    ),
    "GET /v1/webhooks": Usage(query={"q": "HOOKS"}, bad_query={"cursor": "x"}, field="cursor"),
    "PUT /v1/webhooks/{id}": Usage(body={"active": False, "events": ["email.bounced"]}, bad_body={"active": "no"}, field="active"),
    "GET /v1/webhooks/deliveries": Usage(query={"limit": 100}, bad_query={"webhook_id": "x"}, field="webhook_id"),
    "GET /v1/analytics": Usage(
        query={**PERIOD, "granularity": "week", "tag": "kind", "domain": "example.test"},
        bad_query={**PERIOD, "granularity": "x"},
        field="granularity",
    ),
    "GET /v1/logs": Usage(
        query={**{f"{name}_date": day for name, day in PERIOD.items()}, "q": "ann"}, bad_query={"to_date": "x"}, field="to_date"
    ),
    "GET /v1/analytics/cohorts": Usage(query={**PERIOD, "metric": "click_rate"}, bad_query={**PERIOD, "metric": "x"}, field="metric"),
    "GET /v1/analytics/benchmarks": FIGURES,
    "POST /v1/analytics/benchmarks/opt-in": Usage(body={"opt_in": True}, bad_body={"opt_in": "yes"}, field="opt_in"),
    "GET /v1/analytics/breakdowns": Usage(query={**PERIOD, "group_by": "domain"}, bad_query={**PERIOD}, field="group_by"),
    "GET /v1/analytics/comparison": FIGURES,
    "GET /v1/analytics/export": Usage(query={**PERIOD, "format": "json"}, bad_query={**PERIOD, "format": "xml"}, field="format"),
    "GET /v1/analytics/regions": FIGURES,
    "POST /v1/analytics/scheduled-reports": Usage(
        body={"frequency": "weekly", "recipients": ["boss@example.org"]},
        bad_body={"frequency": "weekly", "recipients": ["x"]},
        field="recipients.0",
    ),
    "POST /v1/templates/render": Usage(body={"html": "<p>{{a}}</p>", "variables": {"a": "b"}}, bad_body={"html": "{{"}, field="html"),
    "POST /v1/templates/compile-blocks": Usage(
        body={"design": DESIGN, "variables": {"name": "Ann"}}, bad_body={"design": {}}, field="design"
    ),
    "POST /v1/templates": Usage(
        body={
            "name": "Welcome",
            "subject": "Hello {{name}}",
            "engine": "visual",
            "variables": {"name": {"type": "string", "required": False, "default": "you"}},
            "blocks": DESIGN,
        },
        bad_body={"name": "x", "variables": {"a": {}}},
        field="variables.a.type",
    ),
    "GET /v1/templates": PAGED,
    "PUT /v1/templates/{id}": Usage(body={"name": "Other", "blocks": None}, bad_body={"engine": "x"}, field="engine"),
    "POST /v1/templates/{id}/render": Usage(body={"variables": {"name": "Ann"}}, bad_body={"variables": "x"}, field="variables"),
    "GET /v1/suppression": PAGED,
    "POST /v1/suppression": Usage(body={"email": "a@example.org", "reason": "complaint"}, bad_body={"email": "a"}, field="email"),
    "GET /v1/unsubscribes": Usage(query={"email": "out@example.org", "list_id": "monthly"}, bad_query={"limit": 0}, field="limit"),
    "POST /v1/unsubscribes": Usage(
        body={"email": "a@example.org", "reason": "asked"}, bad_body={"email": "a", "list_id": "x"}, field="email"
    ),
    "POST /v1/unsubscribes/batch": Usage(
        body={"emails": ["a@example.org"], "list_id": "x"}, bad_body={"emails": ["a@example.org", "b"]}, field="emails.1"
    ),
    "GET /v1/inbound": PAGED,
    "PUT /v1/inbound/config": Usage(body={"url": "https://example.com/in", "secret": None}, bad_body={"url": "x"}, field="url"),
    "PATCH /v1/organizations/me": Usage(body={"name": "Acme"}, bad_body={"name": ""}, field="name"),
    "PATCH /v1/organizations/me/region": Usage(
        body={"default_region": None, "data_residency": "eu"}, bad_body={"data_residency": "moon"}, field="data_residency"
    ),
    "GET /v1/test-emails": PAGED,
    "GET /v1/logs/api-requests": Usage(query={"method": "post", "q": "v1"}, bad_query={"status_code": "x"}, field="status_code"),
    "GET /v1/status/history": PAGED,
    "GET /v1/status/latency": Usage(query={"hours": 168}, bad_query={"hours": 169}, field="hours"),
}
UNKNOWN: Final = {"suppression": "nobody@example.org", "visual-starters": "nothing"}
NEVER_THERE: Final = frozenset({"GET /v1/inbound/{id}"})  # no mail comes in yet


class Filled:
    """An account with something of everything, and keys to it."""

    def __init__(self, api: ApiWorld) -> None:
        self.api = api
        self.ids: dict[str, str] = {"visual-starters": "newsletter"}  # by the segment before
        self.made: dict[Scope, ApiKey] = {}
        self.keys: dict[Scope, str] = {}

    async def fill(self) -> None:
        api = self.api
        domain = await api.domains.add(ACCOUNT, "example.test")
        now = api.clock.now()
        check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=now, verified_at=now, failing_since=None, failures=0)
        await api.store.record_domain_check(domain, check)
        api.directory.invalidate()
        for scope in Scope:
            self.made[scope], self.keys[scope] = await api.keys.create(System(ACCOUNT), scope.value, scope=scope)
        tester = (await api.keys.create(System(ACCOUNT), "tester", mode=KeyMode.TEST))[1]
        await self._make("webhooks", {"url": "https://hooks.example.com/in", "events": ["email.delivered", "email.bounced"]})
        domains = (await api.get("/v1/domains", self.keys[Scope.FULL_ACCESS])).json["data"]
        self.ids["domains"] = domains[0]["id"]
        await self._call("POST", f"/v1/domains/{self.ids['domains']}/bimi", {"logo_url": "https://example.test/logo.svg"})
        await self._make(
            "emails", {**MAIL, "scheduled_at": "in 2 hours", "attachments": [ATTACHMENT], "tags": [{"name": "kind", "value": "x"}]}
        )
        self.ids["test-emails"] = (await api.send("POST", "/v1/emails", tester, MAIL)).json["id"].replace("em_", "te_")
        await self._happen((await self._call("POST", "/v1/emails", MAIL))["id"])
        await self._make("api-keys", {"name": "spare"})
        await self._make("templates", {"name": "Welcome", "subject": "Hello {{name}}", "html": "<p>{{name}}</p>"})
        await self._call("PUT", f"/v1/templates/{self.ids['templates']}", {"html": "<b>{{name}}</b>"})
        versions = await api.get(f"/v1/templates/{self.ids['templates']}/versions", self.keys[Scope.FULL_ACCESS])
        self.ids["publish"] = versions.json["data"][-1]["id"]
        await self._call("POST", "/v1/suppression", {"email": "gone@example.org"})
        self.ids["suppression"] = quote("gone@example.org", safe="")
        await self._make("unsubscribes", {"email": "out@example.org", "list_id": "monthly", "reason": "asked"})
        self.ids["scheduled-reports"] = (
            await self._call("POST", "/v1/analytics/scheduled-reports", {"frequency": "daily", "recipients": ["boss@example.org"]})
        )["id"]
        await self._call("PUT", "/v1/inbound/config", {"url": "https://example.com/in"})
        await self._call("POST", f"/v1/webhooks/{self.ids['webhooks']}/test")
        told = await api.get("/v1/webhooks/deliveries", self.keys[Scope.FULL_ACCESS])
        self.ids["deliveries"] = told.json["data"][0]["id"]
        await self._finish()
        await api.request_log.flush()

    async def _call(self, method: str, path: str, body: object = None) -> Json:
        answer = await self.api.send(method, path, self.keys[Scope.FULL_ACCESS], body)
        assert answer.status == 200, answer.body
        made: Json = answer.json
        return made

    async def _make(self, kind: str, body: Json) -> None:
        self.ids[kind] = (await self._call("POST", f"/v1/{kind}", body))["id"]

    async def _happen(self, email_id: str) -> None:
        """A message is delivered, opened and clicked."""
        number = parse_id(email_id, MESSAGE_PREFIX)
        assert number is not None
        told = await self.api.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, message_id=MessageId(number)), limit=100)
        delivery_id = told.items[0].delivery_id
        assert delivery_id is not None
        for event_type in (EventType.DELIVERED, EventType.OPENED, EventType.CLICKED):
            event = NewEvent(id=EventId(self.api.ids.next()), type=event_type, metadata={"user_agent": "x"})
            await self.api.store.record_engagements([Engagement(delivery_id=delivery_id, event=event, happened_at=self.api.clock.now())])

    async def _finish(self) -> None:
        """The webhook is told all that it is owed, and answers with an error."""
        now = self.api.clock.now()
        lease = Lease(token=7, owner=OWNER)
        for claim in await self.api.store.claim_notifications(now=now, lease=lease, limit=100, busy=frozenset(), per_webhook=100):
            outcome = NotificationOutcome(
                notification_id=claim.notification.id, state=NotificationState.FAILED, due_at=None, status_code=500, response="broken"
            )
            await self.api.store.record_notification(lease, outcome, now)

    def path(self, name: str, *, is_known: bool = True) -> str:
        """The path of an operation with ids of what there is, or of what there is not."""
        before = ""
        segments = []
        for segment in name.partition(" ")[2].split("/"):
            known = self.ids.get(before, "inb_0c2w5k9mzq4xg") if segment.startswith("{") else segment
            prefix = known.partition("_")[0]
            unknown = UNKNOWN.get(before, f"{prefix}_0c2w5k9mzq4xg") if segment.startswith("{") else segment
            segments.append(known if is_known else unknown)
            before = segment
        return "/".join(segments)

    async def call(
        self, name: str, secret: str | None, usage: Usage, *, is_known: bool = True, is_good: bool = True, slash: str = ""
    ) -> Answer:
        """Calls an operation."""
        query = usage.query if is_good else usage.bad_query
        body = usage.body if is_good else usage.bad_body
        asked = "&".join(f"{key}={value}" for key, value in (query or {}).items())
        target = self.path(name, is_known=is_known) + slash + (f"?{asked}" if asked else "")
        headers = [("content-type", "application/json")] + ([("authorization", f"Bearer {secret}")] if secret else [])
        data = b"" if body is None else json.dumps(body).encode()
        return await self.api.request(name.partition(" ")[0], target, headers, data)


@pytest.fixture(scope="module")
def before() -> Iterator[tuple[Path, Filled]]:
    """The account as it is before each test, and its data directory."""

    async def fill(data_dir: Path) -> Filled:
        async with ApiWorld.open(data_dir) as api:
            made = Filled(api)
            await made.fill()
            return made

    with tempfile.TemporaryDirectory(dir=quick_folder()) as folder:
        yield Path(folder), asyncio.run(fill(Path(folder)))


@pytest.fixture
async def filled(before: tuple[Path, Filled], tmp_path: Path) -> AsyncIterator[Filled]:
    folder, made = before
    async with ApiWorld.open_copy(folder, tmp_path) as api:
        filled = Filled(api)
        filled.ids, filled.made, filled.keys = copy.deepcopy((made.ids, made.made, made.keys))
        yield filled


def assert_refused(answer: Answer, status: int, code: str, field: str | None = None) -> None:
    """An error in the contract's shape: the nested object, and the flat keys of older clients beside it."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    body = answer.json
    assert set(body) == {"error", "statusCode", "code", "message", "details"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert body["error"]["code"] == body["code"] == code
    assert body["error"]["message"] == body["message"] != ""
    assert body["error"]["details"] == body["details"]
    assert body["statusCode"] == status
    if field is not None:
        assert body["details"]["field"] == field


def declared(api: ApiWorld, name: str) -> Operation:
    method, _, path = name.partition(" ")
    return next(each for each in api.operations if (each.method, each.path) == (method, path))


@cases("name", sorted(name for name in BY_NAME if name.startswith("GET ")))  # reading changes nothing that others look at
async def test_reading_refuses_and_answers_as_the_contract_says(filled: Filled, name: str) -> None:
    await check_operation(filled, name)


@pytest.mark.parametrize("name", sorted(name for name in BY_NAME if not name.startswith("GET ")))
async def test_an_operation_refuses_and_answers_as_the_contract_says(filled: Filled, name: str) -> None:
    await check_operation(filled, name)


async def check_operation(filled: Filled, name: str) -> None:
    operation, usage = declared(filled.api, name), USAGES.get(name, Usage())
    owner = filled.keys[Scope.FULL_ACCESS]
    is_there = name not in NEVER_THERE
    if operation.scope is not None:
        assert_refused(await filled.call(name, None, usage, slash="/"), 401, "unauthorized")
        assert_refused(await filled.call(name, owner[:-1], usage), 401, "unauthorized")
        for scope in Scope:
            if not filled.made[scope].may(operation.scope):
                refused = await filled.call(name, filled.keys[scope], usage)
                assert_refused(refused, 403, "insufficient_scope")
                assert operation.scope.value in refused.json["message"]
    if "{" in name:
        assert_refused(await filled.call(name, owner, usage, is_known=False, slash="/"), 404, "not_found")
    if operation.body is not None or operation.query is not None:
        assert usage.field, "say what its answer to a fault must name"
        assert_refused(await filled.call(name, owner, usage, is_good=False, slash="/"), 422, "validation_error", usage.field)
    answer = await filled.call(name, owner, usage)
    assert answer.status == (200 if is_there else 404), answer.body
    for schema in BY_NAME[name]["responses"].values() if is_there else ():
        jsonschema_rs.Draft202012Validator(schema).validate(answer.json)
    if operation.method == "GET":
        assert (await filled.call(name, owner, usage, slash="/")).status == answer.status


UNBUILT: Final = (
    *("GET /v1/topics", "POST /v1/topics/top_1/subscribe", "GET /v1/contacts", "PATCH /v1/contacts/by-email", "DELETE /v1/contacts/bulk"),
    *("POST /v1/audiences", "PUT /v1/audiences/aud_1", "GET /v1/segments", "DELETE /v1/segments/seg_1/contacts/ct_1", "POST /v1/campaigns"),
    *("POST /v1/campaigns/cp_1/send", "GET /v1/automations/auto_1/runs", "POST /v1/automations", "POST /v1/events", "GET /v1/events/evt_1"),
    *("GET /v1/ips", "DELETE /v1/ips/dip_1/assign/asgn_1", "GET /v1/deliverability/report", "POST /v1/deliverability/blocklist/check"),
    *("GET /v1/exports", "POST /v1/exports", "GET /v1/billing/plan", "POST /v1/billing/checkout"),
    *("GET /v1/notification-preferences", "GET /v1/postmaster/metrics", "GET /v1/admin/dlq"),
)


@cases("name", UNBUILT)
async def test_what_is_not_built_is_not_found_in_the_shape_of_the_contract(api: ApiWorld, name: str) -> None:
    _, secret = await api.keys.create(System(ACCOUNT), "owner")
    method, _, path = name.partition(" ")
    for form in (path, path + "/"):
        assert_refused(await api.send(method, form, secret, {} if method == "POST" else None), 404, "not_found")
