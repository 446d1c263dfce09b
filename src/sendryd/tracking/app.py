"""Routes for recipients: links in their mail lead here. Served at the public address, beside the API.

Does: answers the pixel, redirects tracked links, unsubscribes, shows shared messages.
Reads: nothing for opens and clicks, whose token has all data; accounts, deliveries and contents for the pages.
Writes: through the recorder alone.
When things fail: pixels and redirects do not need the store; an unsubscribe that cannot be stored is answered with 503.
Standards: RFC 8058 (one-click unsubscribing), RFC 2369, RFC 9110.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from sendryd.message.framing import Pictures
from sendryd.message.parse import Summary, summarise
from sendryd.message.pictures import inline_numbers, picture_part
from sendryd.message.rewrite import format_date
from sendryd.model.account import Branding
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, format_id
from sendryd.model.message import Message
from sendryd.policy.engagement import is_prefetch
from sendryd.policy.privacy import shown_content
from sendryd.policy.tracking import (
    CLICK_PATH,
    OPEN_PATH,
    SHARE_PATH,
    UNSUBSCRIBE_PATH,
    ClickToken,
    OpenToken,
    ShareToken,
    UnsubscribeToken,
    read_token,
    redirect_location,
)
from sendryd.runtime import offload
from sendryd.runtime.answers import Answers
from sendryd.runtime.budget import BudgetExhausted
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import Fence
from sendryd.runtime.log import get_logger
from sendryd.store.base import Store
from sendryd.store.errors import NotFound, StoreError
from sendryd.tracking.forms import is_confirmed, is_one_click
from sendryd.tracking.pages import (
    Page,
    SharedMessage,
    render_confirmation,
    render_problem,
    render_shared,
    render_success,
)
from sendryd.tracking.recorder import Recorder, Seen
from sendryd.web.foreign import ForeignFramer
from sendryd.web.forms import FormTooLarge, read_form
from sendryd.web.headers import BARE_HEADERS, foreign_headers, private_page_headers

# A transparent GIF of 1 by 1 pixel: screen, two colours, transparency, picture, end. 43 octets.
PIXEL: Final = bytes.fromhex("474946383961 01000100 800000 000000ffffff 21f90401000000 00 2c000000000100010000 0202440100 3b")

MAX_INDEX: Final = 4  # digits: messages have at most a thousand parts

_Shown = tuple[bytes, dict[str, str]]  # a document and its headers

log = get_logger("tracking")

_UNKNOWN_LINK: Final = render_problem("Link not found", "This link is not complete, or not one of ours. Please copy the whole of it.")
_NO_MESSAGE: Final = render_problem("Message not found", "This link is not complete, or the message is no longer there.")
_EXPIRED: Final = render_problem("Link expired", "This message was shared for a limited time. Ask who shared it for a new link.")
_NO_FORM: Final = render_problem(
    "Nothing was changed", "This request was not the one that unsubscribes. Open the link and press the button."
)
_TRY_LATER: Final = render_problem("Please try again", "We could not do that just now. Please try again in a minute.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingDependencies:
    """What the handlers need."""

    store: Store
    recorder: Recorder
    clock: Clock
    secret: bytes  # of the installation; signs the tokens
    public_url: str  # where the links lead
    answers: Answers
    fence: Fence  # for the HTML of shared messages


def routes(needs: TrackingDependencies) -> list[Route]:
    """All routes, for the application that is served at the public address."""
    engagements, lists, shares = EngagementHandlers(needs), UnsubscribeHandlers(needs), ShareHandlers(needs)
    return [
        Route(OPEN_PATH + "{token:path}", engagements.open, methods=["GET"]),  # and HEAD, here and below
        Route(CLICK_PATH + "{token:path}", engagements.click, methods=["GET"]),
        Route(UNSUBSCRIBE_PATH + "{token:path}", lists.show, methods=["GET"]),
        Route(UNSUBSCRIBE_PATH + "{token:path}", lists.unsubscribe, methods=["POST"]),
        Route(SHARE_PATH + "{token}/body", shares.show_body, methods=["GET"]),
        Route(SHARE_PATH + "{token}/part/{number}", shares.show_part, methods=["GET"]),
        Route(SHARE_PATH + "{token:path}", shares.show, methods=["GET"]),
    ]


class EngagementHandlers:
    """The pixel and tracked links."""

    def __init__(self, needs: TrackingDependencies) -> None:
        self._needs = needs

    async def open(self, request: Request) -> Response:
        """`GET /o/<token>`: the pixel. The same picture for every token, so that a valid token cannot be told from an invalid one."""
        token = read_token(self._needs.secret, request.path_params["token"])
        if isinstance(token, OpenToken):
            self._note(request, token, None)
        return Response(PIXEL, media_type="image/gif", headers=BARE_HEADERS)

    async def click(self, request: Request) -> Response:
        """`GET /c/<token>`: redirects to the target of the sender's link, which is in the token."""
        token = read_token(self._needs.secret, request.path_params["token"])
        location = redirect_location(token.url) if isinstance(token, ClickToken) else None
        if not isinstance(token, ClickToken) or location is None:
            return _show(_UNKNOWN_LINK, 404)
        self._note(request, token, token.url)
        return Response(status_code=302, headers={**BARE_HEADERS, "Location": location})

    def _note(self, request: Request, token: OpenToken | ClickToken, link: str | None) -> None:
        if request.method == "HEAD":
            return
        self._needs.recorder.add(
            Seen(
                delivery_id=token.delivery_id,
                link=link,
                user_agent=_user_agent(request),
                ip=_address(request),
                is_prefetch=is_prefetch(request.headers),
                happened_at=self._needs.clock.now(),
            )
        )


