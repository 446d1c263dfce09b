"""Webhooks by the real program: what endpoints are told, and what becomes of it when they are down, slow, hostile or none of their own."""

import asyncio
import gzip
import hashlib
import hmac
import json
import re
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import standardwebhooks
from sendry import Sendry
from sendry.resources.webhooks_util import verify_signature

from sendryd.runtime.clock import SystemClock
from sendryd.runtime.owncert import write_self_signed
from sendryd.runtime.tls import server_context
from sendryd.testing.clients import RestClient
from sendryd.testing.http import Answer
from sendryd.testing.mailhost import Script
from sendryd.testing.process import RelayFailed
from sendryd.testing.webhookhost import Fate, Reaction, ReceivedRequest, WebhookHost
from sendryd.testing.webhookhost import Script as Behaviour
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
# One for all requests, each with a connection of its own: a client that is made anew for each reads the certificates of the whole web first.
WEB = httpx.Client(verify=False, timeout=30.0, limits=httpx.Limits(max_keepalive_connections=0))
SCHEDULE = {"SENDRYD_WEBHOOK_RETRY_SCHEDULE": "200ms,300ms,500ms,1s,1s,1s,1s,1s"}
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Endpoints:
    """Web servers beside a world, and what its program knows of them as webhooks."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hosts: list[WebhookHost] = []
        self.servers: list[asyncio.Server] = []
        self.libraries: dict[str, Sendry] = {}

    def open(self, behaviour: Behaviour = lambda _request: Reaction(), *, port: int = 0, tls: ssl.SSLContext | None = None) -> WebhookHost:
        host = WebhookHost(behaviour, port=port, tls=tls)
        self.world.thread.run(host.start())
        self.hosts.append(host)
        return host

    def open_blurting(self, octets: bytes) -> int:
        """A server that says these octets to everybody and asks nothing; its port."""

        async def blurt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(octets)
            await reader.read(1)
            writer.close()

        async def start() -> asyncio.Server:
            return await asyncio.start_server(blurt, "127.0.0.1", 0)

        server = self.world.thread.run(start())
        self.servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def close(self) -> None:
        for host in self.hosts:
            self.world.thread.run(host.aclose())
        for server in self.servers:
            self.world.thread.loop.call_soon_threadsafe(server.close)

    def api(self, key: str | None = None) -> RestClient:
        return RestClient(self.world.relay, key or self.world.live_key)

    def sdk(self) -> Sendry:
        """The hosted service's client library, one for each address of the program: a new one costs more than its request."""
        place = self.world.relay.ready["http"]
        if place not in self.libraries:
            self.libraries[place] = Sendry(self.world.live_key, base_url=place, retries=0)
        return self.libraries[place]

    def hook(self, url: str, *events: str) -> dict[str, Any]:
        """A new webhook, with its secret."""
        return dict(self.sdk().webhooks.create({"url": url, "events": list(events or ("email.delivered",))}))

    def told(self, webhook: dict[str, Any]) -> list[dict[str, Any]]:
        """What it was told or is owed, oldest first."""
        return list(reversed(self.api().get(f"/v1/webhooks/deliveries?webhook_id={webhook['id']}&limit=100")["data"]))

    def wait_told(self, webhook: dict[str, Any], is_done: Callable[[dict[str, Any]], bool], timeout: float = 60.0) -> dict[str, Any]:
        """Its only fact, once it is as wanted."""

        def done() -> bool:
            rows = self.told(webhook)
            return len(rows) == 1 and is_done(rows[0])

        try:
            self.world.wait_until(done, timeout)
        except RelayFailed as error:
            raise AssertionError(self.told(webhook)) from error
        return self.told(webhook)[0]

    def wait_received(self, host: WebhookHost, count: int = 1) -> list[ReceivedRequest]:
        self.world.wait_until(lambda: len(host.received) >= count)
        return list(host.received)

    def post(self, path: str, body: object = None, key: str | None = None) -> Answer:
        return self.api(key).request("POST", path, body)

    def send(self, to: str = "user@example.org", key: str | None = None, **more: Any) -> str:
        """Sends a message by REST; gives its id."""
        body = {"from": AUTHOR, "to": to, "subject": "told", "html": '<a href="https://shop.example.org/">x</a>', **more}
        return str(self.api(key).post("/v1/emails", body)["id"])

    def try_out(self, webhook: dict[str, Any]) -> None:
        """Has a webhook told an invented fact."""
        self.api().post(f"/v1/webhooks/{webhook['id']}/test")


