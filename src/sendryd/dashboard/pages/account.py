"""Deleting the account: what goes, what stays, and the name to type."""

from typing import Final

from starlette.responses import Response

from sendryd.accounts.account import Accounts
from sendryd.accounts.closing import Closing
from sendryd.accounts.errors import BadField
from sendryd.dashboard.app import Page
from sendryd.dashboard.visit import Visit
from sendryd.policy.explain.words import count
from sendryd.policy.rights import Right
from sendryd.store.errors import MailWaits


async def show(visit: Visit) -> Response:
    """`GET /settings/delete`."""
    return await _show(visit, wrong="", status=200)


async def delete(visit: Visit) -> Response:
    """`POST /settings/delete`: the account whose name was typed. The person is signed out with all others."""
    try:
        await _closing(visit).close(visit.author, typed=visit.fields.get("name", ""))
    except BadField as error:
        return await _show(visit, wrong=str(error), status=422)
    except MailWaits:
        return await _show(visit, wrong="", status=409)
    return visit.go("/deleted")


async def deleted(visit: Visit) -> Response:
    """`GET /deleted`: the page after the deletion, which has ended all sessions."""
    return visit.show("account_deleted.html", "missing", {})


async def _show(visit: Visit, *, wrong: str, status: int) -> Response:
    account = await Accounts(visit.needs.store).get(visit.account_id)
    waiting = await _closing(visit).count_waiting(visit.author)
    values = {
        "name": account.name,
        "typed": visit.fields.get("name", ""),
        "wrong": wrong,
        "waiting": count(waiting, "mail waits", "mails wait") if waiting else "",
    }
    return visit.show("account_delete.html", "settings", values, status=status)


def _closing(visit: Visit) -> Closing:
    return Closing(visit.needs.store, clock=visit.needs.clock, ids=visit.needs.ids)


def _is_named(visit: Visit) -> bool:
    """Whether something was typed: a slip asks for no proof."""
    return bool(visit.fields.get("name", "").strip())


PAGES: Final = (
    Page(path="/settings/delete", get=show, post=delete, needs=Right.OWN, needs_to_change=Right.OWN, proof=_is_named),
    Page(path="/deleted", get=deleted, needs=None),
)
