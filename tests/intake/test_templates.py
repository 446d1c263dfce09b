"""Templates are kept if they can be read, versioned, and rendered."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sendryd.intake.templates import EMPTY, MAX_NAME, MAX_TEXT, BadTemplate, TemplateChange, TemplateOffice, changed
from sendryd.message.starters import STARTERS, VISUAL_STARTERS
from sendryd.message.template import TemplateError
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, TemplateId, TemplateVersionId
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Store
from sendryd.store.errors import NotFound
from sendryd.store.sqlite import open_store
from sendryd.testing.clock import ManualClock

ACCOUNT, OTHER = AccountId(1), AccountId(2)
DESIGN = VISUAL_STARTERS[0]["design"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    opened = open_store(tmp_path)
    for account in (ACCOUNT, OTHER):
        await opened.ensure_account(account, f"account {account}", clock.now())
    yield opened
    await opened.aclose()


@pytest.fixture
def office(store: Store, clock: ManualClock) -> TemplateOffice:
    return TemplateOffice(store, clock=clock, ids=IdSource(clock, SeededRand(3)))


async def test_a_stored_template_is_rendered_with_its_schema(office: TemplateOffice) -> None:
    schema = {"name": {"type": "string", "default": "there"}, "plan": {"type": "string", "required": True}}
    change = TemplateChange(name="Welcome", subject="Hi {{ name }}", html="<p>{{ name }}: {{ plan }}</p>", variables=schema)
    template = await office.add(ACCOUNT, change)
    made = await office.render(ACCOUNT, template.id, {"plan": "<Pro>"}, mode=KeyMode.LIVE)
    assert (made.subject, made.html, made.text) == ("Hi there", "<p>there: &lt;Pro&gt;</p>", "there: <Pro>")
    with pytest.raises(TemplateError, match="plan is required"):
        await office.render(ACCOUNT, template.id, {}, mode=KeyMode.LIVE)


async def test_large_templates_are_rendered_as_well(office: TemplateOffice) -> None:
    template = await office.add(ACCOUNT, TemplateChange(name="Large", html="{{ x }}" + "<p>word</p>" * 10_000))
    made = await office.render(ACCOUNT, template.id, {"x": "first"}, mode=KeyMode.LIVE)
    assert made.html is not None
    assert made.html.startswith("first<p>")
    assert len(made.html) == 5 + 110_000


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (TemplateChange(html="<p>\n{{ name</p>"), "html", "line 2"),
        (TemplateChange(subject="{% if x %}"), "subject", "syntax error"),
        (TemplateChange(text="{{ x|nothing }}"), "text", "there is no filter nothing"),
        (TemplateChange(html="{{ f() }}"), "html", "only filters and range are called"),
        (TemplateChange(subject="{{first-name}}"), "subject", "write first_name"),
        (TemplateChange(text="{{ user.last-name }}"), "text", "write last_name"),
        (TemplateChange(text="x" * (MAX_TEXT + 1)), "text", "at most 1,048,576"),
        (TemplateChange(subject="x" * 999), "subject", "at most 998"),
        (TemplateChange(blocks={"globalStyles": 5, "blocks": []}), "blocks", "globalStyles"),
        (TemplateChange(blocks={**DESIGN, "blocks": [{"id": "a", "type": "video", "props": {}}]}), "blocks", "type"),
    ],
)
def test_what_cannot_be_kept(change: TemplateChange, field: str, words: str) -> None:
    with pytest.raises(BadTemplate, match=words) as caught:
        changed(EMPTY, change)
    assert caught.value.field == field


@pytest.mark.parametrize("source", ["{{ price + 1 }}", "{{ price|round }}", "{{ a / b }}", "{% for i in items %}{{ i.x.y }}{% endfor %}"])
def test_what_needs_values_is_kept_without_them(source: str) -> None:
    assert changed(EMPTY, TemplateChange(html=source)).html == source


def test_a_design_is_compiled_unless_html_comes_with_it() -> None:
    compiled = changed(EMPTY, TemplateChange(engine="visual", blocks=DESIGN))
    assert compiled.html is not None
    assert "{{ title }}" in compiled.html
    assert changed(EMPTY, TemplateChange(engine="visual", blocks=DESIGN, html="<p>own</p>")).html == "<p>own</p>"
    without = changed(compiled, TemplateChange(clears_blocks=True))
    assert (without.blocks, without.html) == (None, compiled.html)


def test_all_starters_can_be_kept() -> None:
    for starter in STARTERS:
        changed(EMPTY, TemplateChange(subject=starter["subject"], html=starter["html"]))
    for visual in VISUAL_STARTERS:
        changed(EMPTY, TemplateChange(engine="visual", blocks=visual["design"]))


async def test_updates_leave_what_they_do_not_name_and_make_versions(office: TemplateOffice, clock: ManualClock) -> None:
    first = await office.add(ACCOUNT, TemplateChange(name="A", subject="one", html="<p>1</p>"))
    clock.advance(timedelta(hours=1))
    second = await office.update(ACCOUNT, first.id, TemplateChange(subject="two"))
    assert (second.name, second.content.subject, second.content.html) == ("A", "two", "<p>1</p>")
    assert second.updated_at == clock.now()
    await office.update(ACCOUNT, first.id, TemplateChange(name="B"))
    versions = await office.versions(ACCOUNT, first.id)
    assert [(each.version, each.content.subject) for each in versions] == [(2, "two"), (1, "one")]
    published = await office.publish(ACCOUNT, first.id, versions[1].id)
    assert (published.name, published.content) == ("B", first.content)


async def test_a_bad_update_changes_nothing(office: TemplateOffice) -> None:
    template = await office.add(ACCOUNT, TemplateChange(name="A", html="<p>1</p>"))
    with pytest.raises(BadTemplate):
        await office.update(ACCOUNT, template.id, TemplateChange(name="B", html="{{"))
    assert await office.get(ACCOUNT, template.id) == template


async def test_a_copy_has_a_name_and_a_life_of_its_own(office: TemplateOffice) -> None:
    template = await office.add(ACCOUNT, TemplateChange(name="x" * MAX_NAME, html="<p>1</p>"))
    copy = await office.duplicate(ACCOUNT, template.id)
    assert (len(copy.name), copy.name[-7:], copy.content) == (MAX_NAME, " (copy)", template.content)
    await office.remove(ACCOUNT, template.id)
    assert await office.get(ACCOUNT, copy.id) == copy
    assert [each.id for each in (await office.page(ACCOUNT, limit=10, before=None)).items] == [copy.id]


async def test_nobody_reaches_the_templates_of_others(office: TemplateOffice) -> None:
    template = await office.add(ACCOUNT, TemplateChange(name="A", html="<p>1</p>"))
    version = (await office.versions(ACCOUNT, template.id))[0].id
    for account, number in ((OTHER, template.id), (ACCOUNT, TemplateId(5))):
        for attempt in (
            office.get(account, number),
            office.update(account, number, TemplateChange(name="B")),
            office.duplicate(account, number),
            office.versions(account, number),
            office.publish(account, number, version),
            office.render(account, number, {}, mode=KeyMode.LIVE),
            office.remove(account, number),
        ):
            with pytest.raises(NotFound):
                await attempt
    with pytest.raises(NotFound):
        await office.publish(ACCOUNT, template.id, TemplateVersionId(5))
