"""Stored templates and their versions."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.ids import AccountId, TemplateId, TemplateVersionId
from sendryd.model.template import Template, TemplateContent
from sendryd.store.base import Store
from sendryd.store.errors import Conflict, NotFound
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


async def test_a_template_comes_back_as_it_was_stored(full_store: Store, samples: Samples) -> None:
    template = await add(full_store, samples)
    assert await full_store.get_template(ACCOUNT, template.id) == template
    assert await full_store.get_template(OTHER, template.id) is None
    assert await full_store.get_template(ACCOUNT, TemplateId(1)) is None
    (version,) = await full_store.list_template_versions(ACCOUNT, template.id)
    assert (version.template_id, version.version, version.content, version.created_at) == (template.id, 1, CONTENT, NOW)
    with pytest.raises(Conflict):
        await full_store.add_template(template, TemplateVersionId(samples.number()))


async def test_templates_are_listed_newest_first_by_pages(full_store: Store, samples: Samples) -> None:
    made = [await add(full_store, samples) for _ in range(3)]
    await add(full_store, samples, account_id=OTHER)
    page = await full_store.page_templates(ACCOUNT, limit=2)
    assert (list(page.items), page.has_more) == ([made[2], made[1]], True)
    page = await full_store.page_templates(ACCOUNT, limit=2, before=made[1].id)
    assert (list(page.items), page.has_more) == ([made[0]], False)


async def test_only_another_content_makes_a_version(full_store: Store, samples: Samples) -> None:
    template = await add(full_store, samples)
    renamed = await update(full_store, samples, template, CONTENT, name="Hi")
    assert renamed == replace(template, name="Hi", updated_at=LATER)
    assert await full_store.get_template(ACCOUNT, template.id) == renamed
    assert await versions(full_store, template) == [(1, CONTENT)]
    other = replace(CONTENT, subject=None)
    assert (await update(full_store, samples, template, other)).content == other
    assert await versions(full_store, template) == [(2, other), (1, CONTENT)]
    await update(full_store, samples, template, CONTENT)
    assert await versions(full_store, template) == [(3, CONTENT), (2, other), (1, CONTENT)]


async def test_an_older_version_can_be_published_again(full_store: Store, samples: Samples) -> None:
    template = await add(full_store, samples)
    other = replace(CONTENT, html="<p>new</p>")
    changed = await update(full_store, samples, template, other, name="Hi")
    _, first = await full_store.list_template_versions(ACCOUNT, template.id)
    published = await full_store.publish_template_version(changed, first.id, mode=changed.mode, now=LATER + timedelta(hours=1))
    assert published == replace(template, name="Hi", updated_at=LATER + timedelta(hours=1))
    assert await full_store.get_template(ACCOUNT, template.id) == published
    assert await versions(full_store, template) == [(2, other), (1, CONTENT)]
    # What counts is the content as it is now, not that of the newest version.
    await update(full_store, samples, template, other)
    assert await versions(full_store, template) == [(3, other), (2, other), (1, CONTENT)]


async def test_a_template_goes_with_its_versions(full_store: Store, samples: Samples) -> None:
    template, other = await add(full_store, samples), await add(full_store, samples)
    (version,) = await full_store.list_template_versions(ACCOUNT, template.id)
    await full_store.remove_template(ACCOUNT, template.id)
    assert await full_store.get_template(ACCOUNT, template.id) is None
    await full_store.add_template(template, version.id)  # neither number is taken
    assert (await full_store.page_templates(ACCOUNT, limit=9)).items == (other, template)


async def test_what_is_not_there(full_store: Store, samples: Samples) -> None:
    mine, other = await add(full_store, samples), await add(full_store, samples, account_id=OTHER)
    (version,) = await full_store.list_template_versions(ACCOUNT, mine.id)
    (foreign,) = await full_store.list_template_versions(OTHER, other.id)
    for attempt in (
        update(full_store, samples, replace(other, account_id=ACCOUNT), CONTENT),
        full_store.remove_template(ACCOUNT, other.id),
        full_store.list_template_versions(ACCOUNT, other.id),
        full_store.publish_template_version(replace(other, account_id=ACCOUNT), foreign.id, mode=mine.mode, now=LATER),
        full_store.publish_template_version(mine, foreign.id, mode=mine.mode, now=LATER),
        full_store.publish_template_version(replace(mine, id=TemplateId(1)), version.id, mode=mine.mode, now=LATER),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await full_store.get_template(OTHER, other.id) == other
