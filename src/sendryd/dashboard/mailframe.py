"""How the HTML of a mail is framed: its address, and the switches beside it. They stand in the address of the page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from sendryd.dashboard import contenttoken
from sendryd.dashboard.mailparts import PartsView
from sendryd.dashboard.timeline import size_text
from sendryd.dashboard.visit import Visit
from sendryd.message.framing import Scheme
from sendryd.model.message import Message
from sendryd.web.foreign import MAX_HTML

WIDTHS: Final = ("full", "360", "600")  # the first one is the frame's own; pixels of a phone and of a mail program's column
SCHEMES: Final = {"light": "Light mail", "dark": "Dark mail"}


@dataclass(frozen=True, slots=True)
class Link:
    """Where to go on."""

    text: str
    href: str
    is_here: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameView:
    """The frame, and what can be changed about it."""

    path: str
    width: str
    scheme: str
    widths: tuple[Link, ...]
    schemes: tuple[Link, ...]
    remote: int  # pictures from elsewhere
    may_fetch: bool  # whether the account allows to show them
    show_remote: str  # the address that shows them; empty: they are shown
    large: str  # the size of HTML that is not framed at once; empty: it is framed
    show_whole: str  # the address that frames it anyway; empty: it is framed


async def frame_of(visit: Visit, message: Message, parts: PartsView, base: str, now: datetime) -> FrameView:
    """The frame of a mail's HTML. `base` is the address of the page, to which the switches add theirs."""
    width = _chosen(visit.query("width"), WIDTHS)
    scheme = _chosen(visit.query("mail"), tuple(SCHEMES))
    account = await visit.needs.store.get_account(message.account_id)
    may_fetch = account is not None and account.settings.fetches_pictures
    is_remote_shown, is_whole = may_fetch and visit.query("pictures") == "shown", visit.query("html") == "whole"
    here = {"width": width, "mail": scheme, "pictures": visit.query("pictures"), "html": visit.query("html")}

    def link(**change: str) -> str:
        pairs = {name: value for name, value in {**here, **change}.items() if value and value not in {WIDTHS[0], Scheme.LIGHT.value}}
        return base + urlencode({"part": "preview", **pairs})

    token = contenttoken.ContentToken(
        account_id=message.account_id,
        message_id=message.id,
        person_id=visit.me.signed_in.person.id,
        expires_at=now + contenttoken.LIFETIME,
        is_remote_shown=is_remote_shown,
        is_whole=is_whole,
    )
    return FrameView(
        path=f"{visit.needs.access.foreign_base(visit.request)}/content/{contenttoken.mint(visit.needs.secret, token)}?mail={scheme}",
        width=width,
        scheme=scheme,
        widths=tuple(Link(each, link(width=each), is_here=each == width) for each in (*WIDTHS[1:], WIDTHS[0])),
        schemes=tuple(Link(text, link(mail=name), is_here=name == scheme) for name, text in SCHEMES.items()),
        remote=parts.remote,
        may_fetch=may_fetch,
        show_remote="" if is_remote_shown else link(pictures="shown"),
        large=size_text(parts.html_size) if parts.html_size > MAX_HTML else "",
        show_whole="" if is_whole else link(html="whole"),
    )


def _chosen(given: str, known: tuple[str, ...]) -> str:
    return given if given in known else known[0]
