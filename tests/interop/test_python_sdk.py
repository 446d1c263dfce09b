"""Every method of the official Python SDK, sync and async: what there is answers as the SDK's types say, what there is not yet is a 404."""

import base64
import csv
import email
import inspect
import io
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypedDict, get_type_hints

import pytest
from sendry import ApiError, NotFoundError, _types

from sendryd.runtime.clock import SystemClock
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import Client, methods

AUTHOR: Final = f"hello@{SENDING_DOMAIN}"
RECIPIENT: Final = "user@example.org"
LOGO: Final = "https://example.test/logo.svg"
NOW: Final = SystemClock().now()
PERIOD: Final = {"from_": (NOW - timedelta(days=40)).date().isoformat(), "to": (NOW + timedelta(days=1)).date().isoformat()}
# Groups of the SDK that the server does not have yet.
ABSENT: Final = (
    *("audiences", "automations", "billing", "campaigns", "contact_properties", "contacts", "dedicated_ips", "deliverability", "dlq"),
    *("events", "exports", "notification_preferences", "postmaster", "segments", "topics"),
)


# No mail comes in yet: these have nothing to answer with but a 404.
NOTHING_TO_GET: Final = {"inbound.get"}


# Answers of operations that the SDK has no method for: what the service's description says of them.


class SmtpAuth(TypedDict):
    username: str
    password: str


class SmtpInfo(TypedDict):
    host: str
    port: int
    tls: bool
    auth: SmtpAuth


class Version(TypedDict):
    version: str
    api_version: str


class Change(TypedDict):
    type: str
    description: str


class Release(TypedDict):
    version: str
    date: str
    changes: list[Change]


class Changelog(TypedDict):
    entries: list[Release]


class Plans(TypedDict):
    plans: list[dict[str, Any]]


class EventPage(TypedDict):
    data: list[_types.LogEvent]
    has_more: bool
    next_cursor: str | None


class ApiRequest(TypedDict):
    id: str
    org_id: str
    api_key_id: str | None
    method: str
    path: str
    status_code: int
    duration_ms: int | None
    user_agent: str | None
    created_at: str


class ApiRequestPage(TypedDict):
    data: list[ApiRequest]
    has_more: bool
    next_cursor: str | None
    total: int


class WebhookDelivery(TypedDict):
    id: str
    webhook_id: str
    payload: dict[str, Any]
    status_code: int | None
    attempts: int
    delivered_at: str | None
    created_at: str


class WebhookDeliveryPage(TypedDict):
    data: list[WebhookDelivery]
    has_more: bool
    next_cursor: str | None


class TemplateVersion(TypedDict):
    id: str
    version: int
    subject: str | None
    created_at: str


class TemplateVersions(TypedDict):
    data: list[TemplateVersion]


class Starter(TypedDict):
    id: str
    name: str
    description: str
    subject: str
    html: str
    variables: list[str]
    engine: str


class VisualStarter(TypedDict):
    id: str
    name: str
    description: str
    category: str


class Starters(TypedDict):
    data: list[Starter]


class VisualStarters(TypedDict):
    data: list[VisualStarter]


class RegionShare(TypedDict):
    region: str
    count: int
    percentage: float


def send(client: Client, subject: str, **more: Any) -> Any:
    """Sends a message to one recipient."""
    return client.call("emails.send", {"from_": AUTHOR, "to": RECIPIENT, "subject": subject, "html": "<p>Hello</p>", **more})


def find_domain(client: Client) -> Any:
    """The verified sending domain."""
    return next(domain for domain in client.call("domains.list")["data"] if domain["name"] == SENDING_DOMAIN)


