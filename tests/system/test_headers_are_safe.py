"""Nothing that a request says can become another header field: it is refused with the field's name, and nothing is stored."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.http import Answer
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"a@{SENDING_DOMAIN}"
BODY: dict[str, Any] = {"from": AUTHOR, "to": "user@example.org", "subject": "s", "text": "t", "html": "<p>h</p>"}
FILE: dict[str, Any] = {"filename": "a.txt", "content": "YQ=="}
BCC = "Bcc: victim@example.org"
# Line ends, what some readers take for line ends, what ends a text in C, and other controls of ASCII, Latin-1 and Unicode.
BREAKS = ["\r\n", "\n", "\r", "\0", "\r\n ", "\n\t", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\x9f", "\u2028", "\u2029"]
SURROGATES = ["\\ud800", "\\udc00", "\\udfff\\ud800"]  # as JSON writes them


def at(*path: str | int) -> tuple[str | int, ...]:
    return path


# Where a text goes into a header, and how a request says it: `{}` is the break with what it would add.
PLACES: list[tuple[tuple[str | int, ...], Any, str]] = [
    (at("from"), f"Name{{}} <{AUTHOR}>", "from"),
    (at("from"), f"a{{}}@{SENDING_DOMAIN}", "from"),
    (at("from"), f"{AUTHOR}{{}}", "from"),
    (at("to"), "user@example.org{}", "to"),
    (at("to", 1), "Name{} <user@example.org>", "to.1"),
    (at("to", 0), '"quoted{}"@example.org', "to.0"),
    (at("cc"), "user@example.org{}", "cc"),
    (at("cc", 0), "Name{} <user@example.org>", "cc.0"),
    (at("bcc"), "user@exam{}ple.org", "bcc"),
    (at("bcc", 0), "user{}@example.org", "bcc.0"),
    (at("reply_to"), "Name{} <user@example.org>", "reply_to"),
    (at("reply_to", 0), "user@example.org{}", "reply_to.0"),
    (at("subject"), "Hello{}", "subject"),
    (at("headers", "X-Note"), "Hello{}", "headers.X-Note"),
    (at("tags", 0, "name"), "name{}", "tags.0.name"),
    (at("tags", 0, "value"), "value{}", "tags.0.value"),
    (at("attachments", 0, "filename"), "a{}.txt", "attachments.0.filename"),
    (at("attachments", 0, "content_type"), "text/plain{}", "attachments.0.content_type"),
    (at("attachments", 0, "content_type"), 'text/plain; charset="{}"', "attachments.0.content_type"),
    (at("attachments", 0, "content_id"), "logo{}", "attachments.0.content_id"),
]
MARKETING_PLACES: list[tuple[tuple[str | int, ...], Any, str]] = [
    (at("unsubscribe_url"), "https://example.test/off{}", "unsubscribe_url"),
    (at("list_id"), "news{}", "list_id"),
    (at("from"), f"Name{{}} <{AUTHOR}>", "from"),
    (at("to"), "user@example.org{}", "to"),
    (at("reply_to"), "user@example.org{}", "reply_to"),
    (at("subject"), "Hello{}", "subject"),
    (at("headers", "X-Note"), "Hello{}", "headers.X-Note"),
]
ITEM_PLACES = [place for place in PLACES if place[0][0] != "headers"]


def put(body: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A copy of the body with the value at this place; what lies on the way is made."""
    made: dict[str, Any] = json.loads(json.dumps(body))
    if path[0] == "tags":
        made["tags"] = [{"name": "n", "value": "v"}]
    elif path[0] == "attachments":
        made["attachments"] = [dict(FILE)]
    elif path[0] == "headers":
        made["headers"] = {}
    elif len(path) > 1:
        made[str(path[0])] = ["first@example.org", "second@example.org"]
    target: Any = made
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return made


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which nothing must ever be accepted but what a test says."""
    with World(tmp_path_factory.mktemp("headers")) as made:
        yield made


@pytest.fixture
def rest(quiet: World) -> Iterator[RestClient]:
    client = RestClient(quiet.relay, quiet.live_key)
    before = stored(client)
    yield client
    assert stored(client) == before
    assert quiet.mailhost.mails == []


def stored(rest: RestClient) -> int:
    return int(rest.get("/v1/emails?include_total=true&limit=1")["total"])


def check_named(answer: Answer, field: str) -> None:
    assert answer.status == 422, answer.body
    assert (answer.json["error"]["code"], answer.field) == ("validation_error", field), answer.body


@pytest.mark.parametrize(("path", "form", "field"), PLACES)
def test_a_control_character_is_refused_where_it_stands(rest: RestClient, path: Any, form: str, field: str) -> None:
    for text in BREAKS:
        for added in (text + BCC, text):
            check_named(rest.request("POST", "/v1/emails", put(BODY, path, form.format(added))), field)


@pytest.mark.parametrize(("path", "form", "field"), MARKETING_PLACES)
def test_a_control_character_in_marketing(rest: RestClient, path: Any, form: str, field: str) -> None:
    marketing = {**BODY, "unsubscribe_url": "https://example.test/off"}
    for text in BREAKS:
        check_named(rest.request("POST", "/v1/emails/marketing", put(marketing, path, form.format(text + BCC))), field)


@pytest.mark.parametrize(("path", "form", "field"), ITEM_PLACES)
def test_a_control_character_in_a_batch(rest: RestClient, path: Any, form: str, field: str) -> None:
    for text in BREAKS[:4]:
        bad = put(BODY, path, form.format(text + BCC))
        check_named(rest.request("POST", "/v1/emails/batch", {"emails": [BODY, bad]}), f"emails.1.{field}")
        both = rest.request("POST", "/v1/emails/batch", {"emails": [bad, bad], "batch_validation": "permissive"})
        assert (both.status, both.json["data"], len(both.json["errors"])) == (200, [], 2)


@pytest.mark.parametrize(
    "name",
    [
        "X-A\r\nBcc",
        "X-A: b\r\nBcc",
        "X-A\n",
        "X-A\0",
        "X-A ",
        "X-Ä",
        "X-",
        "X_A",
        "Bcc",
        "From",
        "Subject",
        "Content-Type",
        "DKIM-Signature",
        "x-a:",
    ],
)
def test_names_of_headers_that_are_none(rest: RestClient, name: str) -> None:
    check_named(rest.request("POST", "/v1/emails", {**BODY, "headers": {name: "value"}}), "headers")
    check_named(
        rest.request("POST", "/v1/emails/marketing", {**BODY, "unsubscribe_url": "https://e.test/", "headers": {name: "v"}}), "headers"
    )


@pytest.mark.parametrize("name", ["X-Sendry-Track", "x-sendry-idempotency-key", "X-SENDRY-Anything"])
def test_orders_cannot_be_given_by_header(rest: RestClient, name: str) -> None:
    check_named(rest.request("POST", "/v1/emails", {**BODY, "headers": {name: "none"}}), "headers")


@pytest.mark.parametrize(("path", "form", "field"), [*PLACES, *MARKETING_PLACES[:2]])
def test_half_a_character_is_no_json(rest: RestClient, path: Any, form: str, field: str) -> None:
    """A lone surrogate is nothing that UTF-8 could say, so the whole body is refused: 400, as everything that is not JSON."""
    body = {**BODY, "unsubscribe_url": "https://example.test/off"}
    where = "/v1/emails/marketing" if path[0] in {"unsubscribe_url", "list_id"} else "/v1/emails"
    for text in SURROGATES:
        data = json.dumps(put(body, path, form.format("@@"))).encode().replace(b"@@", text.encode())
        answer = rest.request("POST", where, data)
        assert (answer.status, answer.json["error"]["code"]) == (400, "bad_request")
    raw = json.dumps(put(body, path, form.format("@@"))).encode().replace(b"@@", b"\xed\xa0\x80")
    assert rest.request("POST", where, raw).status == 400


def test_changes_of_scheduled_mail_check_the_header_too(quiet: World) -> None:
    rest = RestClient(quiet.relay, quiet.live_key)
    waiting = rest.post("/v1/emails", {**BODY, "subject": "as it was", "scheduled_at": "in 3 days"})["id"]
    for text in BREAKS:
        check_named(rest.request("PATCH", f"/v1/emails/{waiting}", {"subject": f"a{text}{BCC}"}), "subject")
    assert rest.get(f"/v1/emails/{waiting}")["subject"] == "as it was"


def test_templates_put_no_line_break_into_a_subject(quiet: World) -> None:
    """What variables bring along is text: line ends in it become spaces in the subject, and the fields stay those of the server."""
    rest = RestClient(quiet.relay, quiet.test_key)
    template = rest.post("/v1/templates", {"name": "t", "subject": "Hi {{ name }}{{{ raw }}}", "html": "<p>{{ name }}</p>"})["id"]
    for text in BREAKS:
        variables = {"name": f"Ann{text}{BCC}", "raw": f"{text}{text}X-Evil: yes"}
        sent = rest.post("/v1/emails", {"from": AUTHOR, "to": "user@example.org", "template_id": template, "variables": variables})
        assert sent["subject"].split() == f"Hi Ann {BCC} X-Evil: yes".split()
        assert sent["subject"].isprintable()
        captured = rest.get(f"/v1/test-emails/{sent['id']}")
        assert captured["subject"] == sent["subject"]
        assert captured["to"] == ["user@example.org"]
        assert {"bcc", "x-evil"}.isdisjoint(name.lower() for name in captured["headers"])
    for subject in ("a\r\nBcc: x@example.org", "a\0"):
        check_named(rest.request("POST", "/v1/templates", {"name": "t", "subject": subject, "html": "<p></p>"}), "subject")
