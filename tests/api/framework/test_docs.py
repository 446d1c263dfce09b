"""The page at /docs: everything on it, nothing from elsewhere."""

import re
from html.parser import HTMLParser

import pytest

from sendryd.api.framework.docspage import render_docs
from sendryd.testing.api import ApiWorld
from sendryd.testing.http import Answer


class Elements(HTMLParser):
    """The tags of a page with their attributes, and whether they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def values(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.found if (value := attributes.get(attribute)) is not None]


@pytest.fixture
async def page(api: ApiWorld) -> Answer:
    return await api.get("/docs")


async def test_every_operation_is_on_the_page(api: ApiWorld, page: Answer) -> None:
    document = (await api.get("/openapi.json")).json
    elements = Elements(page.body.decode())
    assert elements.open == []
    identifiers = elements.values("id")
    assert len(identifiers) == len(set(identifiers))
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["operationId"] in identifiers
            assert f"#{operation['operationId']}" in elements.values("href")


async def test_an_operation_says_all_that_is_needed_to_call_it(page: Answer) -> None:
    text = page.body.decode()
    start = text.index('id="post_emails"')
    shown = text[start : text.index('class="operation"', start)]
    for piece in (
        "sending_access",
        "Idempotency-Key",
        "scheduled_at",
        "at most 998 characters",
        "422",
        "curl &quot;$SENDRYD_URL/v1/emails&quot;",
        "Authorization: Bearer $SENDRYD_API_KEY",
        "created_at",
    ):
        assert piece in shown, piece


async def test_everything_comes_from_here_and_no_script_stands_in_the_page(api: ApiWorld, page: Answer) -> None:
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    elements = Elements(page.body.decode())
    for address in (*elements.values("src"), *elements.values("href")):
        assert address.startswith(("/", "#"))
        if address.startswith("/"):
            answer = await api.get(address)
            assert answer.status == 200, address
            assert not re.search(rb"https?://|@import|url\(", answer.body) or address == "/openapi.json"
    assert not elements.values("style")
    assert not elements.values("onclick")
    assert [attributes for tag, attributes in elements.found if tag == "script" and "src" not in attributes] == []
    assert {name[1:] for name in elements.values("href") if name.startswith("#")} <= set(elements.values("id"))


async def test_the_page_is_small_and_kept(api: ApiWorld, page: Answer) -> None:
    assert len(page.body) < 500_000
    again = await api.request("GET", "/docs/", [("if-none-match", page.headers["etag"])])
    assert (again.status, again.body) == (304, b"")
    assert (await api.get("/docs/")).body == page.body
    assert (await api.request("HEAD", "/docs")).status == 200


async def test_the_style_has_colours_for_the_dark(api: ApiWorld) -> None:
    path = re.search(r'<link rel="stylesheet" href="(/docs/static/page\.[0-9a-f]{16}\.css)">', (await api.get("/docs")).body.decode())
    assert path
    style = await api.get(path[1])
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert style.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert b"prefers-color-scheme: dark" in style.body


async def test_a_file_of_another_release_is_not_found(api: ApiWorld) -> None:
    for path in ("/docs/static/page.0123456789abcdef.css", "/docs/static/page.css", "/docs/static/", "/docs/page.css"):
        answer = await api.get(path)
        assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")
        assert answer.headers["cache-control"] == "no-store"


async def test_texts_are_escaped(api: ApiWorld) -> None:
    document = (await api.get("/openapi.json")).json
    document["paths"]["/v1/version"]["get"]["summary"] = "<script>alert(1)</script> `code`"
    document["info"]["title"] = '"><img src=x>'
    text = render_docs(document, style_path="/s.css", script_path="/s.js")
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "<code>code</code>" in text