def see_emails(client: Client, world: World) -> None:
    """One message on its way to its recipient, lists with pages, a batch, marketing and a cancelled one."""
    subject = f"emails {client.kind}"
    sent = client.call(
        "emails.send",
        {
            "from_": f"Example <{AUTHOR}>",
            "to": [RECIPIENT, "second@example.org"],
            "cc": "third@example.org",
            "bcc": ["fourth@example.org"],
            "reply_to": f"answers@{SENDING_DOMAIN}",
            "subject": subject,
            "html": "<p>Hello</p>",
            "text": "Hello",
            "tags": [{"name": "flow", "value": client.kind}],
            "headers": {"X-Entity-Ref": "42"},
            "tracking": False,
        },
    )
    assert {**sent, "id": "", "created_at": ""} == {
        "id": "",
        "from": f"Example <{AUTHOR}>",
        "to": [RECIPIENT, "second@example.org"],
        "subject": subject,
        "status": "queued",
        "created_at": "",
    }
    content = world.wait_for_mail(subject).content
    assert b"\r\nX-Entity-Ref: 42\r\n" in content
    assert b"fourth@example.org" not in content.partition(b"\r\n\r\n")[0].partition(b"\r\nFrom:")[2]
    world.relay.wait_for_status(sent["id"], {"delivered"}, key=world.live_key)
    email = client.call("emails.get", sent["id"])
    assert {name: email[name] for name in ("id", "from", "to", "subject", "created_at")} == {
        name: sent[name] for name in ("id", "from", "to", "subject", "created_at")
    }
    assert (email["status"], email["last_event"], email["attachments"]) == ("delivered", "delivered", [])
    assert email["sent_at"] >= email["created_at"]
    events = client.request("GET", f"/v1/emails/{sent['id']}/events", EventPage, params={"type": "delivered"})
    assert {event["recipient"] for event in events["data"]} == {
        RECIPIENT,
        *(f"{name}@example.org" for name in ("second", "third", "fourth")),
    }

    assert sent["id"] in [each["id"] for each in client.call("emails.list")["data"]]
    send(client, f"another {subject}")
    page = client.call("emails.list", {"limit": 1})
    assert (len(page["data"]), page["has_more"], page["total"]) == (1, True, None)
    following = client.call("emails.list", {"limit": 1, "cursor": page["next_cursor"]})
    assert following["data"][0]["id"] != page["data"][0]["id"]
    assert {each["status"] for each in client.call("emails.list", {"status": "delivered"})["data"]} == {"delivered"}
    found = client.call("emails.list", {"q": subject.upper(), "include_total": True})
    assert (found["total"], {each["subject"] for each in found["data"]}) == (2, {subject, f"another {subject}"})
    see_batch(client, world)
    see_marketing(client, world)

    later = send(client, f"never {client.kind}", scheduled_at="in 2 hours")
    assert later["status"] == "queued"
    assert client.call("emails.cancel", later["id"]) == {"id": later["id"], "status": "cancelled"}
    assert client.call("emails.get", later["id"])["status"] == "cancelled"


def see_batch(client: Client, world: World) -> None:
    """The SDK leaves `from_` as it is within a batch."""
    subjects = [f"batch {number} {client.kind}" for number in range(3)]
    other = f"other@{SENDING_DOMAIN}"
    batch = client.call(
        "emails.send_batch",
        {
            "from_": AUTHOR,
            "subject": subjects[0],
            "emails": [
                {"to": RECIPIENT, "text": "one"},
                {"to": [RECIPIENT], "subject": subjects[1], "html": "<p>two</p>", "from_": f"Other <{other}>"},
                {"to": RECIPIENT, "subject": subjects[2], "text": "three", "from": other},
            ],
        },
    )
    assert "errors" not in batch
    assert [each["status"] for each in batch["data"]] == ["queued"] * 3
    for subject, sender, one in zip(subjects, (AUTHOR, other, other), batch["data"], strict=True):
        assert world.wait_for_mail(subject).envelope_from == sender
        assert client.call("emails.get", one["id"])["subject"] == subject
    rich: dict[str, Any] = {
        "from_": AUTHOR,
        "to": RECIPIENT,
        "cc": ["c@example.org"],
        "bcc": "b@example.org",
        "reply_to": other,
        "subject": f"rich {client.kind}",
        "html": "<p>rich</p>",
        "tags": [{"name": "kind", "value": "rich"}],
        "attachments": [{"filename": "a.txt", "content": base64.b64encode(b"attached").decode()}],
    }
    (one,) = client.call("emails.send_batch", {"emails": [rich]})["data"]
    assert client.call("emails.get", one["id"])["attachments"] == [{"filename": "a.txt", "content_type": "application/octet-stream"}]
    assert client.call("attachments.download", one["id"], 0).content == b"attached"
    assert world.wait_for_mail(rich["subject"]).content.count(f"\r\nReply-To: {other}\r\n".encode()) == 1
    whole = client.call("emails.send_batch", {"emails": [{"from_": AUTHOR, "to": RECIPIENT, "subject": "alone", "text": "x"}]})
    assert client.call("emails.get", whole["data"][0]["id"])["from"] == AUTHOR


