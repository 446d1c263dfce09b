"""The HTML of the recipients' pages, with the Content-Security-Policy of each: no scripts, nothing from elsewhere, no cookies. Pure.

Texts of strangers and customers are escaped; colours and image URLs are checked before they reach a style or a policy. The pages work
without JavaScript, with a keyboard, with a screen reader, on a telephone and in dark mode.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Final
from urllib.parse import urlsplit

from sendryd.model.account import Branding
from sendryd.policy.tracking import redirect_location
from sendryd.web.headers import FRAME_SANDBOX, PLAIN_PAGE, ContentPolicy

DEFAULT_COLOUR: Final = Branding().brand_color
CONFIRM_FIELD: Final = "confirm"  # the form field of the button

_COLOUR: Final = re.compile(r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})", re.ASCII)
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?", re.ASCII)
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1f2328;--soft:#57606a;--card:#fff;--ground:#f3f4f6;--line:#d0d7de}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b3;--card:#161b22;--ground:#0d1117;--line:#3d444d}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;padding:8vh 1rem 2rem;background:var(--ground);
color:var(--ink);font:1rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{width:100%;max-width:30rem;padding:2.5rem 2rem;background:var(--card);border:1px solid var(--line);border-top:4px solid COLOUR;
border-radius:12px;box-shadow:0 8px 30px rgb(0 0 0/.06);text-align:center;overflow-wrap:anywhere}
main.wide{max-width:60rem;text-align:left}
h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.25}
p{margin:0 0 1rem}
.soft,footer,dt{color:var(--soft)}
.logo{max-width:12rem;max-height:4rem;margin-bottom:1.5rem}
button{min-height:3rem;margin-top:.5rem;padding:.75rem 2rem;border:1px solid var(--line);border-radius:8px;background:COLOUR;color:LETTERS;
font:inherit;font-weight:600;cursor:pointer}
button:focus-visible,a:focus-visible,iframe:focus-visible{outline:3px solid var(--ink);outline-offset:3px}
footer{max-width:30rem;margin-top:1.5rem;font-size:.875rem;text-align:center;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:0 0 1.5rem}
dd{margin:0}
iframe{display:block;width:100%;height:70vh;border:1px solid var(--line);border-radius:8px;background:#fff}
pre{margin:0;white-space:pre-wrap;font:inherit}
ul{margin:1.5rem 0 0;padding-left:1.25rem}
""".strip()


@dataclass(frozen=True, slots=True)
class Page:
    """A document and the policy that goes with it."""

    html: str
    policy: ContentPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMessage:
    """The fields of a shared message's page; all are text of strangers."""

    subject: str
    author: str
    to: str
    date: str
    text: str | None  # shown if there is no HTML
    frame_path: str | None  # where its HTML is; None if it has none
    attachments: Sequence[tuple[str, int]]  # names, and sizes in octets


def render_confirmation(branding: Branding, *, author: str | None, address: str, list_id: str | None) -> Page:
    """The page with the button."""
    sender = f"<strong>{escape(author)}</strong>" if author else "this sender"
    if branding.unsubscribe_message:
        message = escape(branding.unsubscribe_message).replace("\n", "<br>")
    else:
        message = f"{_kind_of_mail(list_id)} from {sender} will no longer be sent to you."
    body = (
        f"{_heading(branding.unsubscribe_heading or 'Unsubscribe?')}<p>{message}</p>"
        f'<p class="soft">Address: {escape(mask_address(address))}</p>'
        f'<form method="post"><input type="hidden" name="{CONFIRM_FIELD}" value="yes"><button type="submit">Unsubscribe</button></form>'
    )
    return _brand("Unsubscribe", body, branding, has_form=True)


def render_success(branding: Branding, *, address: str) -> Page:
    """The page after unsubscribing."""
    body = (
        f'<div role="status">{_heading("You are unsubscribed")}<p>We have taken {escape(mask_address(address))} off the list.</p>'
        '<p class="soft">You can close this page. A mail that is on its way already may still arrive.</p></div>'
    )
    return _brand("You are unsubscribed", body, branding)


def render_problem(heading: str, sentence: str) -> Page:
    """An error page. It repeats nothing of the request."""
    return _brand(heading, f"{_heading(heading)}<p>{escape(sentence)}</p>", Branding())


def render_shared(message: SharedMessage) -> Page:
    """A message as its sender shares it."""
    rows = (("From", message.author), ("To", message.to), ("Date", message.date))
    parts = [_heading(message.subject or "(no subject)"), "<dl>"]
    parts += [f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows if value]
    parts.append("</dl>")
    if message.frame_path is not None:
        source = escape(message.frame_path)
        parts.append(f'<iframe src="{source}" title="The message" sandbox="{FRAME_SANDBOX}" referrerpolicy="no-referrer"></iframe>')
    else:
        parts.append(f"<pre>{escape(message.text or 'This message has no text.')}</pre>")
    if message.attachments:
        items = "".join(f"<li>{escape(name or 'unnamed')} ({size:,} octets)</li>" for name, size in message.attachments)
        parts.append(f"<ul>{items}</ul>")
    return _brand(message.subject or "A shared message", "".join(parts), Branding(), width="wide", frames="'self'")


def mask_address(address: str) -> str:
    """An address shortened so that only its owner recognises it: links end up in places that others read."""
    local_part, at, domain = address.rpartition("@")
    return f"{local_part[:1]}…{at}{domain}"


def _kind_of_mail(list_id: str | None) -> str:
    return "Marketing emails" if list_id is None else "Emails of this list"


def _heading(text: str) -> str:
    return f"<h1>{escape(text)}</h1>"


def _brand(title: str, body: str, branding: Branding, *, width: str = "", has_form: bool = False, frames: str = "'none'") -> Page:
    colour = branding.brand_color if _COLOUR.fullmatch(branding.brand_color) else DEFAULT_COLOUR
    style = _STYLE.replace("COLOUR", colour).replace("LETTERS", letters_on(colour))
    logo, pictures = _logo(branding.brand_logo)
    footer = f"<footer>{escape(branding.footer_copy)}</footer>" if branding.footer_copy else ""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="robots" content="noindex"><title>{escape(title)}</title><style>{style}</style></head>'
        f'<body><main class="{width}">{logo}{body}</main>{footer}</body></html>'
    )
    # Browsers check form-action also against redirects of the form's answer, and each further redirect.
    targets = "'none'" if not has_form else "'self' https: http:" if branding.unsubscribe_redirect_url else "'self'"
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return Page(html, replace(PLAIN_PAGE, style=f"'sha256-{digest}'", image=pictures, frame=frames, form_action=targets))


def _logo(url: str | None) -> tuple[str, str]:
    """The logo's element and its source for the policy; no element and 'none' unless the URL is http or https with an ordinary host."""
    location = redirect_location(url) if url else None
    if location is None:
        return "", "'none'"
    parts = urlsplit(location)
    origin = f"{parts.scheme}://{parts.netloc}"
    if not _ORIGIN.fullmatch(origin):
        return "", "'none'"
    return f'<img class="logo" src="{escape(location)}" alt="">', origin


def letters_on(colour: str) -> str:
    """Black or white, whichever has more contrast on the colour (WCAG 2.2, relative luminance)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    red, green, blue = (_linear(int(digits[place : place + 2], 16) / 255) for place in (0, 2, 4))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#fff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000"


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)
