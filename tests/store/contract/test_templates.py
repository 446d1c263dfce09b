"""Stored templates and their versions."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, TemplateId, TemplateVersionId
from sendryd.model.template import Template, TemplateContent
from sendryd.store.base import Store
from sendryd.store.errors import Changed, Conflict, LimitReached, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

OTHER = AccountId(2)
LATER = NOW + timedelta(hours=1)
CONTENT = TemplateContent(
    subject="Hello {{name}}",
    html="<p>Gr\u00fc\u00dfe {{name}}</p>",
    text=None,
    engine="html",
    variables={"name": {"type": "string", "required": True, "default": None}},
    blocks={"version": 1, "blocks": [{"type": "text", "padding": 1.5}]},
)
PLAIN = TemplateContent(subject="Hello", html="<p>Hello</p>", text=None, engine="html", variables=None, blocks=None)


async def add(store: Store, samples: Samples, content: TemplateContent = CONTENT, account_id: AccountId = ACCOUNT) -> Template:
    number = TemplateId(samples.number())
    template = Template(id=number, account_id=account_id, name="Welcome", content=content, created_at=NOW, updated_at=NOW)
    await store.add_template(template, TemplateVersionId(samples.number()))
    return template


async def update(store: Store, samples: Samples, template: Template, content: TemplateContent, name: str = "Welcome") -> Template:
    version_id = TemplateVersionId(samples.number())
    before = await store.get_template(ACCOUNT, template.id) or template
    return await store.update_template(before, name=name, content=content, mode=template.mode, version_id=version_id, now=LATER)


async def versions(store: Store, template: Template) -> list[tuple[int, TemplateContent]]:
    return [(each.version, each.content) for each in await store.list_template_versions(ACCOUNT, template.id)]


async def test_a_template_comes_back_as_it_was_stored(store: Store, samples: Samples) -> None:
    template = await add(store, samples)
    assert await store.get_template(ACCOUNT, template.id) == template
    assert await store.get_template(OTHER, template.id) is None
    assert await store.get_template(ACCOUNT, TemplateId(1)) is None
    (version,) = await store.list_template_versions(ACCOUNT, template.id)
    assert (version.template_id, version.version, version.content, version.created_at) == (template.id, 1, CONTENT, NOW)
    with pytest.raises(Conflict):
        await store.add_template(template, TemplateVersionId(samples.number()))


async def test_templates_are_listed_newest_first_by_pages(store: Store, samples: Samples) -> None:
    made = [await add(store, samples) for _ in range(3)]
    await add(store, samples, account_id=OTHER)
    page = await store.page_templates(ACCOUNT, limit=2)
    assert (list(page.items), page.has_more) == ([made[2], made[1]], True)
    page = await store.page_templates(ACCOUNT, limit=2, before=made[1].id)
    assert (list(page.items), page.has_more) == ([made[0]], False)


async def test_only_another_content_makes_a_version(store: Store, samples: Samples) -> None:
    template = await add(store, samples)
    renamed = await update(store, samples, template, CONTENT, name="Hi")
    assert renamed == replace(template, name="Hi", updated_at=LATER)
    assert await store.get_template(ACCOUNT, template.id) == renamed
    assert await versions(store, template) == [(1, CONTENT)]
    other = replace(CONTENT, subject=None)
    assert (await update(store, samples, template, other)).content == other
    assert await versions(store, template) == [(2, other), (1, CONTENT)]
    await update(store, samples, template, CONTENT)
    assert await versions(store, template) == [(3, CONTENT), (2, other), (1, CONTENT)]


async def test_an_older_version_can_be_published_again(store: Store, samples: Samples) -> None:
    template = await add(store, samples)
    other = replace(CONTENT, html="<p>new</p>")
    changed = await update(store, samples, template, other, name="Hi")
    _, first = await store.list_template_versions(ACCOUNT, template.id)
    published = await store.publish_template_version(changed, first.id, mode=changed.mode, now=LATER + timedelta(hours=1))
    assert published == replace(template, name="Hi", updated_at=LATER + timedelta(hours=1))
    assert await store.get_template(ACCOUNT, template.id) == published
    assert await versions(store, template) == [(2, other), (1, CONTENT)]
    # What counts is the content as it is now, not that of the newest version.
    await update(store, samples, template, other)
    assert await versions(store, template) == [(3, other), (2, other), (1, CONTENT)]


async def test_a_template_goes_with_its_versions(store: Store, samples: Samples) -> None:
    template, other = await add(store, samples), await add(store, samples)
    (version,) = await store.list_template_versions(ACCOUNT, template.id)
    await store.remove_template(ACCOUNT, template.id)
    assert await store.get_template(ACCOUNT, template.id) is None
    await store.add_template(template, version.id)  # neither number is taken
    assert (await store.page_templates(ACCOUNT, limit=9)).items == (other, template)


async def test_what_is_not_there(store: Store, samples: Samples) -> None:
    mine, other = await add(store, samples), await add(store, samples, account_id=OTHER)
    (version,) = await store.list_template_versions(ACCOUNT, mine.id)
    (foreign,) = await store.list_template_versions(OTHER, other.id)
    for attempt in (
        update(store, samples, replace(other, account_id=ACCOUNT), CONTENT),
        store.remove_template(ACCOUNT, other.id),
        store.list_template_versions(ACCOUNT, other.id),
        store.publish_template_version(replace(other, account_id=ACCOUNT), foreign.id, mode=mine.mode, now=LATER),
        store.publish_template_version(mine, foreign.id, mode=mine.mode, now=LATER),
        store.publish_template_version(replace(mine, id=TemplateId(1)), version.id, mode=mine.mode, now=LATER),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await store.get_template(OTHER, other.id) == other


async def refused(attempt: Awaitable[Any]) -> None:
    with pytest.raises(Changed):
        await attempt


async def test_a_template_is_replaced_as_it_was_read(store: Store, samples: Samples) -> None:
    number, version_id = TemplateId(samples.number()), TemplateVersionId(samples.number())
    template = Template(id=number, account_id=ACCOUNT, name="one", content=PLAIN, created_at=NOW, updated_at=NOW)
    await store.add_template(template, version_id)

    async def update(before: Template, content: TemplateContent) -> Template:
        version = TemplateVersionId(samples.number())
        return await store.update_template(before, name=before.name, content=content, mode=KeyMode.LIVE, version_id=version, now=LATER)

    after = await update(template, replace(PLAIN, subject="New"))
    await refused(update(template, replace(PLAIN, html="<p>New</p>")))
    await refused(store.publish_template_version(template, version_id, mode=KeyMode.LIVE, now=LATER))
    assert await store.get_template(ACCOUNT, number) == after
    assert len(await store.list_template_versions(ACCOUNT, number)) == 2


async def outcomes(attempts: list[Awaitable[Any]]) -> list[str]:
    return sorted(type(each).__name__ for each in await asyncio.gather(*attempts, return_exceptions=True))


async def test_templates_have_a_limit(store: Store, samples: Samples) -> None:
    def template(mode: KeyMode = KeyMode.LIVE) -> Template:
        number = TemplateId(samples.number())
        return Template(id=number, account_id=ACCOUNT, name="x", content=PLAIN, created_at=NOW, updated_at=NOW, mode=mode)

    attempts: list[Awaitable[Any]] = [store.add_template(template(), TemplateVersionId(samples.number()), limit=3) for _ in range(5)]
    assert await outcomes(attempts) == ["LimitReached"] * 2 + ["NoneType"] * 3
    with pytest.raises(LimitReached, match="3 templates, the most that it may have: delete one first"):
        await store.add_template(template(KeyMode.TEST), TemplateVersionId(samples.number()), limit=3)