def see_marketing(client: Client, world: World) -> None:
    subject = f"marketing {client.kind}"
    unsubscribe = "https://example.test/unsubscribe?who=user"
    sent = client.call(
        "emails.send_marketing",
        {
            "from_": AUTHOR,
            "to": RECIPIENT,
            "subject": subject,
            "html": "<p>News</p>",
            "reply_to": AUTHOR,
            "headers": {"X-Campaign": "spring"},
            "tags": [{"name": "kind", "value": "news"}],
            "unsubscribe_url": unsubscribe,
            "list_id": f"list-{client.kind}",
        },
    )
    assert (sent["to"], sent["status"]) == ([RECIPIENT], "queued")
    head = world.wait_for_mail(subject).content.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b"")
    assert f"<{unsubscribe}>".encode() in head
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in head + b"\r\n"
    assert b"\r\nX-Campaign: spring\r\n" in head


def see_smtp(client: Client, world: World) -> None:
    """The SDK has no method for it."""
    info = client.request("GET", "/v1/smtp/info", SmtpInfo)
    assert (info["host"], info["port"], info["tls"]) == ("relay.example.test", world.relay.smtp[1], False)


def see_test_emails(client: Client, world: World) -> None:
    """A test key's message is captured, whatever domain it is from, and goes nowhere."""
    tester = client.with_key(world.test_key)
    subject = f"captured {client.kind}"
    sent = tester.call(
        "emails.send",
        {"from_": "Anybody <any@unverified.example>", "to": [RECIPIENT], "cc": "c@example.org", "subject": subject, "html": "<p>T</p>"},
    )
    page = tester.call("test_emails.list", {"limit": 5})
    captured = next(each for each in page["data"] if each["subject"] == subject)
    assert captured["id"] == sent["id"].replace("em_", "te_")
    assert (captured["from"], captured["to"]) == ("Anybody <any@unverified.example>", [RECIPIENT])
    assert captured["message_type"] == "transactional"
    for reader, test_id in ((tester, captured["id"]), (client, captured["id"]), (client, sent["id"])):
        whole = reader.call("test_emails.get", test_id)
        assert {name: whole[name] for name in captured} == captured
        assert (whole["html"].strip(), whole["cc"]) == ("<p>T</p>", ["c@example.org"])  # as mail has it: in lines
        assert whole["headers"]["Subject"] == subject
    assert tester.call("emails.get", sent["id"])["status"] == "delivered"
    assert not [mail for mail in world.mailhost.mails if subject.encode() in mail.content]
    assert captured["id"] in [each["id"] for each in client.call("test_emails.list")["data"]]


def see_domains(client: Client, world: World) -> None:
    name = f"{client.kind}.sdk.test"
    domain = client.call("domains.create", {"name": name})
    assert (domain["name"], domain["status"]) == (name, "pending")
    assert [record["type"] for record in domain["dns_records"]] == ["TXT"] * 3
    assert client.call("domains.get", domain["id"]) == domain
    assert domain in client.call("domains.list", {"limit": 100})["data"]
    verification = client.call("domains.verify", domain["id"])
    assert (verification["status"], verification["spf_verified"], verification["dkim_verified"]) == ("pending", False, False)
    for record in domain["dns_records"]:
        world.nameserver.set_text(record["host"], record["value"])
    verification = client.call("domains.verify", domain["id"])
    assert [verification[key] for key in ("status", "spf_verified", "dkim_verified", "dmarc_verified")] == ["verified", True, True, True]
    assert client.call("domains.get", domain["id"])["status"] == "verified"

    with pytest.raises(NotFoundError):
        client.call("domains.get_bimi", domain["id"])
    bimi = client.call("domains.configure_bimi", domain["id"], {"logo_url": LOGO, "selector": "brand"})
    assert (bimi["domain_id"], bimi["logo_url"], bimi["vmc_url"], bimi["selector"]) == (domain["id"], LOGO, None, "brand")
    assert client.call("domains.get_bimi", domain["id"]) == bimi
    assert client.call("domains.verify_bimi", domain["id"])["verified"] is False
    world.nameserver.set_text(f"brand._bimi.{name}", bimi["dns_record"])
    assert client.call("domains.verify_bimi", domain["id"])["verified"] is True
    assert client.call("domains.get_bimi", domain["id"])["verified_at"] is not None
    marked = client.call("domains.configure_bimi", domain["id"], {"logo_url": LOGO, "vmc_url": "https://example.test/vmc.pem"})
    assert (marked["vmc_url"], marked["status"]) == ("https://example.test/vmc.pem", "pending")
    assert client.call("domains.remove_bimi", domain["id"]) == {"deleted": True}

    assert client.call("domains.remove", domain["id"]) == {"deleted": True}
    with pytest.raises(NotFoundError):
        client.call("domains.get", domain["id"])