@pytest.fixture(scope="module")
def quick_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Retries within a second."""
    with World(tmp_path_factory.mktemp("hooks"), env=SCHEDULE) as made:
        yield made


@pytest.fixture
def endpoints(quick_world: World) -> Iterator[Endpoints]:
    """Webhooks and servers are gone after the test."""
    made = Endpoints(quick_world)
    yield made
    for webhook in made.sdk().webhooks.list({"limit": 100})["data"]:
        made.sdk().webhooks.remove(webhook["id"])
    made.close()
    quick_world.mailhost.script = Script()


def judge(webhook: dict[str, Any], request: ReceivedRequest) -> dict[str, Any]:
    """The payload, if all three kinds of receivers would believe that it is ours; none believes another body or another secret."""
    secret, body, headers = webhook["secret"], request.body, dict(request.headers)
    other = "whsec_" + "A" * 44

    def judge_a(key: str, octets: bytes) -> bool:
        digest = hmac.new(key.encode(), octets, hashlib.sha256).hexdigest()
        return hmac.compare_digest(headers["x-sendry-signature"].removeprefix("sha256="), digest)

    def judge_standard(key: str, octets: bytes) -> bool:
        try:
            standardwebhooks.Webhook(key).verify(octets, headers)
        except standardwebhooks.WebhookVerificationError:
            return False
        return True

    def judge_sdk(key: str, octets: bytes) -> bool:
        return verify_signature(octets.decode(), headers["sendry-signature"], key)

    for judged in (judge_a, judge_standard, judge_sdk):
        assert judged(secret, body)
        assert not judged(other, body)
        assert not judged(secret, body + b" ")
    assert request.method == "POST"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("sendryd/")
    payload: dict[str, Any] = json.loads(body)
    assert payload["id"] == headers["webhook-id"]
    assert payload["event"] == payload["type"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", payload["created_at"])
    return payload


MAIL_EVENTS = ("email.delivered", "email.bounced", "email.opened", "email.clicked", "email.complained")


def test_what_mail_tells(endpoints: Endpoints) -> None:
    world, host = endpoints.world, endpoints.open()
    webhook = endpoints.hook(host.url, *MAIL_EVENTS)
    world.mailhost.script = Script(rcpt=lambda address: "550 5.1.1 No such user" if address.startswith("gone") else None)
    good = endpoints.send("reader@example.org", tracking=True)
    content = world.received(good).content
    (delivered,) = [judge(webhook, request) for request in endpoints.wait_received(host)]
    bad = endpoints.send("gone@example.org")
    bounced = judge(webhook, endpoints.wait_received(host, 2)[1])

    decoded = world.decoded(content).decode()
    (pixel,) = re.findall(r'src="(http://[^"]+/o/[^"]+)"', decoded)
    (link,) = re.findall(r'href="(http://[^"]+/c/[^"]+)"', decoded)
    assert WEB.get(pixel, headers={"User-Agent": BROWSER}).status_code == 200
    opened = judge(webhook, endpoints.wait_received(host, 3)[2])
    assert WEB.get(link, headers={"User-Agent": BROWSER}).status_code == 302
    clicked = judge(webhook, endpoints.wait_received(host, 4)[3])

    for payload, word, message_id, address in (
        (delivered, "delivered", good, "reader@example.org"),
        (bounced, "bounced", bad, "gone@example.org"),
        (opened, "opened", good, "reader@example.org"),
        (clicked, "clicked", good, "reader@example.org"),
    ):
        assert payload["type"] == f"email.{word}"
        assert payload["test"] is False
        assert (payload["data"]["email_id"], payload["data"]["to"]) == (message_id, address)
        assert payload["data"]["timestamp"] == payload["created_at"]
        (event,) = world.relay.get(f"/v1/emails/{message_id}/events?type={word}", world.live_key)[1]["data"]
        assert event["id"] == payload["id"]  # the fact's, by which receivers know repeats
    assert set(delivered["data"]) == {"email_id", "to", "timestamp"}
    assert (bounced["data"]["bounce_type"], bounced["data"]["bounce_subtype"]) == ("hard", "invalid_recipient")
    assert bounced["data"]["diagnostic_code"] == "550 5.1.1 No such user"
    assert clicked["data"]["link"] == "https://shop.example.org/"
    world.relay.run("suppressions", "remove", "gone@example.org")


def test_what_a_test_key_s_mail_tells_is_marked(endpoints: Endpoints) -> None:
    host = endpoints.open()
    webhook = endpoints.hook(host.url, *MAIL_EVENTS)
    message_id = endpoints.send("clicked@sendryd.test", key=endpoints.world.test_key)
    endpoints.wait_received(host, 3)
    complaint = endpoints.send("complained@sendryd.test", key=endpoints.world.test_key)
    endpoints.wait_received(host, 5)
    bounce = endpoints.send("bounced@sendryd.test", key=endpoints.world.test_key)
    payloads = [judge(webhook, request) for request in endpoints.wait_received(host, 6)]
    assert all(payload["test"] is True for payload in payloads)
    found = {(payload["data"]["email_id"], payload["type"]): payload["data"] for payload in payloads}
    words = [(message_id, f"email.{word}") for word in ("delivered", "opened", "clicked")]
    words += [(complaint, "email.delivered"), (complaint, "email.complained"), (bounce, "email.bounced")]
    assert set(found) == set(words)
    assert found[complaint, "email.complained"]["complaint_feedback_type"] == "abuse"
    assert found[bounce, "email.bounced"]["bounce_type"] == "hard"
    assert found[message_id, "email.clicked"]["link"].startswith("https://")


def test_what_domains_tell(endpoints: Endpoints) -> None:
    host, other = endpoints.open(), endpoints.open()
    webhook = endpoints.hook(host.url, "domain.created", "domain.updated", "domain.deleted")
    endpoints.hook(other.url, "email.delivered")
    domain = endpoints.sdk().domains.create({"name": "told.test"})
    endpoints.wait_received(host, 1)
    endpoints.world.relay.run("domains", "set", "told.test", "track_opens=true")
    endpoints.wait_received(host, 2)
    endpoints.sdk().domains.remove(domain["id"])
    payloads = [judge(webhook, request) for request in endpoints.wait_received(host, 3)]
    assert [payload["type"] for payload in payloads] == ["domain.created", "domain.updated", "domain.deleted"]
    assert {payload["data"]["domain_id"] for payload in payloads} == {domain["id"]}
    assert {payload["data"]["name"] for payload in payloads} == {"told.test"}
    assert len({payload["id"] for payload in payloads}) == 3
    assert not other.received  # it asked for something else


def test_an_endpoint_that_is_down_is_told_once_it_is_up(endpoints: Endpoints) -> None:
    port = endpoints.open_blurting(b"")
    endpoints.servers[0].close()
    webhook = endpoints.hook(f"http://127.0.0.1:{port}/hook", "email.delivered")
    endpoints.send()
    row = endpoints.wait_told(webhook, lambda row: row["attempts"] >= 3)
    assert (row["status"], row["status_code"], row["delivered_at"]) == ("pending", None, None)
    assert row["response"] == "No connection: connection refused."
    assert row["next_attempt_at"]
    host = endpoints.open(port=port)
    request = endpoints.wait_received(host)[0]
    row = endpoints.wait_told(webhook, lambda row: row["status"] == "delivered")
    assert row["attempts"] >= 4
    assert (row["status_code"], row["response"], row["next_attempt_at"]) == (200, "ok", None)
    assert row["payload"] == judge(webhook, request)
    assert len(host.received) == 1


def test_every_attempt_has_the_same_identity_and_a_time_of_its_own(endpoints: Endpoints) -> None:
    statuses = iter((500, 503, 404, 200))
    host = endpoints.open(lambda _request: Reaction(status=next(statuses), body=b"not now"))
    webhook = endpoints.hook(host.url)
    endpoints.try_out(webhook)
    requests = endpoints.wait_received(host, 4)
    assert len({request.headers["webhook-id"] for request in requests}) == 1
    assert len({request.body for request in requests}) == 1
    for request in requests:
        judge(webhook, request)
    row = endpoints.wait_told(webhook, lambda row: row["status"] == "delivered")
    assert (row["attempts"], row["status_code"]) == (4, 200)


def test_410_switches_a_webhook_off_until_it_is_switched_on(endpoints: Endpoints) -> None:
    host = endpoints.open(lambda _request: Reaction(status=410, body=b"gone"))
    webhook = endpoints.hook(host.url)
    endpoints.try_out(webhook)
    endpoints.world.wait_until(lambda: not endpoints.sdk().webhooks.get(webhook["id"])["active"])
    (row,) = endpoints.told(webhook)
    assert (row["status"], row["status_code"], row["attempts"]) == ("failed", 410, 1)
    assert endpoints.post(f"/v1/webhooks/{webhook['id']}/test").status == 409
    endpoints.world.relay.wait_for_status(endpoints.send(), {"delivered"}, key=endpoints.world.live_key)
    assert len(endpoints.told(webhook)) == 1
    host.script = lambda _request: Reaction()
    assert endpoints.sdk().webhooks.update(webhook["id"], {"active": True})["active"]
    endpoints.send()
    judge(webhook, endpoints.wait_received(host, 2)[1])


def test_a_replay_and_a_test_event(endpoints: Endpoints) -> None:
    host = endpoints.open(lambda request: Reaction(status=410 if request.number == 1 else 200, headers={"X": "y"}, body=b"r\xc3\xa9ponse"))
    webhook = endpoints.hook(host.url, "domain.updated", "email.delivered")
    start = SystemClock().now() - timedelta(seconds=1)
    message_id = endpoints.send()
    endpoints.world.wait_until(lambda: not endpoints.sdk().webhooks.get(webhook["id"])["active"])
    (row,) = endpoints.told(webhook)
    assert (row["webhook_id"], row["event"], row["response"]) == (webhook["id"], "email.delivered", "r\u00e9ponse")
    assert row["payload"]["data"]["email_id"] == message_id
    assert endpoints.post(f"/v1/webhooks/deliveries/{row['id']}/replay").status == 409  # it is switched off
    endpoints.sdk().webhooks.update(webhook["id"], {"active": True})

    replayed = endpoints.post(f"/v1/webhooks/deliveries/{row['id']}/replay").json
    assert replayed["queued"] is True
    assert replayed["id"] != row["id"]
    first, second = endpoints.wait_received(host, 2)
    assert second.body == first.body
    assert second.headers["webhook-id"] == first.headers["webhook-id"]

    span = {"from": start.isoformat(), "to": (SystemClock().now() + timedelta(seconds=1)).isoformat()}
    assert endpoints.post(f"/v1/webhooks/{webhook['id']}/replay", span).json == {"queued": 1}
    third = endpoints.wait_received(host, 3)[2]
    assert third.headers["webhook-id"] == first.headers["webhook-id"]
    assert endpoints.post(f"/v1/webhooks/{webhook['id']}/replay", {**span, "failed_only": False}).json == {"queued": 1}
    endpoints.wait_received(host, 4)

    endpoints.try_out(webhook)
    tried = judge(webhook, endpoints.wait_received(host, 5)[4])
    assert (tried["type"], tried["data"]["test"], tried["data"]["webhook_id"]) == ("email.delivered", True, webhook["id"])
    assert tried["id"] != first.headers["webhook-id"]
    endpoints.world.wait_until(lambda: [row["status"] for row in endpoints.told(webhook)] == ["failed", *["delivered"] * 4])


def test_after_a_kill_endpoints_are_told_what_they_are_owed(tmp_path: Path) -> None:
    with World(tmp_path, env=SCHEDULE, args=("--role", "smtp,http,delivery,upkeep")) as world:  # nobody tells webhooks
        endpoints = Endpoints(world)
        try:
            host = endpoints.open()
            webhook = endpoints.hook(host.url)
            message_id = endpoints.send()
            world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
            world.relay.kill()
            assert not host.connections

            world.relay.args = ()
            host.script = lambda _request: Fate.SILENCE
            world.relay.start()
            first = endpoints.wait_received(host)[0]
            world.relay.kill()  # in the middle of the attempt
            host.script = lambda _request: Reaction()
            world.relay.start()
            second = endpoints.wait_received(host, 2)[1]
            payload = judge(webhook, second)
            assert payload["data"]["email_id"] == message_id
            assert (second.headers["webhook-id"], second.body) == (first.headers["webhook-id"], first.body)
            row = endpoints.wait_told(webhook, lambda row: row["status"] == "delivered")
            assert row["attempts"] == 1  # what was not recorded is not counted
        finally:
            endpoints.close()


# The port is put in. What the first are is seen when the webhook is made, the others lead there only when they are looked up.
GUARDED = (
    "http://127.0.0.1:PORT/",
    "http://localhost:PORT/",
    "http://a.localhost:PORT/",
    "http://127.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://\uff11\uff12\uff17.0.0.1:PORT/",
    "http://127\u30020\u30020\u30021:PORT/",
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[fe80::1%25lo]:PORT/",
    "http://10.0.0.1:PORT/",
    "http://172.16.0.1:PORT/",
    "http://192.168.0.1:PORT/",
    "http://100.64.0.1:PORT/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/",
    "http://metadata.google.internal/",
    "http://127.0.0.1.nip.io:PORT/",
    "http://example.com@127.0.0.1:PORT/",
    "http://example.com\\@127.0.0.1:PORT/",
    "http://example.com\t@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\r\nX: y/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/",
)
LEADING_INSIDE = {
    "loopback.test": {"A": "127.0.0.1"},
    "loopback6.test": {"AAAA": "::1"},
    "mapped.test": {"AAAA": "::ffff:127.0.0.1"},
    "translated.test": {"AAAA": "64:ff9b::7f00:1"},
    "private.test": {"A": "10.0.0.1"},
    "metadata.test": {"A": "169.254.169.254"},
    "this-host.test": {"A": "0.0.0.0"},
    "alias.test": {"CNAME": "loopback.test."},
    "both.test": {"AAAA": "3ffe::1", "A": "127.0.0.1"},  # one that would do does not help the other
}
NOBODY = "3ffe::1"  # passes for public, and belongs to nobody any more (RFC 3701)


def test_nothing_inside_is_reached(tmp_path: Path) -> None:
    with World(tmp_path, env={"SENDRYD_WEBHOOK_RETRY_SCHEDULE": ",".join(["500ms"] * 60)}) as world:
        endpoints = Endpoints(world)
        try:
            host = endpoints.open()
            stored = {}
            for name in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
                stored[name] = endpoints.hook(f"http://{name}:{host.port}/")
                endpoints.try_out(stored[name])
            endpoints.wait_received(host, len(stored))  # as long as that is allowed
            world.relay.kill()
            world.relay.env["SENDRYD_ALLOW_PRIVATE_NETWORKS"] = "false"
            world.relay.start()
            reached = host.connections

            for url in GUARDED:
                answer = endpoints.post("/v1/webhooks", {"url": url.replace("PORT", str(host.port)), "events": ["email.delivered"]})
                assert (answer.status, answer.field) == (422, "url"), url
            world.nameserver.ttl = 0
            for name, records in LEADING_INSIDE.items():
                for kind, value in records.items():
                    world.nameserver.set(name, kind, value)
                stored[name] = endpoints.hook(f"http://{name}:{host.port}/")
            world.nameserver.set("rebinding.test", "AAAA", NOBODY)
            stored["rebinding.test"] = endpoints.hook(f"http://rebinding.test:{host.port}/")
            for webhook in stored.values():
                endpoints.try_out(webhook)

            def last(webhook: dict[str, Any]) -> dict[str, Any]:
                return endpoints.told(webhook)[-1]

            def is_refused(webhook: dict[str, Any]) -> bool:
                return "public" in (last(webhook)["response"] or "")

            world.wait_until(lambda: last(stored["rebinding.test"])["attempts"] > 0)
            assert last(stored["rebinding.test"])["response"].startswith("No connection")
            world.nameserver.set("rebinding.test", "AAAA", "::ffff:127.0.0.1")
            for name, webhook in stored.items():
                world.wait_until(partial(is_refused, webhook))
                row = last(webhook)
                assert (row["status"], row["status_code"]) == ("pending", None), name
                assert NOBODY not in row["response"]
            assert host.connections == reached
        finally:
            endpoints.close()


GARBAGE = b"\x00\xff\x16\x03\x01 this is no protocol\r\n\r\n"
BOMB = gzip.compress(bytes(40_000_000))
CUT_OFF = "No answer within 15 seconds."
NO_HTTP = "The answer is not valid HTTP."
CLOSED = "The server closed the connection without an answer."
NO_REDIRECTS = "Redirects are not followed: give the webhook the URL that it redirects to."
MOVED = {"Location": "http://127.0.0.1/elsewhere"}  # the port is put in when it is known

# What an endpoint does, and what its webhook is shown of it: the status, and the beginning of the answer or of what failed.
SLOW: dict[str, Reaction | Fate] = {
    "accepts and says nothing": Fate.SILENCE,
    "an octet every second": Reaction(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", drip=1.0),
    "a head that does not end": Reaction(raw=b"HTTP/1.1 200 OK\r\n" + b"X-More: of it\r\n" * 90, drip=0.05),
}
ODD: dict[str, tuple[Reaction | Fate, int | None, str]] = {
    **{f"redirects by {code}": (Reaction(status=code, headers=MOVED), code, NO_REDIRECTS) for code in (301, 302, 303, 307, 308)},
    "redirects to cloud metadata": (Reaction(status=302, headers={"Location": "http://169.254.169.254/"}), 302, NO_REDIRECTS),
    "an endless body": (Reaction(is_endless=True, body=b"x" * 65536), 200, "xxx"),
    "a body an octet at a time": (Reaction(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + b"y" * 99, drip=0.1), 200, "y"),
    "a gzip bomb": (Reaction(headers={"Content-Encoding": "gzip"}, body=BOMB), 200, "\x1f"),
    "an endless error": (Reaction(status=500, is_endless=True, body=b"<script>" * 1000), 500, "<script>"),
    "a body that is cut short": (Reaction(raw=b"HTTP/1.1 201 OK\r\nContent-Length: 99\r\n\r\nfew"), 201, "few"),
    "no content": (Reaction(raw=b"HTTP/1.1 204 No Content\r\n\r\n"), 204, ""),
    "an answer of HTTP 1.0": (Reaction(raw=b"HTTP/1.0 200 OK\r\n\r\nold"), 200, "old"),
    "a header of a megabyte": (Reaction(raw=b"HTTP/1.1 200 OK\r\nX-Big: " + b"z" * 1_000_000), None, NO_HTTP),
    "ten thousand headers": (Reaction(raw=b"HTTP/1.1 200 OK\r\n" + b"X-More: z\r\n" * 10_000), None, NO_HTTP),
    "100 Continue for ever": (Reaction(status=100, is_endless=True, body=b"HTTP/1.1 100 Continue\r\n\r\n"), None, NO_HTTP),
    "garbage": (Reaction(raw=GARBAGE), None, NO_HTTP),
    "a status that is none": (Reaction(raw=b"HTTP/1.1 2OO OK\r\n\r\n"), None, NO_HTTP),
    "closes without an answer": (Fate.CLOSE, None, CLOSED),
    "resets the connection": (Fate.RESET, None, CLOSED),
    "closes in the middle of the head": (Reaction(raw=b"HTTP/1.1 200 OK\r\nContent-"), None, CLOSED),
    "text with nulls": (Reaction(status=500, body=b"a\0b\xff\xed\xa0\x80"), 500, "a\ufffdb\ufffd"),
}
TLS = {
    "garbage in place of TLS": "The TLS handshake failed.",
    "a certificate of its own making": "The TLS certificate was not accepted: self-signed certificate.",
}


def resident(world: World) -> int:
    """Octets of memory that the program has."""
    status = Path(f"/proc/{world.relay.process.pid}/status").read_text("ascii")
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


class Outcome:
    """What is known of webhooks that were all told one fact, when all of them have been tried."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.growth = 0
        self.strayed = 0  # connections to where redirects point
        self.untried = 0  # slow endpoints that nothing was known of when the good one had been told


