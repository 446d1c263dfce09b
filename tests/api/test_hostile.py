"""Every operation with what no honest client sends: each time an answer below 500 with a sentence, soon, and no error in the log."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import structlog

from sendryd.api.framework.operation import Operation
from sendryd.model.actor import System
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import AccountId
from sendryd.store.base import DomainCheck
from sendryd.testing.api import ApiWorld
from sendryd.testing.http import Answer

MAX_CPU: Final = 0.25  # seconds of this process: nothing else is answered meanwhile
MAX_SENTENCE: Final = 500  # characters
DEEP: Final = 10_000
Headers = list[tuple[str, str]]
MAIL: Final = {"from": "A <a@example.test>", "to": ["b@example.org"], "subject": "s"}
TEMPLATE: Final = {
    "name": "n",
    "subject": "s",
    "html": "<p>{{a}}</p>",
    "text": "t",
    "engine": "html",
    "variables": {"a": {"type": "string"}},
}
HOOK: Final = {"url": "https://hooks.example.com/in", "events": ["email.delivered"], "active": True}
BODIES: Final[dict[str, Any]] = {
    "POST /v1/emails": {
        **MAIL,
        "cc": "c@example.org",
        "bcc": ["d@example.org"],
        "reply_to": "e@example.org",
        "html": "<p>h</p>",
        "text": "t",
        "headers": {"X-A": "b"},
        "tags": [{"name": "a", "value": "b"}],
        "attachments": [{"filename": "a.txt", "content": "YQ==", "content_type": "text/plain", "content_id": "a"}],
        "scheduled_at": "in 2 hours",
        "tracking": False,
    },
    "POST /v1/emails/batch": {"emails": [{**MAIL, "text": "t", "variables": {"a": "b"}}], "batch_validation": "strict"},
    "POST /v1/emails/marketing": {
        **MAIL,
        "html": "<p>h</p>",
        "text": "t",
        "unsubscribe_url": "https://example.test/u",
        "list_id": "l",
        "headers": {"X-A": "b"},
        "variables": {"a": {"b": ["c"]}},
    },
    "PATCH /v1/emails/{id}": {"subject": "s", "html": "<p>h</p>", "text": "t", "scheduled_at": "in 2 hours"},
    "POST /v1/webhooks": HOOK,
    "PUT /v1/webhooks/{id}": HOOK,
    "PATCH /v1/webhooks/{id}": HOOK,
    "POST /v1/webhooks/{id}/replay": {"from": "2026-01-01", "to": "2026-12-31T00:00:00Z", "failed_only": True},
    "POST /v1/templates": TEMPLATE,
    "PUT /v1/templates/{id}": TEMPLATE,
    "PATCH /v1/templates/{id}": TEMPLATE,
    "POST /v1/templates/{id}/render": {"variables": {"a": "b"}},
    "POST /v1/templates/render": {"html": "<p>{{a}}</p>", "subject": "s", "text": "t", "engine": "html", "variables": {"a": {"b": ["c"]}}},
    "POST /v1/templates/compile-blocks": {"design": {"blocks": [{"type": "text", "content": "t"}]}, "variables": {"a": "b"}},
    "POST /v1/suppression": {"email": "a@example.org", "reason": "manual"},
    "POST /v1/suppression/import": {"suppressions": [{"email": "a@example.org", "reason": "manual"}], "emails": ["b@example.org"]},
    "POST /v1/unsubscribes": {"email": "a@example.org", "list_id": "l", "reason": "r"},
    "POST /v1/unsubscribes/batch": {"emails": ["a@example.org"], "list_id": "l", "reason": "r"},
    "POST /v1/analytics/benchmarks/opt-in": {"opt_in": True},
    "POST /v1/analytics/scheduled-reports": {"frequency": "daily", "recipients": ["a@example.org"]},
    "POST /v1/domains": {"name": "other.example.test"},
    "PATCH /v1/domains/{id}": {
        "tls_policy": "enforced",
        "custom_return_path": "bounce",
        "tracking": {"opens": True, "clicks": False},
        "track_opens": True,
    },
    "PATCH /v1/domains/{id}/region": {"region": "eu"},
    "POST /v1/domains/{id}/bimi": {"logo_url": "https://example.test/l.svg", "vmc_url": "https://example.test/v.pem", "selector": "s"},
    "POST /v1/api-keys": {"name": "n", "scope": "read_only", "mode": "test", "expires_at": "2030-01-01"},
    "PATCH /v1/organizations/me": {"name": "n"},
    "PATCH /v1/organizations/me/branding": {
        "brand_color": "#ffffff",
        "brand_logo": "https://example.test/l.png",
        "unsubscribe_heading": "h",
        "unsubscribe_message": "m",
        "unsubscribe_redirect_url": "https://example.test/",
        "footer_copy": "f",
    },
    "PATCH /v1/organizations/me/region": {"default_region": "eu", "data_residency": "eu"},
    "POST /v1/team/invite": {"email": "a@example.org", "role": "member"},
    "PUT /v1/team/{id}/role": {"role": "admin"},
    "PATCH /v1/team/{id}/role": {"role": "admin"},
    "PUT /v1/inbound/config": {"url": "https://hooks.example.com/in", "secret": "s"},
}
NOT_BODIES: Final = (
    *(b"[]", b"1", b"null", b'"x"', b"true", b'{"a":', b"\xff\xfe{}", b"\0", b"NaN", b"9" * 400, b" ", b"{}{}", b"{'a': 1}"),
    b"[" * DEEP + b"]" * DEEP,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"html":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"\\ud800":',
)
VALUES: Final[tuple[Any, ...]] = (
    "\0",
    "x\0y",
    "\ud800",
    "x\udfffy",
    10**399,
    -(10**399),
    0.5,
    True,
    None,
    [],
    {},
    "",
    [[]],
    [None],
    "x" * 20_000,
    "9" * 400,
)
NESTED: Final = b"[" * 500 + b"]" * 500
# The path ids: of no form, of no UTF-8, with slashes, and of the right form with a number that no database holds.
IDS: Final = (
    *("%00", "%ff", "%ed%a0%80", "a%2fb", "%2e%2e", "%2e%2e%2f%2e%2e", "%", "%zz", "x" * 10_000, "%00" * 100, "9" * 400),
    *("em_zzzzzzzzzzzzz", "te_zzzzzzzzzzzzz", "wh_zzzzzzzzzzzzz", "tpl_zzzzzzzzzzzzz", "dom_zzzzzzzzzzzzz", "key_zzzzzzzzzzzzz"),
    *("%F0%9F%98%80", "a@" + "b." * 3000 + "c", "'%20OR%201=1", "em_" + "0" * 400),
)
QUERY_VALUES: Final = (
    *("%00", "%ff", "%ed%a0%80", "9" * 400, "-1", "1e5", "%", "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "%25_"),
    *("em_zzzzzzzzzzzzz", "%27", "x" * 7000, "x" * 9000),
)
# What a header is, and whether it is refused.
AUTHORIZATIONS: Final = (
    ("Bearer  {}  ", 200),
    ("bearer {}", 200),
    ("BEARER {}", 200),
    ("Bearer\t{}", 200),
    ("\tBearer \t {}\t", 200),
    ("Bearer", 401),
    ("Bearer ", 401),
    ("{}", 401),
    ("Basic {}", 401),
    ("Bearer {} {}", 401),
    ("Bearer {},{}", 401),
    ("Bearer {}\xe9", 401),
    ("Bearer \xa0{}", 401),
    ("\xff", 401),
    ("Bearer " + "x" * 10_000, 401),
)


class World:
    """The API with a key that may do everything, and something of each kind to call upon."""

    def __init__(self, api: ApiWorld, secret: str) -> None:
        self.api = api
        self.secret = secret
        self.made: dict[str, str] = {}
        self.faults: list[object] = []

    @property
    def headers(self) -> Headers:
        return [("authorization", f"Bearer {self.secret}"), ("content-type", "application/json")]

    async def fill(self) -> None:
        now = self.api.clock.now()
        domain = await self.api.domains.add(AccountId(1), "example.test")
        check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=now, verified_at=now, failing_since=None, failures=0)
        await self.api.store.record_domain_check(domain, check)
        self.api.directory.invalidate()
        for kind in ("webhooks", "templates", "emails"):
            answer = await self.api.send("POST", f"/v1/{kind}", self.secret, BODIES[f"POST /v1/{kind}"])
            assert answer.status == 200, answer.body
            self.made[kind] = answer.json["id"]
        self.made["domains"] = (await self.api.get("/v1/domains", self.secret)).json["data"][0]["id"]

    def path(self, operation: Operation, bad: str | None = None) -> str:
        """The path of an operation on what there is, or with another id."""
        before, segments = "", []
        for segment in operation.path.split("/"):
            is_id = segment.startswith("{")
            segments.append((self.made.get(before, "x") if bad is None else bad) if is_id else segment)
            before = segment
        return "/".join(segments) + ("?timeout=0" if before == "wait" else "")

    async def call(
        self, operation: Operation, path: str, body: bytes = b"", headers: Headers | None = None, *, is_refused: bool = False
    ) -> Answer:
        """One call, held to what every answer keeps."""
        started = time.process_time()
        answer = await self.api.request(operation.method, path, self.headers if headers is None else headers, body)
        if time.process_time() - started > MAX_CPU:  # once more: the first may have started a process or filled a cache
            started = time.process_time()
            answer = await self.api.request(operation.method, path, self.headers if headers is None else headers, body)
        seconds = time.process_time() - started
        what = (operation.method, path[:80], body[:80], answer.status)
        if answer.status >= 500 or seconds > MAX_CPU or (is_refused and answer.status < 400):
            self.faults.append((*what, round(seconds, 2), answer.body[:200]))
        elif answer.status >= 400:
            sentence = answer.json["error"]["message"]
            if not sentence or len(sentence) > MAX_SENTENCE or answer.json["statusCode"] != answer.status:
                self.faults.append((*what, sentence))
        return answer


@pytest.fixture
async def world(api: ApiWorld) -> AsyncIterator[World]:
    world = World(api, (await api.keys.create(System(AccountId(1)), "all"))[1])
    await world.fill()
    with structlog.testing.capture_logs() as lines:
        yield world
        await api.request_log.flush()
    assert world.faults == []
    assert [line for line in lines if line["log_level"] in {"error", "critical"}] == []


def with_body(world: World) -> Iterator[tuple[Operation, Any]]:
    for each in world.api.operations:
        if each.body is not None:
            yield each, BODIES[f"{each.method} {each.path}"]


def mutations(value: Any) -> Iterator[Any]:
    """The data with each of its values, one at a time, as something else."""
    yield from VALUES
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: changed} for changed in mutations(inner))
        yield {**value, "\ud800": 1, "\0": 2}
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from ([*value[:index], changed, *value[index + 1 :]] for changed in mutations(inner))
        yield value * 2000


async def test_bodies_that_are_none(world: World) -> None:
    for operation, _ in with_body(world):
        for body in NOT_BODIES:
            await world.call(operation, world.path(operation), body, is_refused=True)


async def test_bodies_with_one_value_of_another_kind(world: World) -> None:
    for operation, body in with_body(world):
        for changed in mutations(body):
            if isinstance(changed, dict):
                await world.call(operation, world.path(operation), json.dumps(changed).encode())


async def test_empty_bodies_names_given_twice_and_nests(world: World) -> None:
    for operation in world.api.operations:
        await world.call(operation, world.path(operation), b"", [*world.headers, ("content-length", "0")])
        await world.call(operation, world.path(operation), b"", world.headers[:1])
    for operation, body in with_body(world):
        text = json.dumps(body).encode()
        await world.call(operation, world.path(operation), text[:-1] + b"," + text[1:])
        for name in body:
            await world.call(operation, world.path(operation), text[:-1] + b"," + json.dumps(name).encode() + b":" + NESTED + b"}")


async def test_path_ids(world: World) -> None:
    for operation in world.api.operations:
        if "{" in operation.path:
            body = json.dumps(BODIES.get(f"{operation.method} {operation.path}", {})).encode()
            for bad in IDS:
                await world.call(operation, world.path(operation, bad), body, is_refused=True)


async def test_queries(world: World) -> None:
    for operation in world.api.operations:
        path = world.path(operation)
        mark = "&" if "?" in path else "?"
        await world.call(operation, f"{path}{mark}{'a=1&' * 49}%ff=%00")
        for name in operation.query.model_fields if operation.query else ():
            for value in QUERY_VALUES:
                await world.call(operation, f"{path}{mark}{name}={value}")
            answer = await world.call(operation, f"{path.partition('?')[0]}?{name}=1&{name}=2", is_refused=True)
            assert name in answer.json["message"], (operation.path, name)


async def test_forms_of_the_authorization_field(world: World) -> None:
    (operation,) = (each for each in world.api.operations if each.path == "/v1/domains" and each.method == "GET")
    for form, status in AUTHORIZATIONS:
        field = ("authorization", form.replace("{}", world.secret))
        assert (form, (await world.call(operation, operation.path, b"", [field])).status) == (form, status)
        assert (form, (await world.call(operation, operation.path, b"", [field, field])).status) == (form, 401)


async def test_other_header_fields(world: World) -> None:
    send = next(each for each in world.api.operations if (each.method, each.path) == ("POST", "/v1/emails"))
    body = json.dumps({**MAIL, "text": "t"}).encode()
    odd = ["", " ", "\t", "\xe9", "a\tb", "x" * 257, "\x7f", "a\x01"]
    for value in odd:
        answer = await world.call(send, send.path, body, [*world.headers, ("idempotency-key", value)], is_refused=True)
        assert answer.json["details"]["field"] == "Idempotency-Key"
    twice = [("idempotency-key", "a"), ("idempotency-key", "a")]
    await world.call(send, send.path, body, [*world.headers, *twice], is_refused=True)
    await world.call(send, send.path, body, [*world.headers, *world.headers], is_refused=True)
    for value in ("", "text/plain", "Application/JSON ; Charset=utf-8", "\xff", "application/json;charset=utf-16", "x" * 9000):
        for headers in ([("content-type", value)], [("content-type", value)] * 2):
            await world.call(send, send.path, body, [world.headers[0], *headers])
    for name in ("retry-after", "content-length", "accept", "user-agent", "range", "expect", "content-encoding", "if-none-match"):
        for value in ("", "\xff", "-1", "9" * 400, " 1 ", "\xb2"):
            await world.call(send, send.path, body, [*world.headers, (name, value), (name, value)])