def see_tracking(client: Client, world: World) -> None:
    domain = client.call("domains.create", {"name": f"{client.kind}.tracking.test"})
    assert client.call("tracking.get_for_domain", domain["id"]) == {"opens": False, "clicks": False}
    for settings in ({"opens": True, "clicks": True}, {"opens": False, "clicks": True}):
        changed = client.call("tracking.set_for_domain", domain["id"], settings)
        assert (changed["id"], changed["tracking"]) == (domain["id"], settings)
        assert client.call("tracking.get_for_domain", domain["id"]) == settings
    client.call("domains.remove", domain["id"])


def see_api_keys(client: Client, world: World) -> None:
    made = client.call("api_keys.create", {"name": f"key {client.kind}", "scope": "read_only"})
    assert (made["name"], made["scope"]) == (f"key {client.kind}", "read_only")
    reader = client.with_key(made["key"])
    assert reader.call("emails.list", {"limit": 1})["data"] is not None
    listed = next(key for key in client.call("api_keys.list", {"limit": 100})["data"] if key["id"] == made["id"])
    assert made["key"].startswith(listed["key_prefix"])
    assert "key" not in listed
    for scope in ("sending_access", "full_access", None):
        another = client.call("api_keys.create", {"name": "another"} if scope is None else {"name": "another", "scope": scope})
        assert another["scope"] == (scope or "full_access")
        client.call("api_keys.remove", another["id"])
    assert client.call("api_keys.remove", made["id"]) == {"deleted": True}
    with pytest.raises(ApiError) as refused:
        reader.call("emails.list")
    assert refused.value.status_code == 401


EVENTS: Final = [
    *(f"email.{word}" for word in ("delivered", "bounced", "opened", "clicked", "complained")),
    *(f"{what}.{word}" for what in ("contact", "domain") for word in ("created", "updated", "deleted")),
    *(f"automation.run.{word}" for word in ("started", "completed", "failed")),
]


def see_webhooks(client: Client, world: World) -> None:
    hook = client.call(
        "webhooks.create", {"url": f"https://hooks.example.com/{client.kind}", "events": ["email.delivered", "email.bounced"]}
    )
    assert hook["secret"].startswith("whsec_")
    assert hook["active"] is True
    assert client.call("webhooks.get", hook["id"]) == hook
    listed = next(each for each in client.call("webhooks.list", {"limit": 100})["data"] if each["id"] == hook["id"])
    assert "secret" not in listed
    changed = client.call("webhooks.update", hook["id"], {"events": ["email.opened"], "active": False, "url": f"{hook['url']}/2"})
    assert (changed["events"], changed["active"], changed["url"]) == (["email.opened"], False, f"{hook['url']}/2")
    assert changed["secret"] == hook["secret"]
    everything = client.call("webhooks.update", hook["id"], {"events": EVENTS})
    assert sorted(everything["events"]) == sorted(EVENTS)
    assert client.request("GET", "/v1/webhooks/deliveries", WebhookDeliveryPage, params={"webhook_id": hook["id"]})["data"] == []
    assert client.call("webhooks.remove", hook["id"]) == {"deleted": True}
    with pytest.raises(NotFoundError):
        client.call("webhooks.get", hook["id"])


DESIGN: Final = {
    "globalStyles": {
        "bodyBackgroundColor": "#eeeeee",
        "contentBackgroundColor": "#ffffff",
        "contentWidth": 600,
        "fontFamily": "Arial",
        "linkColor": "#0000ff",
    },
    "blocks": [{"id": "1", "type": "heading", "props": {"text": "Hello {{name}}"}}],
}


