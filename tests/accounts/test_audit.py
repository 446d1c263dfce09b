"""What the audit says of changes of webhooks, templates and lists, whoever makes them."""

from sendryd.accounts.audit import By, Client
from sendryd.accounts.suppressions import Suppressions
from sendryd.accounts.templates import TemplateChange, Templates
from sendryd.accounts.webhooks import WebhookChange, Webhooks
from sendryd.model.actor import System
from sendryd.model.ids import AccountId
from sendryd.model.suppression import SuppressionReason
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Store
from sendryd.testing.clock import ManualClock

ACCOUNT = AccountId(1)
ACTOR = System(ACCOUNT)
MARA = By(account_id=ACCOUNT, actor="mara@acme.example", client=Client(address="192.0.2.1"))


async def entries(store: Store) -> list[tuple[str, dict[str, object], dict[str, object]]]:
    found = reversed((await store.list_audit(ACCOUNT, limit=50)).items)
    return [(each.action, dict(each.before), dict(each.after)) for each in found]


async def test_webhooks_are_shown_without_what_may_be_a_password(store: Store, clock: ManualClock) -> None:
    rand = SeededRand(7)
    webhooks = Webhooks(store, clock=clock, ids=IdSource(clock, rand), rand=rand, allow_private=False).by(MARA)
    made = await webhooks.create(ACTOR, "https://hooks.example.org/secret-path?token=hunter2", ["email.bounced"])
    await webhooks.update(ACTOR, made.id, WebhookChange(is_active=False))
    await webhooks.remove(ACTOR, made.id)
    added, changed, removed = await entries(store)
    assert added == (
        "webhook.added",
        {},
        {"url": "https://hooks.example.org/[hidden]", "events": ["email.bounced"], "is_active": True},
    )
    assert changed == ("webhook.changed", {"is_active": True}, {"is_active": False})
    assert removed == ("webhook.removed", {}, {})


async def test_templates_name_the_fields_that_changed(store: Store, clock: ManualClock) -> None:
    templates = Templates(store, clock=clock, ids=IdSource(clock, SeededRand(7))).by(MARA)
    made = await templates.add(ACTOR, TemplateChange(name="Welcome", subject="Hello", html="<p>Hello</p>"))
    await templates.update(ACTOR, made.id, TemplateChange(name="Welcome", subject="Good day"))
    await templates.remove(ACTOR, made.id)
    assert await entries(store) == [
        ("template.created", {}, {"name": "Welcome"}),
        ("template.changed", {}, {"changed": "subject"}),
        ("template.removed", {"name": "Welcome"}, {}),
    ]


async def test_lists_name_the_address_and_the_cause(store: Store, clock: ManualClock) -> None:
    lists = Suppressions(store, clock=clock, ids=IdSource(clock, SeededRand(7))).by(MARA)
    await lists.suppress(ACCOUNT, "ann@example.org", SuppressionReason.MANUAL)
    await lists.lift_suppression(ACCOUNT, "ann@example.org")
    (made,), _ = await lists.unsubscribe(ACCOUNT, ["bob@example.org"], list_id="news", reason=None)
    await lists.subscribe(ACCOUNT, made.id)
    found = [(each.action, each.target) for each in reversed((await store.list_audit(ACCOUNT, limit=9)).items)]
    assert found == [
        ("suppression.added", "ann@example.org"),
        ("suppression.lifted", "ann@example.org"),
        ("unsubscribe.added", "bob@example.org"),
        ("unsubscribe.lifted", "bob@example.org"),
    ]
