"""Settings: what the program runs with and where each value comes from, and the account."""

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from sendryd.accounts.account import Accounts
from sendryd.accounts.account_smarthost import AccountSmartHosts
from sendryd.accounts.errors import BadField
from sendryd.dashboard.app import Page
from sendryd.dashboard.smarthostfields import read_smart_host, without_password
from sendryd.dashboard.visit import Visit
from sendryd.policy.rights import Right

MAX_NAME: Final = 100  # characters of the account's name


async def show(visit: Visit) -> Response:
    """`GET /settings`."""
    return await _show(visit, wrong="", status=200)


async def rename(visit: Visit) -> Response:
    """`POST /settings`: names the account."""
    name = visit.fields.get("name", "").strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        return await _show(visit, wrong=f"Enter a name of 1 to {MAX_NAME} characters.", status=422)
    accounts = Accounts(visit.needs.store)
    before = await accounts.get(visit.account_id)
    await accounts.rename(visit.account_id, name)
    actor = visit.me.signed_in.person.email
    await visit.needs.audit.add(
        visit.account_id, actor, visit.client, "account.renamed", before.name, before={"name": before.name}, after={"name": name}
    )
    return visit.go("/settings")


async def set_pictures(visit: Visit) -> Response:
    """`POST /settings/pictures`: whether pictures in mails are fetched from other servers when a reader asks."""
    fetches = visit.fields.get("pictures", "") == "fetch"
    accounts = Accounts(visit.needs.store)
    before = (await accounts.get(visit.account_id)).settings.fetches_pictures
    await accounts.change(visit.account_id, lambda settings: replace(settings, fetches_pictures=fetches))
    actor, states = visit.me.signed_in.person.email, ({"fetched": before}, {"fetched": fetches})
    await visit.needs.audit.add(visit.account_id, actor, visit.client, "pictures.changed", "pictures", before=states[0], after=states[1])
    return visit.go("/settings")


async def set_viewers(visit: Visit) -> Response:
    """`POST /settings/viewers`: whether viewers read the texts of mails."""
    do_read = visit.fields.get("viewers", "") == "read"
    accounts = Accounts(visit.needs.store)
    before = (await accounts.get(visit.account_id)).settings.viewers_read_content
    await accounts.change(visit.account_id, lambda settings: replace(settings, viewers_read_content=do_read))
    actor, states = visit.me.signed_in.person.email, ({"read": before}, {"read": do_read})
    await visit.needs.audit.add(visit.account_id, actor, visit.client, "viewers.changed", "viewers", before=states[0], after=states[1])
    return visit.go("/settings")


async def set_smart_host(visit: Visit) -> Response:
    """`POST /settings/smarthost`: where the mail of domains goes that name no smart host."""
    present = (await Accounts(visit.needs.store).get(visit.account_id)).settings.smarthost.url
    url = read_smart_host(visit.fields, present)
    try:
        await AccountSmartHosts(visit.needs.store, visit.needs.audit).set(visit.account_id, url, visit.author, is_operator=False)
    except BadField as error:
        return await _show(visit, wrong="", wrong_host=f"{error}.", status=422)
    return visit.go("/settings")


async def _show(visit: Visit, *, wrong: str, status: int, wrong_host: str = "") -> Response:
    account = await Accounts(visit.needs.store).get(visit.account_id)
    branding = account.settings.branding
    values = {
        "name": visit.fields.get("name", account.name),
        "wrong": wrong,
        "smarthost": without_password(visit.fields.get("smarthost", account.settings.smarthost.url)),
        "wrong_host": wrong_host,
        "fetches_pictures": account.settings.fetches_pictures,
        "do_viewers_read": account.settings.viewers_read_content,
        "settings": tuple(visit.needs.settings()),
        "branding": (
            ("Colour", branding.brand_color),
            ("Logo", branding.brand_logo or ""),
            ("Heading of the unsubscribe page", branding.unsubscribe_heading or ""),
            ("Its text", branding.unsubscribe_message or ""),
            ("Its next page", branding.unsubscribe_redirect_url or ""),
            ("Footer", branding.footer_copy or ""),
        ),
    }
    return visit.show("settings.html", "settings", values, status=status)


PAGES: Final = (
    Page(path="/settings", get=show, post=rename, needs=Right.OPERATE, needs_to_change=Right.ADMINISTER),
    Page(path="/settings/pictures", post=set_pictures, needs=Right.OPERATE, needs_to_change=Right.ADMINISTER),
    Page(path="/settings/smarthost", post=set_smart_host, needs=Right.OPERATE, needs_to_change=Right.ADMINISTER),
    Page(path="/settings/viewers", post=set_viewers, needs=Right.OPERATE, needs_to_change=Right.ADMINISTER),
)
