"""Templates as a client sees them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from sendryd.message.starters import VISUAL_STARTERS
from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.ids import AccountId, format_id
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases

Key = tuple[ApiKey, str]
PATH = "/v1/templates"
DESIGN: Mapping[str, Any] = VISUAL_STARTERS[0]["design"]
BODY = {
    "name": "Welcome",
    "subject": "Hi {{ name }}",
    "html": "<p>Hi {{ name }}</p>",
    "variables": {"name": {"type": "string", "required": False, "default": "there"}, "items": {"type": "array", "default": None}},
}


@pytest.fixture
async def template(api: ApiWorld, owner: str) -> dict[str, Any]:
    return await add(api, owner, BODY)


async def add(api: ApiWorld, secret: str, body: object) -> dict[str, Any]:
    api.clock.advance(timedelta(seconds=1))
    answer = await api.send("POST", PATH, secret, body)
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.json
    return made


async def test_a_new_template_has_the_shape_of_the_contract(api: ApiWorld, owner: str, template: dict[str, Any]) -> None:
    assert template["id"].startswith("tmpl_")
    assert {**template, "id": ""} == {
        "id": "",
        "name": "Welcome",
        "subject": "Hi {{ name }}",
        "html": "<p>Hi {{ name }}</p>",
        "text": None,
        "engine": "html",
        "variables": {"name": {"type": "string", "required": False, "default": "there"}, "items": {"type": "array"}},
        "blocks": None,
        "created_at": "2026-03-01T12:00:01.000Z",
        "updated_at": "2026-03-01T12:00:01.000Z",
    }
    assert (await api.get(f"{PATH}/{template['id']}", owner)).json == template
    assert (await api.get(PATH, owner)).json == {"data": [template], "has_more": False, "next_cursor": None}


async def test_a_name_is_enough(api: ApiWorld, owner: str) -> None:
    made = await add(api, owner, {"name": "Later", "subject": None, "html": None, "blocks": None})
    assert (made["subject"], made["html"], made["engine"]) == (None, None, "html")
    assert (await api.send("POST", f"{PATH}/{made['id']}/render", owner)).json == {"html": "", "text": "", "subject": ""}


async def test_pages(api: ApiWorld, owner: str) -> None:
    made = [(await add(api, owner, {"name": f"t{n}"}))["id"] for n in range(3)]
    first = (await api.get(f"{PATH}?limit=2", owner)).json
    second = (await api.get(f"{PATH}?limit=2&cursor={first['next_cursor']}", owner)).json
    assert [each["id"] for each in first["data"] + second["data"]] == made[::-1]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)


@cases(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a", "subject": "a\r\nBcc: x@example.org"}, "subject"),
        ({"name": "a", "html": "<p>\n\n{{ x </p>"}, "html"),
        ({"name": "a", "html": 5}, "html"),
        ({"name": "a", "html": "x" * 5_242_881}, "html"),
        ({"name": "a", "text": "x" * 1_048_577}, "text"),
        ({"name": "a", "engine": "word"}, "engine"),
        ({"name": "a", "variables": {"x": {}}}, "variables.x.type"),
        ({"name": "a", "variables": ["x"]}, "variables"),
        ({"name": "a", "blocks": {"globalStyles": 5, "blocks": []}}, "blocks"),
        ({"name": "a", "blocks": {**DESIGN, "globalStyles": {**DESIGN["globalStyles"], "contentWidth": 100}}}, "blocks"),
    ],
)
async def test_what_cannot_be_stored(api: ApiWorld, owner: str, body: object, field: str) -> None:
    assert (await api.send("POST", PATH, owner, body)).fault == (422, "validation_error", field)
    assert (await api.get(PATH, owner)).json["data"] == []


async def test_a_fault_names_its_line(api: ApiWorld, owner: str) -> None:
    answer = await api.send("POST", PATH, owner, {"name": "a", "html": "<p>\n\n{{ x </p>"})
    assert "line 3" in answer.json["error"]["message"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_updates_change_what_they_name(api: ApiWorld, owner: str, template: dict[str, Any], method: str) -> None:
    api.clock.advance(timedelta(hours=1))
    target = f"{PATH}/{template['id']}"
    changed = (await api.send(method, target, owner, {"subject": "Hello", "name": None})).json
    assert changed == {**template, "subject": "Hello", "updated_at": "2026-03-01T13:00:01.000Z"}
    assert (await api.send(method, target, owner, {"html": "{% if %}"})).fault == (422, "validation_error", "html")
    assert (await api.get(target, owner)).json == changed


async def test_a_design_is_compiled_and_can_be_taken_away(api: ApiWorld, owner: str) -> None:
    made = await add(api, owner, {"name": "Visual", "engine": "visual", "blocks": DESIGN})
    assert made["blocks"] == DESIGN
    assert "{{ title }}" in made["html"]
    changed = (await api.send("PUT", f"{PATH}/{made['id']}", owner, {"blocks": None, "html": "<p>own</p>"})).json
    assert (changed["blocks"], changed["html"]) == (None, "<p>own</p>")


async def test_versions_and_publishing(api: ApiWorld, owner: str, template: dict[str, Any]) -> None:
    target = f"{PATH}/{template['id']}"
    await api.send("PUT", target, owner, {"subject": "Second"})
    await api.send("PUT", target, owner, {"name": "Other name"})
    versions = (await api.get(f"{target}/versions", owner)).json["data"]
    assert [(each["version"], each["subject"]) for each in versions] == [(2, "Second"), (1, "Hi {{ name }}")]
    published = (await api.send("POST", f"{target}/publish/{versions[1]['id']}", owner)).json
    assert (published["subject"], published["name"]) == ("Hi {{ name }}", "Other name")
    for version in ("x", format_id("tmplv", 5), template["id"]):
        assert (await api.send("POST", f"{target}/publish/{version}", owner)).fault == (404, "not_found", None)


async def test_versions_of_another_template_are_not_published(api: ApiWorld, owner: str, template: dict[str, Any]) -> None:
    other = await add(api, owner, {"name": "Other"})
    (version,) = (await api.get(f"{PATH}/{other['id']}/versions", owner)).json["data"]
    assert (await api.send("POST", f"{PATH}/{template['id']}/publish/{version['id']}", owner)).status == 404


async def test_duplicate_and_remove(api: ApiWorld, owner: str, template: dict[str, Any]) -> None:
    copy = (await api.send("POST", f"{PATH}/{template['id']}/duplicate", owner)).json
    assert (copy["name"], copy["html"]) == ("Welcome (copy)", template["html"])
    assert (await api.send("DELETE", f"{PATH}/{template['id']}", owner)).json == {"deleted": True}
    assert [each["id"] for each in (await api.get(PATH, owner)).json["data"]] == [copy["id"]]


async def test_stored_templates_are_rendered(api: ApiWorld, owner: str, template: dict[str, Any]) -> None:
    target = f"{PATH}/{template['id']}/render"
    made = (await api.send("POST", target, owner, {"variables": {"name": "<Ann>"}})).json
    assert made == {"html": "<p>Hi &lt;Ann&gt;</p>", "text": "Hi <Ann>", "subject": "Hi <Ann>"}
    nothing: tuple[object, ...] = (None, {}, {"variables": None}, {"variables": {}})
    for body in nothing:
        assert (await api.send("POST", target, owner, body)).json["subject"] == "Hi there"
    wrong: tuple[object, ...] = ([], "x", {"name": [1]})
    for variables in wrong:
        assert (await api.send("POST", target, owner, {"variables": variables})).fault == (422, "validation_error", "variables")


async def test_what_is_required_must_be_given(api: ApiWorld, owner: str) -> None:
    made = await add(api, owner, {"name": "a", "html": "{{ x }}", "variables": {"x": {"type": "string", "required": True}}})
    answer = await api.send("POST", f"{PATH}/{made['id']}/render", owner, {"variables": {}})
    assert answer.fault == (422, "validation_error", "variables")
    assert "x is required" in answer.json["error"]["message"]


async def test_ad_hoc_rendering(api: ApiWorld, owner: str) -> None:
    body = {
        "html": "{% for x in items %}<p>{{ x.name }} {{{ raw }}}</p>{% endfor %}",
        "variables": {"items": [{"name": "&"}], "raw": "<b>1</b>"},
    }
    made = (await api.send("POST", f"{PATH}/render", owner, body)).json
    assert (made["html"], made["text"]) == ("<p>&amp; <b>1</b></p>", "& 1")
    for html in ("<p>\n{{ x", "{% for i in range(1000000000) %}x{% endfor %}", "{{ f() }}"):
        answer = await api.send("POST", f"{PATH}/render", owner, {"html": html})
        assert answer.fault == (422, "validation_error", "html")
    answer = await api.send("POST", f"{PATH}/render", owner, {"html": "{{first-name}}", "variables": {"first-name": "Ann"}})
    assert answer.fault == (422, "validation_error", "html")
    assert "write first_name" in answer.json["error"]["message"]
    assert "line 2" in (await api.send("POST", f"{PATH}/render", owner, {"html": "<p>\n{{ x"})).json["error"]["message"]
    assert (await api.send("POST", f"{PATH}/render", owner, {})).fault == (422, "validation_error", "html")


async def test_designs_are_compiled(api: ApiWorld, owner: str) -> None:
    made = (await api.send("POST", f"{PATH}/compile-blocks", owner, {"design": DESIGN})).json
    assert "{{ title }}" in made["html"]
    filled = (await api.send("POST", f"{PATH}/compile-blocks", owner, {"design": DESIGN, "variables": {"title": "News & more"}})).json
    assert "News &amp; more" in filled["html"]
    assert "News & more" in filled["text"]
    bad_block = {"id": "a", "type": "image", "props": {"src": "javascript:x"}}
    hyphen = {"id": "a", "type": "text", "props": {"text": "{{first-name}}"}}
    wrong: tuple[object, ...] = ({}, None, [], {**DESIGN, "blocks": [bad_block]}, {**DESIGN, "blocks": [hyphen]})
    for design in wrong:
        assert (await api.send("POST", f"{PATH}/compile-blocks", owner, {"design": design})).fault == (422, "validation_error", "design")


async def test_starters(api: ApiWorld, owner: str) -> None:
    starters = (await api.get(f"{PATH}/starters", owner)).json["data"]
    assert len(starters) >= 3
    for starter in starters:
        body = {"name": starter["name"], "subject": starter["subject"], "html": starter["html"], "engine": starter["engine"]}
        assert (await add(api, owner, body))["html"] == starter["html"]
    for visual in (await api.get(f"{PATH}/visual-starters", owner)).json["data"]:
        assert set(visual) == {"id", "name", "description", "category"}
        whole = (await api.get(f"{PATH}/visual-starters/{visual['id']}", owner)).json
        assert (await api.send("POST", f"{PATH}/compile-blocks", owner, {"design": whole["design"]})).status == 200
    assert (await api.get(f"{PATH}/visual-starters/none", owner)).fault == (404, "not_found", None)


async def test_other_accounts_and_other_ids_are_not_found(api: ApiWorld, owner: str, stranger: Key, template: dict[str, Any]) -> None:
    (version,) = (await api.get(f"{PATH}/{template['id']}/versions", owner)).json["data"]
    for name in (template["id"], "x", format_id("em", 5)):
        one = f"{PATH}/{name}"
        paths = [(method, one) for method in ("GET", "PUT", "PATCH", "DELETE")]
        paths += [("POST", f"{one}/{verb}") for verb in ("render", "duplicate", f"publish/{version['id']}")]
        for method, path in [*paths, ("GET", f"{one}/versions")]:
            assert (await api.send(method, path, stranger[1], {})).fault == (404, "not_found", None), (method, path)
    assert (await api.get(PATH, stranger[1])).json["data"] == []
    assert (await api.get(f"{PATH}/{template['id']}", owner)).json == template


async def test_scopes(api: ApiWorld, template: dict[str, Any]) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "weak", scope=Scope.READ_ONLY)
    one = f"{PATH}/{template['id']}"
    for method, path in (("POST", PATH), ("PUT", one), ("DELETE", one), ("POST", f"{one}/duplicate"), ("POST", f"{one}/publish/x")):
        assert (await api.send(method, path, secret, {})).fault[:2] == (403, "insufficient_scope")
    assert (await api.send("POST", f"{one}/render", secret)).status == 200
    assert (await api.send("POST", f"{PATH}/render", secret, {"html": "x"})).status == 200


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("", '{"name": "a", "variables": {"x": {"type": "number", "default": [1e400]}}}', "variables.x.default"),
        ("", '{"name": "a", "blocks": {"globalStyles": {}, "blocks": [], "x": -1e400}}', "blocks"),
        ("/render", '{"html": "a", "variables": {"x": 1e400}}', "variables"),
        ("/render", '{"html": "{{ x }}", "variables": {"self": 1}}', "html"),
    ],
)
async def test_values_that_cannot_be_kept_or_used(api: ApiWorld, owner: str, path: str, body: str, field: str) -> None:
    headers = [("authorization", f"Bearer {owner}"), ("content-type", "application/json")]
    assert (await api.request("POST", PATH + path, headers, body.encode())).fault == (422, "validation_error", field)