def see_templates(client: Client, world: World) -> None:
    made = client.call(
        "templates.create",
        {
            "name": f"welcome {client.kind}",
            "subject": "Welcome, {{name}}!",
            "html": "<h1>Hello {{name}}</h1>",
            "engine": "html",
            "variables": {"name": {"type": "string", "required": True, "default": "friend"}},
        },
    )
    assert client.call("templates.get", made["id"]) == made
    assert made in client.call("templates.list", {"limit": 100})["data"]
    rendered = client.call("templates.render", made["id"], {"variables": {"name": "Ann & Bob"}})
    assert (rendered["html"], rendered["text"].strip()) == ("<h1>Hello Ann &amp; Bob</h1>", "Hello Ann & Bob")
    assert client.call("templates.render", made["id"])["html"] == "<h1>Hello friend</h1>"
    changed = client.call("templates.update", made["id"], {"subject": f"Hello from {client.kind}, {{{{name}}}}", "html": "<b>{{name}}</b>"})
    assert (changed["name"], changed["html"]) == (made["name"], "<b>{{name}}</b>")

    sent = client.call("emails.send", {"from_": AUTHOR, "to": RECIPIENT, "template_id": made["id"], "variables": {"name": "Ann"}})
    assert sent["subject"] == f"Hello from {client.kind}, Ann"
    assert b"<b>Ann</b>" in world.decoded(world.wait_for_mail(sent["subject"]).content)
    client.call(
        "emails.send_batch", {"from_": AUTHOR, "template_id": made["id"], "emails": [{"to": RECIPIENT, "variables": {"name": "Bo"}}]}
    )
    assert b"<b>Bo</b>" in world.decoded(world.wait_for_mail(f"Hello from {client.kind}, Bo").content)

    marketing = {"from_": AUTHOR, "to": RECIPIENT, "subject": f"News {client.kind}", "unsubscribe_url": "https://example.test/u"}
    client.call("emails.send_marketing", {**marketing, "template_id": made["id"], "variables": {"name": "Cy"}})
    assert b"<b>Cy</b>" in world.decoded(world.wait_for_mail(marketing["subject"]).content)

    path = f"/v1/templates/{made['id']}"
    versions = client.request("GET", f"{path}/versions", TemplateVersions)["data"]
    first = next(each for each in versions if each["version"] == 1)
    assert client.request("POST", f"{path}/publish/{first['id']}", _types.Template)["html"] == made["html"]
    copy = client.request("POST", f"{path}/duplicate", _types.Template)
    assert copy["id"] != made["id"]
    assert client.call("templates.remove", copy["id"]) == {"deleted": True}
    assert client.call("templates.remove", made["id"]) == {"deleted": True}
    with pytest.raises(NotFoundError):
        client.call("templates.get", made["id"])

    minimal = client.call("templates.create", {"name": f"react {client.kind}", "engine": "react"})
    assert (minimal["engine"], minimal["subject"], minimal["html"]) == ("react", None, None)
    client.call("templates.remove", minimal["id"])
    assert client.request("GET", "/v1/templates/starters", Starters) == client.call("templates.list_starters")
    visual = client.call("templates.list_visual_starters")
    assert client.request("GET", "/v1/templates/visual-starters", VisualStarters) == visual
    starter = client.call("templates.get_visual_starter", visual["data"][0]["id"])
    assert "Hello" not in client.call("templates.compile_blocks", {"design": starter["design"]})["html"]
    compiled = client.call("templates.compile_blocks", {"design": DESIGN, "variables": {"name": "Ann"}})
    assert "Hello Ann" in compiled["html"]
    assert "Hello Ann" in compiled["text"]
    adhoc = client.call("templates.render_adhoc", {"html": "<h1>Hello {{name}}</h1>", "engine": "html", "variables": {"name": "Bob"}})
    assert adhoc["html"] == "<h1>Hello Bob</h1>"


def see_suppression(client: Client, world: World) -> None:
    plain, hostile = f"{client.kind}@suppressed.test", f"a+{client.kind}/b%41@suppressed.test"
    assert client.call("suppression.add", {"email": plain})["reason"] == "manual"
    added = client.call("suppression.add", {"email": hostile, "reason": "hard_bounce"})
    assert (added["email"], added["reason"]) == (hostile, "hard_bounce")
    assert added in client.call("suppression.list", {"limit": 100})["data"]
    for reason in ("complaint", "unsubscribe", "manual", "hard_bounce"):
        who = f"{reason}-{client.kind}@suppressed.test"
        assert client.call("suppression.add", {"email": who, "reason": reason})["reason"] == reason
        client.call("suppression.remove", who)
    sent = client.call("emails.send", {"from_": AUTHOR, "to": plain, "subject": "not sent", "text": "x"})
    assert client.call("emails.get", sent["id"])["last_event"] == "suppressed"
    assert client.call("suppression.remove", hostile) == {"deleted": True}
    assert client.call("suppression.remove", plain) == {"deleted": True}
    with pytest.raises(NotFoundError):
        client.call("suppression.remove", plain)


def see_unsubscribes(client: Client, world: World) -> None:
    who, list_id = f"{client.kind}@unsubscribed.test", f"news-{client.kind}"
    entry = client.call("unsubscribes.create", {"email": who, "list_id": list_id, "reason": "asked to"})
    assert (entry["email"], entry["list_id"], entry["reason"]) == (who, list_id, "asked to")
    everywhere = client.call("unsubscribes.create", {"email": who})
    assert (everywhere["list_id"], everywhere["reason"]) == (None, None)
    assert client.call("unsubscribes.get", entry["id"]) == entry
    assert client.call("unsubscribes.create_batch", {"emails": [who, f"2{who}", f"3{who}"], "list_id": list_id}) == {"inserted": 2}
    found = client.call("unsubscribes.list", {"list_id": list_id, "limit": 10})["data"]
    assert {each["email"] for each in found} == {who, f"2{who}", f"3{who}"}
    assert entry in client.call("unsubscribes.list", {"email": who})["data"]
    for each in (*found, everywhere):
        assert client.call("unsubscribes.remove", each["id"]) == {"deleted": True}
    with pytest.raises(NotFoundError):
        client.call("unsubscribes.get", entry["id"])