class UnsubscribeHandlers:
    """The unsubscribe page: GET shows it, POST alone unsubscribes."""

    def __init__(self, needs: TrackingDependencies) -> None:
        self._needs = needs

    async def show(self, request: Request) -> Response:
        """`GET /u/<token>`: a page with a button."""
        token = self._read(request)
        return _show(_UNKNOWN_LINK, 404) if token is None else await self._ask(token)

    async def unsubscribe(self, request: Request) -> Response:
        """`POST /u/<token>`: the button, or `List-Unsubscribe=One-Click` of a mailbox provider, which must not be redirected (RFC 8058 §3.1)."""
        token = self._read(request)
        if token is None:
            return _show(_UNKNOWN_LINK, 404)
        try:
            form = await read_form(request)
        except FormTooLarge:
            return _show(_NO_FORM, 413)
        except ClientDisconnect:
            return Response(status_code=400)
        one_click = is_one_click(form)
        if not one_click and not is_confirmed(form):
            return _show(_NO_FORM, 400)
        reason = "one-click" if one_click else "unsubscribe page"
        try:
            await self._needs.recorder.unsubscribe(token, reason=reason, user_agent=_user_agent(request), ip=_address(request))
        except StoreError as error:
            log.error("not_unsubscribed", delivery=format_id(DELIVERY_PREFIX, token.delivery_id), error=repr(error))
            return _show(_TRY_LATER, 503, {"Retry-After": "60"})
        if one_click:
            return PlainTextResponse("Unsubscribed.\n", headers=BARE_HEADERS)
        branding, _ = await self._look_up(token)
        location = redirect_location(branding.unsubscribe_redirect_url) if branding.unsubscribe_redirect_url else None
        if location is not None:
            return Response(status_code=303, headers={**BARE_HEADERS, "Location": location})
        return _show(render_success(branding, address=token.address))

    def _read(self, request: Request) -> UnsubscribeToken | None:
        token = read_token(self._needs.secret, request.path_params["token"])
        return token if isinstance(token, UnsubscribeToken) else None

    async def _ask(self, token: UnsubscribeToken) -> Response:
        branding, author = await self._look_up(token)
        return _show(render_confirmation(branding, author=author, address=token.address, list_id=token.list_id))

    async def _look_up(self, token: UnsubscribeToken) -> tuple[Branding, str | None]:
        """The page's branding and the sender's name. The page works without them."""
        try:
            account = await self._needs.store.get_account(token.account_id)
            delivery = await self._needs.store.find_delivery(token.delivery_id)
        except StoreError as error:
            log.warning("page_without_branding", error=repr(error))
            return Branding(), None
        return account.settings.branding if account else Branding(), delivery.message.author if delivery else None


