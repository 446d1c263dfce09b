"""Framed HTML of mails, and the pictures in it. The address has a token instead of a cookie, because a sandboxed frame sends none."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from starlette.responses import PlainTextResponse, Response

from sendryd.dashboard import contenttoken
from sendryd.dashboard.app import Page
from sendryd.dashboard.contenttoken import ContentToken
from sendryd.dashboard.visit import Visit
from sendryd.message.framing import REMOTE_PREFIX, Pictures, Scheme
from sendryd.message.parse import summarise
from sendryd.message.pictures import inline_numbers, picture_part, picture_type
from sendryd.policy.privacy import may_read_content, shown_content
from sendryd.runtime import offload
from sendryd.runtime.budget import BudgetExhausted
from sendryd.runtime.log import get_logger
from sendryd.store.errors import StoreError
from sendryd.web.foreign import MAX_HTML, MAX_WHOLE
from sendryd.web.headers import foreign_headers

MAX_INDEX: Final = 4  # digits: messages have at most a thousand parts
NOTHING: Final = "There is nothing here."

Found = TypeVar("Found")

log = get_logger("dashboard")


async def show(visit: Visit) -> Response:
    """`GET /content/{token}`: the HTML of one mail, without scripts or requests to other servers."""
    return await _read(visit, _frame)


async def show_part(visit: Visit) -> Response:
    """`GET /content/{token}/part/{name}`: a picture in the mail, or one from elsewhere. Other parts are not shown, whatever type they say they
    have.
    """
    found = await _read(visit, _find_picture)
    if isinstance(found, Response):
        return found
    octets = await visit.needs.pictures.fetch(found)
    kind = picture_type(octets)
    return await _picture(visit, None if kind is None else (kind, [octets]))


async def _may_fetch(visit: Visit, token: ContentToken) -> bool:
    """Whether the account has pictures fetched: that may have been changed since the token was made."""
    account = await visit.needs.store.get_account(token.account_id)
    return account is not None and account.settings.fetches_pictures


async def _frame(visit: Visit, token: ContentToken, content: bytes) -> Response:
    needs, text = visit.needs, visit.request.path_params["token"]
    summary = await offload.in_thread(summarise, content)
    if summary.html is None:
        return _say(visit, 404, "This mail has no HTML.")
    framed = await needs.framer.frame(
        summary.html,
        text=summary.text,
        lane=token.account_id,
        pictures=Pictures(base=f"{text}/part/", inline=inline_numbers(summary), is_remote_shown=token.is_remote_shown),
        scheme=Scheme(visit.query("mail")) if visit.query("mail") in set(Scheme) else Scheme.READER,
        max_html=_max_html(token),
    )
    headers = _headers(visit, f"{needs.access.origin(visit.request)}/content/{text}/part/")
    return await needs.answers.make(framed, owner=token.account_id, media_type="text/html", headers=headers)


async def _find_picture(visit: Visit, token: ContentToken, content: bytes) -> Response | str:
    """The answer with a picture in the mail; of one from elsewhere, its URL: fetching it must not hold memory for the mail."""
    name = visit.request.path_params["name"]
    digits = name.removeprefix(REMOTE_PREFIX)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_INDEX):
        return _say(visit, 404, NOTHING)
    if digits == name:
        return await _picture(visit, await offload.in_thread(picture_part, content, int(digits)))
    is_shown = token.is_remote_shown and await _may_fetch(visit, token)
    html = (await offload.in_thread(summarise, content)).html if is_shown else None
    urls = await visit.needs.framer.remote_pictures(html or "", lane=token.account_id, max_html=_max_html(token))
    return urls[int(digits)] if int(digits) < len(urls) else _say(visit, 404, NOTHING)


async def _picture(visit: Visit, found: tuple[str, list[bytes]] | None) -> Response:
    if found is None:
        return _say(visit, 404, NOTHING)
    # Pictures of all accounts share the room for answers: their owner is known to the token alone.
    kind, pieces = found
    return await visit.needs.answers.make(*pieces, owner=visit.request.path_params["token"], media_type=kind, headers=_headers(visit))


async def _read(visit: Visit, work: Callable[[Visit, ContentToken, bytes], Awaitable[Found]]) -> Found | Response:
    """What the work makes of the mail that the token opens."""
    needs = visit.needs
    token = contenttoken.read(needs.secret, visit.request.path_params["token"])
    if token is None:
        return _say(visit, 404, NOTHING)
    if token.expires_at <= needs.clock.now():
        return _say(visit, 410, "This preview was for ten minutes: load the page again.")
    member, account = (
        await needs.store.find_membership(token.account_id, token.person_id),
        await needs.store.get_account(token.account_id),
    )
    if member is None or account is None or not may_read_content(member.role, account.settings):
        return _say(visit, 404, NOTHING)
    found = await needs.store.get_message(token.account_id, token.message_id)
    if found is None:
        return _say(visit, 404, "The mail is no longer stored.")
    try:
        async with needs.answers.room(found.message.size):
            content = shown_content(found.message, await needs.store.read_content(token.message_id))
            return await work(visit, token, content)
    except (StoreError, BudgetExhausted, OSError) as error:
        log.error("content_not_framed", error=repr(error))
        return _say(visit, 503, "The mail cannot be shown just now: load the page again in a minute.")


def _max_html(token: ContentToken) -> int:
    return MAX_WHOLE if token.is_whole else MAX_HTML


def _headers(visit: Visit, pictures: str = "") -> dict[str, str]:
    return foreign_headers(pictures, framed_by=visit.needs.access.framing_origin(visit.request))


def _say(visit: Visit, status: int, sentence: str) -> Response:
    return PlainTextResponse(f"{sentence}\n", status, headers=_headers(visit))


PAGES: Final = (
    Page(path="/content/{token}", get=show, needs=None, is_foreign=True),
    Page(path="/content/{token}/part/{name}", get=show_part, needs=None, is_foreign=True),
)