def see_analytics(client: Client, world: World) -> None:
    sent = send(client, f"counted {client.kind}", tags=[{"name": "counted", "value": client.kind}])
    world.relay.wait_for_status(sent["id"], {"delivered"}, key=world.live_key)
    logs = client.call("analytics.logs", {"email_id": sent["id"], "type": "delivered", "to": RECIPIENT, "from_date": PERIOD["from_"]})
    assert [(event["email_id"], event["type"], event["recipient"]) for event in logs["data"]] == [(sent["id"], "delivered", RECIPIENT)]
    assert logs["total"] == 1
    assert {event["email_id"] for event in client.call("analytics.logs", {"limit": 2})["data"]}
    stats = client.call("analytics.stats", {**PERIOD, "granularity": "month", "tag": f"counted:{client.kind}", "domain": SENDING_DOMAIN})
    assert (stats["summary"]["sent"], stats["summary"]["delivered"], stats["summary"]["delivery_rate"]) == (1, 1, 1.0)
    assert sum(point["delivered"] for point in stats["timeseries"]) == 1
    cohorts = client.call("analytics.cohorts", {**PERIOD, "granularity": "month", "metric": "delivery_rate"})
    assert (cohorts["granularity"], cohorts["metric"], bool(cohorts["cohorts"])) == ("month", "delivery_rate", True)
    for is_in in (True, False):
        client.call("analytics.toggle_benchmark_opt_in", is_in)
        assert client.call("analytics.benchmarks", {**PERIOD, "granularity": "week"})["benchmark_opt_in"] is is_in
    breakdowns = client.call("analytics.breakdowns", {**PERIOD, "group_by": "domain", "limit": 50})
    assert next(row for row in breakdowns["data"] if row["name"] == SENDING_DOMAIN)["delivered"] >= 1
    assert client.call("analytics.breakdowns", {**PERIOD, "group_by": "template"})["group_by"] == "template"
    comparison = client.call("analytics.comparison", PERIOD)
    assert comparison["current"]["sent"] >= 1
    assert set(comparison["changes"]) == {
        *(f"{name}_pct" for name in ("sent", "delivered", "opened", "clicked", "bounced", "complained")),
        *(f"{name}_rate_delta" for name in ("delivery", "open", "click", "bounce", "complaint")),
    }
    exported = client.call("analytics.export", {**PERIOD, "format": "csv", "granularity": "month"})
    rows = list(csv.DictReader(io.StringIO(exported)))
    assert sum(int(row["sent"]) for row in rows) >= 1
    as_json = client.call("analytics.export", {**PERIOD, "format": "json", "granularity": "month", "domain": SENDING_DOMAIN})
    assert not isinstance(as_json, str)
    see_api_requests(client, world)


def see_api_requests(client: Client, world: World) -> None:
    """The SDK has no method for it."""
    with pytest.raises(NotFoundError):
        client.call("emails.get", f"em_{client.kind}")
    found: list[Any] = []

    def is_there() -> bool:
        params = {"path": f"/v1/emails/em_{client.kind}", "limit": 5}
        found[:] = client.request("GET", "/v1/logs/api-requests", ApiRequestPage, params=params)["data"]
        return bool(found)

    world.wait_until(is_there)  # the log is written twice a second
    assert {(row["method"], row["status_code"], row["user_agent"]) for row in found} == {("GET", 404, "sendry-python/0.3.0")}


def see_organizations(client: Client, world: World) -> None:
    before, branding = client.call("organizations.get_current"), client.call("organizations.get_branding")
    assert before["createdAt"] == before["created_at"]
    renamed = client.call("organizations.update", {"name": f"The {client.kind} company"})
    assert (renamed["id"], renamed["name"]) == (before["id"], f"The {client.kind} company")
    assert client.call("organizations.get_current") == renamed
    wanted = {"brand_color": "#aa00ff", "brand_logo": LOGO, "unsubscribe_copy": "Goodbye", "footer_copy": "Example Ltd"}
    changed = client.call("organizations.update_branding", wanted)
    assert {name: changed[name] for name in wanted} == wanted
    assert changed["unsubscribe_message"] == "Goodbye"
    assert client.call("organizations.get_branding") == changed
    cleared = client.call("organizations.update_branding", {"brand_logo": None, "unsubscribe_copy": None, "footer_copy": None})
    assert (cleared["brand_logo"], cleared["unsubscribe_copy"], cleared["footer_copy"]) == (None, None, None)
    assert cleared["brand_color"] == "#aa00ff"
    assert client.call("organizations.update_branding", branding) == branding
    client.call("organizations.update", {"name": before["name"]})


