"""Templates: made, written, previewed, compared, published, removed."""

import html
import json
import re

import pytest

from .conftest import Answer, Browser

pytestmark = pytest.mark.sockets

HOSTILE = '<h1>Hi {{ name }}</h1><script>alert(1)</script><img src="https://evil.example/x.png" onerror="alert(2)">'


def make(owner: Browser, name: str, starter: str = "") -> str:
    """The path of a new template."""
    made = owner.send("/templates", {"name": name, "starter": starter})
    assert made.status == 303
    return made.headers["location"]


def save(owner: Browser, path: str, **fields: str) -> Answer:
    return owner.send(path, {"name": "Welcome", "subject": "Hi {{ name }}", "html": "<p>one</p>", "text": "", **fields})


def versions(answer: Answer) -> list[tuple[str, str]]:
    """Ids and `data-status`, newest first."""
    return re.findall(r'<tr data-id="(tmplv_\w+)" data-status="(\w+)"', answer.text)


def frame_of(answer: Answer) -> str:
    found = re.search(r'<iframe class="framed" src="([^"]+)"', answer.text)
    assert found
    return html.unescape(found[1])


def test_a_template_of_a_starter_is_listed_and_previewed(owner: Browser) -> None:
    path = make(owner, "Greeting", "welcome")
    listed = owner.get("/templates")
    assert listed.page == "templates"
    assert f'data-id="{path.rpartition("/")[2]}"' in listed.text
    shown = owner.get(path)
    assert (shown.status, shown.page) == (200, "template")
    assert "Welcome to product name" in shown
    assert [status for _, status in versions(shown)] == ["published"]


def test_saving_makes_versions_that_are_compared_and_go_back(owner: Browser) -> None:
    path = make(owner, "Order")
    assert save(owner, path, html="<p>\r\none\r\n</p>").headers["location"] == f"{path}?said=saved"
    assert save(owner, path, html="<p>\r\ntwo\r\n</p>").status == 303
    assert save(owner, path, html="<p>\r\ntwo\r\n</p>\r\n").status == 303  # the same again: no version
    listed = versions(owner.get(path))
    assert [status for _, status in listed] == ["published", "earlier", "earlier"]
    compared = owner.get(f"{path}?from={listed[1][0]}&to={listed[0][0]}")
    assert ("<del>− one</del>" in compared, "<ins>+ two</ins>" in compared) == (True, True)
    assert owner.send(f"{path}/publish", {"version": listed[1][0]}, page=path).headers["location"] == f"{path}?said=published"
    again = owner.get(path)
    assert "one\n</p></textarea>" in html.unescape(again.text).replace("\r", "")
    audit = owner.get("/audit?q=template.")
    for action in ("template.created", "template.changed", "template.published"):
        assert action in audit


def test_the_preview_is_framed_without_scripts_and_pictures_from_elsewhere(owner: Browser, stranger: Browser) -> None:
    fields = {"subject": "To {{ name }}", "html": HOSTILE, "data": json.dumps({"name": "<b>Ann"})}
    part = owner.send("/templates/preview", fields, page="/templates")
    assert (part.status, "To <b>Ann" in part, "<script>" in part.text) == (200, True, False)
    framed = stranger.get(frame_of(part))  # a frame sends no cookie
    assert framed.status == 200
    assert "Hi &lt;b&gt;Ann" in framed.text
    assert ("<script" in framed.text, "onerror" in framed.text, 'src="https://evil' in framed.text) == (False, False, False)
    assert framed.headers["content-security-policy"].startswith("sandbox ")
    assert stranger.get("/templates/preview/nonsense").status == 410
    assert stranger.post("/templates/preview", fields).status == 403


@pytest.mark.parametrize(
    ("data", "sentence"),
    [("{", "The sample data is no JSON"), ("[1]", "The sample data is a JSON object"), ("[" * 100_000, "The sample data is no JSON")],
)
def test_sample_data_that_is_none_says_so(owner: Browser, data: str, sentence: str) -> None:
    part = owner.send("/templates/preview", {"subject": "Hi", "html": "x", "data": data}, page="/templates")
    assert (part.status, sentence in part) == (200, True)


def test_a_template_that_does_not_parse_is_not_saved_and_what_was_typed_stays(owner: Browser) -> None:
    path = make(owner, "Broken")
    answer = save(owner, path, html="<p>{% if x %}</p><!-- typed here -->")
    assert answer.status == 422
    assert 'id="w-html"' in answer.text
    assert "<!-- typed here -->" in answer
    assert "typed here" not in owner.get(path)
    assert save(owner, path, name=" ").status == 422
    assert owner.send("/templates", {"name": ""}).status == 422


def test_names_of_strangers_are_escaped(owner: Browser) -> None:
    path = make(owner, '"><img src=x onerror=alert(1)>')
    for page in ("/templates", path):
        assert "<img src=x" not in owner.get(page).text


def test_a_viewer_reads_and_changes_nothing(owner: Browser, viewer: Browser) -> None:
    path = make(owner, "For all")
    shown = viewer.get(path)
    assert (shown.status, "Save and publish" in shown) == (200, False)
    token = {"token": shown.token, "name": "x", "html": "x"}
    for target in ("/templates", path, f"{path}/publish", f"{path}/remove"):
        assert viewer.post(target, token).status == 403
    assert viewer.post("/templates/preview", {**token, "html": "<p>x</p>"}).status == 200


def test_a_removed_template_is_gone(owner: Browser) -> None:
    path = make(owner, "Old")
    assert owner.send(f"{path}/remove", {}, page=path).headers["location"] == "/templates"
    assert (owner.get(path).status, owner.get(path).page) == (404, "missing")
    assert owner.get("/templates/tmpl_nonsense").status == 404
    assert owner.send(f"{path}/publish", {"version": "x"}, page="/templates").status == 404
