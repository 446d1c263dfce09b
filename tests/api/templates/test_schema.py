"""Templates and what to begin them with, from model values alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sendryd.api.templates.schema import (
    TemplateUpdate,
    rendered_json,
    starter_json,
    template_json,
    visual_starter_json,
    whole_visual_starter_json,
)
from sendryd.message.starters import STARTERS, VISUAL_STARTERS
from sendryd.message.template import Rendered
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, TemplateId
from sendryd.model.template import Template, TemplateContent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTENT = TemplateContent(subject=None, html="<p>", text=None, engine="html", variables={"a": {"type": "string"}}, blocks=None)
TEMPLATE = Template(id=TemplateId(1), account_id=AccountId(1), name="Welcome", content=CONTENT, created_at=NOW, updated_at=NOW)


def test_a_template_says_if_live_mail_cannot_use_it() -> None:
    shown = template_json(TEMPLATE)
    assert shown == {
        "id": "tmpl_0000000000001",
        "name": "Welcome",
        "subject": None,
        "html": "<p>",
        "text": None,
        "engine": "html",
        "variables": {"a": {"type": "string"}},
        "blocks": None,
        "created_at": "2026-03-01T12:00:00.000Z",
        "updated_at": "2026-03-01T12:00:00.000Z",
    }
    assert template_json(replace(TEMPLATE, mode=KeyMode.TEST)) == {**shown, "mode": "test"}


def test_what_was_rendered_has_both_bodies() -> None:
    assert rendered_json(Rendered(subject="s", html=None, text="t")) == {"html": "", "text": "t", "subject": "s"}


def test_starters_are_shown_whole_and_designs_in_one_alone() -> None:
    assert [starter_json(each) for each in STARTERS] == [{**each, "engine": "react"} for each in STARTERS]
    for each in VISUAL_STARTERS:
        assert whole_visual_starter_json(each) == dict(each)
        assert {**visual_starter_json(each), "design": each["design"]} == dict(each)


@pytest.mark.parametrize(
    ("given", "clears"), [({}, False), ({"blocks": None}, True), ({"blocks": {"blocks": []}}, False), ({"html": None}, False)]
)
def test_null_takes_the_design_alone_away(given: dict[str, Any], clears: bool) -> None:
    change = TemplateUpdate.model_validate(given).change
    assert (change.clears_blocks, change.blocks, change.html) == (clears, given.get("blocks"), None)
