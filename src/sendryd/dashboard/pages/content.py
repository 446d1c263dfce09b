"""Framed HTML of mails. The address has a token instead of a cookie, because a sandboxed frame sends none."""

from typing import Final

from starlette.responses import PlainTextResponse, Response

from sendryd.dashboard import contenttoken
from sendryd.dashboard.app import Page
from sendryd.dashboard.visit import Visit
from sendryd.message.parse import summarise
from sendryd.policy.privacy import shown_content
from sendryd.runtime import offload
from sendryd.runtime.budget import BudgetExhausted
from sendryd.runtime.log import get_logger
from sendryd.store.errors import StoreError
from sendryd.web.headers import foreign_headers

log = get_logger("dashboard")


async def show(visit: Visit) -> Response:
    """`GET /content/{token}`: the HTML of one mail, without scripts or requests."""
    needs = visit.needs
    token = contenttoken.read(needs.secret, visit.request.path_params["token"])
    if token is None:
        return _say(404, "There is nothing here.")
    if token.expires_at <= needs.clock.now():
        return _say(410, "This preview was for ten minutes: load the page again.")
    if await needs.store.find_membership(token.account_id, token.person_id) is None:
        return _say(404, "There is nothing here.")
    found = await needs.store.get_message(token.account_id, token.message_id)
    if found is None:
        return _say(404, "The mail is no longer stored.")
    try:
        async with needs.answers.room(found.message.size):
            content = shown_content(found.message, await needs.store.read_content(token.message_id))
            summary = await offload.in_thread(summarise, content)
            if summary.html is None:
                return _say(404, "This mail has no HTML.")
            framed = await needs.framer.frame(summary.html, text=summary.text, lane=token.account_id)
            return await needs.answers.make(framed, owner=token.account_id, media_type="text/html", headers=foreign_headers())
    except (StoreError, BudgetExhausted, OSError) as error:
        log.error("content_not_framed", error=repr(error))
        return _say(503, "The mail cannot be shown just now: load the page again in a minute.")


def _say(status: int, sentence: str) -> Response:
    return PlainTextResponse(f"{sentence}\n", status, headers=foreign_headers())


PAGES: Final = (Page(path="/content/{token}", get=show, needs=None),)