@pytest.fixture(scope="module")
def outcome(quick_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """All the bad endpoints at once, so that their time limits run out together, and a good one among them."""
    made, endpoints = Outcome(), Endpoints(quick_world)
    path = tmp_path_factory.mktemp("tls")
    write_self_signed(path / "cert.pem", path / "key.pem", "127.0.0.1", SystemClock())
    try:
        _find_out(made, endpoints, server_context(path / "cert.pem", path / "key.pem"))
    finally:
        for webhook in endpoints.sdk().webhooks.list({"limit": 100})["data"]:
            endpoints.sdk().webhooks.remove(webhook["id"])
        endpoints.close()
    yield made


def _find_out(made: Outcome, endpoints: Endpoints, tls: ssl.SSLContext) -> None:
    target, good = endpoints.open(), endpoints.open()

    def react(reaction: Reaction | Fate) -> Behaviour:
        if isinstance(reaction, Reaction) and reaction.headers is MOVED:
            reaction = Reaction(status=reaction.status, headers={"Location": f"http://127.0.0.1:{target.port}/elsewhere"})
        return lambda _request: reaction

    urls = {}
    for name, reaction in {**SLOW, **{name: reaction for name, (reaction, _, _) in ODD.items()}}.items():
        urls[name] = endpoints.open(react(reaction)).url
    urls["garbage in place of TLS"] = f"https://127.0.0.1:{endpoints.open_blurting(GARBAGE)}/hook"
    urls["a certificate of its own making"] = endpoints.open(tls=tls).url
    hooks = {name: endpoints.hook(url, "domain.deleted") for name, url in urls.items()}
    endpoints.hook(good.url, "domain.deleted")
    domain = endpoints.sdk().domains.create({"name": "once.test"})
    before = resident(endpoints.world)
    endpoints.sdk().domains.remove(domain["id"])
    endpoints.wait_received(good)
    made.untried = sum(endpoints.told(hooks[name])[0]["attempts"] == 0 for name in SLOW)
    for name, webhook in hooks.items():
        made.rows[name] = endpoints.wait_told(webhook, lambda row: row["attempts"] > 0)
    made.growth = resident(endpoints.world) - before
    made.strayed = target.connections


@pytest.mark.parametrize("name", [*ODD, *TLS])
def test_an_endpoint_that_gives(outcome: Outcome, name: str) -> None:
    _, status, words = ODD[name] if name in ODD else (None, None, TLS[name])
    row = outcome.rows[name]
    assert row["status_code"] == status
    assert (row["response"] or "").startswith(words)
    assert len(row["response"] or "") <= (2000 if status else 200)
    assert (row["status"] == "delivered") is (status in {200, 201, 204})


@pytest.mark.parametrize("name", SLOW)
def test_an_endpoint_that_is_slow_is_cut_off(outcome: Outcome, name: str) -> None:
    row = outcome.rows[name]
    assert (row["status_code"], row["response"]) == (None, CUT_OFF)


def test_bad_endpoints_hold_up_nobody_and_cost_no_memory(outcome: Outcome, quick_world: World) -> None:
    assert outcome.untried == len(SLOW)
    assert outcome.growth < 48 * 1024 * 1024
    assert outcome.strayed == 0
    assert "Traceback" not in quick_world.relay.log_path.read_text("utf-8")
    assert WEB.get(quick_world.relay.ready["http"] + "/readyz").status_code == 200
