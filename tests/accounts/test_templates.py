"""Templates are kept if they can be read, versioned, and rendered."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from sendryd.accounts.templates import MAX_NAME, MAX_TEXT, BadTemplate, TemplateChange, Templates
from sendryd.message.starters import STARTERS, VISUAL_STARTERS
from sendryd.message.template import TemplateError
from sendryd.model.actor import System
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, TemplateId, TemplateVersionId
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.fence import Fences, FenceUnavailable
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Store
from sendryd.store.errors import NotFound
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import Samples

ACCOUNT, OTHER = AccountId(1), AccountId(2)
DESIGN = VISUAL_STARTERS[0]["design"]


@pytest.fixture
def fences() -> Iterator[Fences]:
    made = Fences(SystemClock())
    yield made
    made.close()


@pytest.fixture
def templates(store: Store, clock: ManualClock, fences: Fences) -> Templates:
    return Templates(store, clock=clock, ids=IdSource(clock, SeededRand(3)), fences=fences)


async def test_a_stored_template_is_rendered_with_its_schema(templates: Templates) -> None:
    schema = {"name": {"type": "string", "default": "there"}, "plan": {"type": "string", "required": True}}
    change = TemplateChange(name="Welcome", subject="Hi {{ name }}", html="<p>{{ name }}: {{ plan }}</p>", variables=schema)
    template = await templates.add(System(ACCOUNT), change)
    made = await templates.render(System(ACCOUNT), template.id, {"plan": "<Pro>"})
    assert (made.subject, made.html, made.text) == ("Hi there", "<p>there: &lt;Pro&gt;</p>", "there: <Pro>")
    with pytest.raises(TemplateError, match="plan is required"):
        await templates.render(System(ACCOUNT), template.id, {})


async def test_large_templates_are_rendered_as_well(templates: Templates) -> None:
    template = await templates.add(System(ACCOUNT), TemplateChange(name="Large", html="{{ x }}" + "<p>word</p>" * 10_000))
    made = await templates.render(System(ACCOUNT), template.id, {"x": "first"})
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
async def test_what_cannot_be_kept(templates: Templates, change: TemplateChange, field: str, words: str) -> None:
    with pytest.raises(BadTemplate, match=words) as caught:
        await templates.add(System(ACCOUNT), change)
    assert caught.value.field == field


@pytest.mark.parametrize("source", ["{{ price + 1 }}", "{{ price|round }}", "{{ a / b }}", "{% for i in items %}{{ i.x.y }}{% endfor %}"])
async def test_what_needs_values_is_kept_without_them(templates: Templates, source: str) -> None:
    assert (await templates.add(System(ACCOUNT), TemplateChange(html=source))).content.html == source


async def test_a_design_is_compiled_unless_html_comes_with_it(templates: Templates) -> None:
    template = await templates.add(System(ACCOUNT), TemplateChange(engine="visual", blocks=DESIGN))
    compiled = template.content
    assert compiled.html is not None
    assert "{{ title }}" in compiled.html
    own = await templates.add(System(ACCOUNT), TemplateChange(engine="visual", blocks=DESIGN, html="<p>own</p>"))
    assert own.content.html == "<p>own</p>"
    without = (await templates.update(System(ACCOUNT), template.id, TemplateChange(clears_blocks=True))).content
    assert (without.blocks, without.html) == (None, compiled.html)


async def test_all_starters_can_be_kept(templates: Templates) -> None:
    for starter in STARTERS:
        await templates.add(System(ACCOUNT), TemplateChange(subject=starter["subject"], html=starter["html"]))
    for visual in VISUAL_STARTERS:
        await templates.add(System(ACCOUNT), TemplateChange(engine="visual", blocks=visual["design"]))


async def test_updates_leave_what_they_do_not_name_and_make_versions(templates: Templates, clock: ManualClock) -> None:
    first = await templates.add(System(ACCOUNT), TemplateChange(name="A", subject="one", html="<p>1</p>"))
    clock.advance(timedelta(hours=1))
    second = await templates.update(System(ACCOUNT), first.id, TemplateChange(subject="two"))
    assert (second.name, second.content.subject, second.content.html) == ("A", "two", "<p>1</p>")
    assert second.updated_at == clock.now()
    await templates.update(System(ACCOUNT), first.id, TemplateChange(name="B"))
    versions = await templates.versions(ACCOUNT, first.id)
    assert [(each.version, each.content.subject) for each in versions] == [(2, "two"), (1, "one")]
    published = await templates.publish(System(ACCOUNT), first.id, versions[1].id)
    assert (published.name, published.content) == ("B", first.content)


async def test_a_bad_update_changes_nothing(templates: Templates) -> None:
    template = await templates.add(System(ACCOUNT), TemplateChange(name="A", html="<p>1</p>"))
    with pytest.raises(BadTemplate):
        await templates.update(System(ACCOUNT), template.id, TemplateChange(name="B", html="{{"))
    assert await templates.get(ACCOUNT, template.id) == template


async def test_a_copy_has_a_name_and_a_life_of_its_own(templates: Templates) -> None:
    template = await templates.add(System(ACCOUNT), TemplateChange(name="x" * MAX_NAME, html="<p>1</p>"))
    copy = await templates.duplicate(System(ACCOUNT), template.id)
    assert (len(copy.name), copy.name[-7:], copy.content) == (MAX_NAME, " (copy)", template.content)
    await templates.remove(System(ACCOUNT), template.id)
    assert await templates.get(ACCOUNT, copy.id) == copy
    assert [each.id for each in (await templates.page(ACCOUNT, limit=10, before=None)).items] == [copy.id]


async def test_nobody_reaches_the_templates_of_others(templates: Templates) -> None:
    template = await templates.add(System(ACCOUNT), TemplateChange(name="A", html="<p>1</p>"))
    version = (await templates.versions(ACCOUNT, template.id))[0].id
    for account, number in ((OTHER, template.id), (ACCOUNT, TemplateId(5))):
        for attempt in (
            templates.get(account, number),
            templates.update(System(account), number, TemplateChange(name="B")),
            templates.duplicate(System(account), number),
            templates.versions(account, number),
            templates.publish(System(account), number, version),
            templates.render(System(account), number, {}),
            templates.remove(System(account), number),
        ):
            with pytest.raises(NotFound):
                await attempt
    with pytest.raises(NotFound):
        await templates.publish(System(ACCOUNT), template.id, TemplateVersionId(5))


@pytest.mark.parametrize(
    ("html", "value"),
    [
        ("{{{ x }}}", "<p " + " ".join(f"a{number}=1" for number in range(60_000)) + ">"),  # before: the square of it in the parser
        ("{{{ x }}}", "".join(f"<b id={number}></i>" for number in range(20_000)) + "<p></p>" * 20_000),  # each paragraph opens them again
        ("{% for i in range(50000) %}{{ x|upper|length }}{% endfor %}", "x" * 100_000),
        ("{% for c in x %}{% for d in x %}{{ c }}{% endfor %}{% endfor %}", ["<p>"] * 10_000),
        ("{{ x|replace('a', x) }}", "a" * 400_000),
    ],
)
async def test_a_short_template_whose_variables_make_it_costly_holds_up_nobody(
    templates: Templates, fences: Fences, html: str, value: object
) -> None:
    template = await templates.add(System(ACCOUNT), TemplateChange(name="a", html=html))
    job = asyncio.ensure_future(templates.render(System(ACCOUNT), template.id, {"x": value}))
    longest, last = 0.0, time.thread_time()
    while not job.done():
        await asyncio.sleep(0)
        now = time.thread_time()  # of the loop's own work, whatever else the machine does
        longest, last = max(longest, now - last), now
    assert longest < 0.25
    assert fences.mail.statistics()["jobs_total"] == 1
    if job.exception() is not None:
        assert isinstance(job.exception(), TemplateError)


async def test_what_is_small_is_rendered_without_another_process(templates: Templates, fences: Fences) -> None:
    template = await templates.add(System(ACCOUNT), TemplateChange(name="a", subject="Hi {{ name }}", html="<p>{{ name|title }}</p>" * 40))
    made = await templates.render(System(ACCOUNT), template.id, {"name": "ann"})
    assert made.subject == "Hi ann"
    assert made.text is not None
    assert made.text.startswith("Ann\n\nAnn")
    assert (fences.mail.pid, fences.previews.pid) == (None, None)


async def test_what_comes_of_a_template_is_measured_with_its_variables(templates: Templates) -> None:
    template = await templates.add(
        System(ACCOUNT), TemplateChange(name="a", subject="{{ x }}", text="{% for i in range(3000) %}{{ y }}{% endfor %}")
    )
    with pytest.raises(TemplateError, match="the subject has 999 characters with its variables, and at most 998"):
        await templates.render(System(ACCOUNT), template.id, {"x": "x" * 999})
    with pytest.raises(TemplateError, match="the text has 1,050,000 characters"):
        await templates.render(System(ACCOUNT), template.id, {"y": "y" * 350})


async def test_mail_of_test_keys_is_rendered_beside_that_of_live_keys(templates: Templates, fences: Fences) -> None:
    template = await templates.add(System(ACCOUNT), TemplateChange(name="a", text="{{ x }}"))
    for mode in (KeyMode.TEST, KeyMode.LIVE):
        await templates.render(Samples().api_key(mode=mode).key, template.id, {"x": "x" * 100_000})
    assert (fences.mail.statistics()["jobs_total"], fences.previews.statistics()["jobs_total"]) == (1, 1)


async def test_a_large_message_does_not_hold_its_memory_while_it_waits_for_the_fence(templates: Templates, fences: Fences) -> None:
    template = await templates.add(System(ACCOUNT), TemplateChange(name="a", text="{{ x }}"))
    busy = asyncio.ensure_future(fences.mail.run(pow, 7**7, 10**9, lane=OTHER))
    await asyncio.sleep(0)
    with pytest.raises(FenceUnavailable):
        await templates.render(System(ACCOUNT), template.id, {"x": "x" * 100_000}, is_large=True, large_timeout=0.2)
    assert not busy.done()
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    assert (await templates.render(System(ACCOUNT), template.id, {"x": "a"}, is_large=True)).text == "a"