def see_regions(client: Client, world: World) -> None:
    (region,) = client.call("regions.list")["data"]
    assert region["is_default"] is True
    settings = client.call("regions.get_org_settings")
    wanted = {"default_region": region["region_code"], "data_residency": "eu"}
    assert client.call("regions.update_org_settings", wanted) == wanted
    assert client.call("regions.get_org_settings") == wanted
    assert client.call("regions.update_org_settings", {"data_residency": "us"}) == {**wanted, "data_residency": "us"}
    assert client.call("regions.update_org_settings", {"default_region": "eu-west-1"}) == {
        "default_region": "eu-west-1",
        "data_residency": "us",
    }
    assert client.call("regions.update_org_settings", settings) == settings
    domain = client.call("domains.create", {"name": f"{client.kind}.regions.test"})
    assert client.call("regions.set_domain_region", domain["id"], {"region": "eu-west-1"})["region"] == "eu-west-1"
    assert client.call("regions.set_domain_region", domain["id"], {"region": None})["region"] is None
    client.call("domains.remove", domain["id"])
    sent = send(client, f"regions {client.kind}")
    world.relay.wait_for_status(sent["id"], {"delivered"}, key=world.live_key)
    # The SDK sends `from_` here as it is.
    analytics = client.call("regions.get_region_analytics", PERIOD)
    assert [row["region"] for row in analytics["data"]] == [region["region_code"]]
    shares: Any = client.request(
        "GET", "/v1/analytics/regions", dict[str, list[RegionShare]], params={"from": PERIOD["from_"], "to": PERIOD["to"]}
    )
    assert shares["data"][0]["count"] >= 1


def see_team(client: Client, world: World) -> None:
    member = client.call("team.invite", {"email": f"bob-{client.kind}@example.org"})
    assert (member["role"], member["status"]) == ("member", "pending")
    assert client.call("team.update_role", member["id"], {"role": "admin"})["role"] == "admin"
    team = client.call("team.list")
    assert member["id"] in {each["id"] for each in team["data"]}
    assert team["seats"]["unlimited"] is True
    assert client.call("team.remove", member["id"])["deleted"] is True
    assert member["id"] not in {each["id"] for each in client.call("team.list")["data"]}


def see_inbound(client: Client, world: World) -> None:
    page = client.call("inbound.list", {"limit": 10})
    assert (page["data"], page["has_more"], page["next_cursor"]) == ([], False, None)
    with pytest.raises(NotFoundError):
        client.call("inbound.get", "inb_0000000000000")
    config = client.call("inbound.update_config", {"url": "https://hooks.example.com/inbound"})
    assert config["url"] == "https://hooks.example.com/inbound"
    assert config["secret"].startswith("whsec_")
    assert client.call("inbound.get_config") == config
    own = {"url": "https://hooks.example.com/inbound", "secret": "a secret of our own"}
    assert {name: client.call("inbound.update_config", own)[name] for name in own} == own
    assert client.call("inbound.update_config", {"url": None})["url"] is None


def see_status(client: Client, world: World) -> None:
    status = client.call("status.get_current")
    assert (status["status"], status["active_incidents"]) == ("operational", [])
    assert {"api-gateway", "database"} <= {component["slug"] for component in status["components"]}
    history = client.call("status.get_history", {"limit": 5})
    assert (history["data"], history["has_more"]) == ([], False)
    assert client.call("status.get_latency")["component"] == "api-gateway"
    latency = client.call("status.get_latency", {"component": "database", "hours": 1})
    assert (latency["component"], latency["target_met"]) == ("database", True)


def see_system(client: Client, world: World) -> None:
    """The SDK has no methods for these."""
    version = client.request("GET", "/v1/version", Version)
    changelog = client.request("GET", "/v1/changelog", Changelog)
    assert version["version"] in {entry["version"] for entry in changelog["entries"]}
    assert client.request("GET", "/v1/plans", Plans)["plans"]