class ShareHandlers:
    """Pages that show a shared message to visitors with its link, until the link expires."""

    def __init__(self, needs: TrackingDependencies) -> None:
        self._needs = needs
        self._framer = ForeignFramer(needs.fence)

    async def show(self, request: Request) -> Response:
        """`GET /s/<token>`: the message's fields, and its text or a frame with its HTML."""
        text = request.path_params["token"]

        async def render(message: Message, content: bytes) -> _Shown:
            summary = await offload.in_thread(summarise, content)
            page = await offload.in_thread(_render_message, message, summary, f"{text}/body")
            return _body(page), private_page_headers(page.policy)

        return await self._answer(text, render)

    async def show_body(self, request: Request) -> Response:
        """`GET /s/<token>/body`: the message's HTML, framed, without scripts or requests."""
        text = request.path_params["token"]

        async def render(message: Message, content: bytes) -> _Shown | None:
            summary = await offload.in_thread(summarise, content)
            if summary.html is None:
                return None
            pictures = Pictures(base="part/", inline=inline_numbers(summary))
            framed = await self._framer.frame(summary.html, text=summary.text, lane=message.account_id, pictures=pictures)
            return framed, foreign_headers(f"{self._needs.public_url}{SHARE_PATH}{text}/part/")

        return await self._answer(text, render)

    async def show_part(self, request: Request) -> Response:
        """`GET /s/<token>/part/<number>`: a picture in the message."""
        number = request.path_params["number"]

        async def render(_message: Message, content: bytes) -> _Shown | None:
            is_number = number.isascii() and number.isdigit() and len(number) <= MAX_INDEX
            found = await offload.in_thread(picture_part, content, int(number)) if is_number else None
            return None if found is None else (b"".join(found[1]), {**foreign_headers(), "Content-Type": found[0]})

        return await self._answer(request.path_params["token"], render)

    async def _answer(self, text: str, render: Callable[[Message, bytes], Awaitable[_Shown | None]]) -> Response:
        needs = self._needs
        token = read_token(needs.secret, text)
        if not isinstance(token, ShareToken):
            return _show(_NO_MESSAGE, 404)
        if token.expires_at <= needs.clock.now():
            return _show(_EXPIRED, 410)
        try:
            found = await needs.store.get_message(token.account_id, token.message_id)
            if found is None:
                return _show(_NO_MESSAGE, 404)
            message = found.message
            async with needs.answers.room(message.size):
                content = shown_content(message, await needs.store.read_content(message.id))
                shown = await render(message, content)
                if shown is None:
                    return _show(_NO_MESSAGE, 404)
                body, headers = shown
                kind = headers.pop("Content-Type", "text/html")
                return await needs.answers.make(body, owner=message.account_id, media_type=kind, headers=headers)
        except NotFound:
            return _show(_NO_MESSAGE, 404)
        except (StoreError, BudgetExhausted, OSError) as error:
            log.error("shared_message_not_read", id=format_id(MESSAGE_PREFIX, token.message_id), error=repr(error))
            return _show(_TRY_LATER, 503, {"Retry-After": "60"})


def _render_message(message: Message, summary: Summary, frame_path: str) -> Page:
    shared = SharedMessage(
        subject=message.subject,
        author=message.author,
        to=", ".join((*message.to, *message.cc)),
        date=format_date(message.created_at),
        text=summary.text,
        frame_path=frame_path if summary.html is not None else None,  # beside this page, whatever a proxy puts in front
        attachments=[(attachment.filename, attachment.size) for attachment in summary.attachments],
    )
    return render_shared(shared)


def _body(page: Page) -> bytes:
    return page.html.encode("utf-8", "replace")  # texts of strangers may contain lone surrogates


def _show(page: Page, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return HTMLResponse(_body(page), status, headers={**private_page_headers(page.policy), **(headers or {})})


def _user_agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


def _address(request: Request) -> str | None:
    """The client's address; the server has applied the fields of trusted proxies."""
    return request.client.host if request.client else None