CONTENTS: Final = (
    ("all octets.bin", bytes(range(256)) * 40, "application/octet-stream"),
    ('Ünïcode; "quoted".pdf', b"%PDF-1.7\r\n.\r\n..\n\r\x00", "application/pdf"),
    ("notes.txt", "Grüße\n.\nFrom here\r\n".encode(), "text/plain"),
    ("empty", b"", "image/png"),
)


def see_attachments(client: Client, world: World) -> None:
    """What went in comes out, octet for octet: from the API, and at the recipient."""
    subject = f"attachments {client.kind}"
    attachments = [
        {"filename": name, "content": base64.b64encode(content).decode(), "content_type": kind} for name, content, kind in CONTENTS
    ]
    del attachments[0]["content_type"]
    sent = send(client, subject, attachments=attachments, text="Hello")
    listed = client.call("emails.get", sent["id"])["attachments"]
    assert [(each["filename"], each["content_type"]) for each in listed] == [(name, kind) for name, _, kind in CONTENTS]
    for index, (name, content, kind) in enumerate(CONTENTS):
        download = client.call("attachments.download", sent["id"], index)
        assert (download.filename, download.content) == (name, content)
        assert download.content_type.partition(";")[0] == kind
    for index in (len(CONTENTS), -1):
        with pytest.raises(ApiError) as refused:
            client.call("attachments.download", sent["id"], index)
        assert refused.value.status_code in {404, 422}
    received = email.message_from_bytes(world.wait_for_mail(subject).content)
    files = [part.get_payload(decode=True) for part in received.walk() if part.get_filename()]
    assert files == [content for _, content, _ in CONTENTS]


def see_insights(client: Client, world: World) -> None:
    sent = send(client, f"insights {client.kind}")
    insights = client.call("deliverability_insights.for_email", sent["id"])
    assert 0 <= insights["score"] <= 100
    assert {"id", "label", "status", "message"} <= set(insights["checks"][0])
    with pytest.raises(NotFoundError):
        client.call("deliverability_insights.for_email", "em_0000000000000")


def see_sharing(client: Client, world: World) -> None:
    sent = send(client, f"shared {client.kind}")
    link = client.call("email_sharing.create", sent["id"])
    assert link["url"].startswith(world.relay.ready["http"])
    assert link["expires_at"] > sent["created_at"]


GROUPS: Final[Mapping[str, Callable[[Client, World], None]]] = {
    "emails": see_emails,
    "test_emails": see_test_emails,
    "domains": see_domains,
    "tracking": see_tracking,
    "api_keys": see_api_keys,
    "webhooks": see_webhooks,
    "templates": see_templates,
    "suppression": see_suppression,
    "unsubscribes": see_unsubscribes,
    "analytics": see_analytics,
    "organizations": see_organizations,
    "regions": see_regions,
    "team": see_team,
    "inbound": see_inbound,
    "status": see_status,
    "attachments": see_attachments,
    "deliverability_insights": see_insights,
    "email_sharing": see_sharing,
}


@pytest.mark.parametrize("group", GROUPS)
def test_every_method_answers_what_the_sdk_promises(client: Client, world: World, group: str) -> None:
    GROUPS[group](client, world)
    assert methods(client, group) - NOTHING_TO_GET <= client.called


@pytest.mark.parametrize("see", [see_smtp, see_system])
def test_what_the_sdk_has_no_method_for(client: Client, world: World, see: Callable[[Client, World], None]) -> None:
    see(client, world)


def test_no_group_of_the_sdk_is_forgotten(client: Client) -> None:
    assert sorted((*GROUPS, *ABSENT)) == sorted(vars(client.sdk))


@pytest.mark.parametrize("group", ABSENT)
def test_what_is_not_there_yet_is_not_found(client: Client, group: str) -> None:
    values = {str: "x_0000000000000", int: 1, bool: True}
    names = methods(client, group)
    assert names
    for name in names:
        method = getattr(getattr(client.sdk, group), name.partition(".")[2])
        hints = get_type_hints(method)
        with pytest.raises(NotFoundError) as refused:
            client.call(name, *(values.get(hints[parameter], {}) for parameter in inspect.signature(method).parameters))
        assert (refused.value.status_code, refused.value.code) == (404, "not_found")
        assert refused.value.message == "There is no such resource here"  # of the body, not of the status line


def test_unbuilt_resources_answer_404_in_the_common_error_form(world: World) -> None:
    told = {"code": "not_found", "message": "There is no such resource here", "details": {}}
    for path in ("/v1/contacts", "/v1/contacts/x/properties", "/v1/exports/x/download", "/v1/admin/dlq", "/v1/billing/plan"):
        assert world.relay.get(path, world.live_key) == (404, {"error": told, "statusCode": 404, **told})
