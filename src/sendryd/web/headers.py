"""Response headers of pages for people: what the browser may load, run, frame and send as referrer. Pure.

Standards: Content Security Policy Level 3, Referrer Policy, Permissions Policy, HTML §7.1 (cross-origin opener policy), Fetch §3.7
(cross-origin resource policy).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

# Features that browsers know: they report any other name in their console.
_DENIED_FEATURES: Final = (
    "accelerometer", "browsing-topics", "camera", "display-capture", "encrypted-media", "geolocation", "gyroscope",
    "hid", "idle-detection", "magnetometer", "microphone", "midi", "payment", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPolicy:
    """A Content-Security-Policy. A source that is not named is not allowed; neither are `<base>`, forms and frames around the page."""

    script: str = ""
    style: str = ""
    image: str = ""
    font: str = ""
    connect: str = ""
    frame: str = ""
    form_action: str = "'none'"
    frame_ancestors: str = "'none'"
    sandbox: str | None = None  # allowances of a document without an origin; None: the document keeps its origin

    def __str__(self) -> str:
        """The value of the header."""
        sources = {
            "script": self.script,
            "style": self.style,
            "img": self.image,
            "font": self.font,
            "connect": self.connect,
            "frame": self.frame,
        }
        directives = [] if self.sandbox is None else [f"sandbox {self.sandbox}"]
        directives.append("default-src 'none'")
        directives += [f"{name}-src {source}" for name, source in sources.items() if source]
        directives += ["base-uri 'none'", f"form-action {self.form_action}", f"frame-ancestors {self.frame_ancestors}"]
        return "; ".join(directives)


# A page without scripts; one with a style in it adds the style's hash.
PLAIN_PAGE: Final = ContentPolicy()
# A page with our own scripts and stylesheets, all of them static files.
SCRIPTED_PAGE: Final = ContentPolicy(script="'self'", style="'self'", image="data:")
# Foreign HTML: a document without an origin, scripts, forms or anything fetched, that only our own pages may frame.
FRAME_SANDBOX: Final = "allow-popups allow-popups-to-escape-sandbox"
FOREIGN_HTML: Final = ContentPolicy(style="'unsafe-inline'", image="data:", frame_ancestors="'self'", sandbox=FRAME_SANDBOX)

# Answers to links in mail that are no page: redirects, the pixel.
BARE_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex",
        "X-Content-Type-Options": "nosniff",
    }
)
# Files that only our own pages load.
STATIC_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
)
_PERMISSIONS: Final = ", ".join(f"{feature}=()" for feature in _DENIED_FEATURES)


def page_headers(policy: ContentPolicy, *, cache: str = "no-store") -> dict[str, str]:
    """The headers of our own page, which no other site may embed or keep a window handle to."""
    return {
        "Cache-Control": cache,
        "Content-Security-Policy": str(policy),
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": _PERMISSIONS,
        **STATIC_HEADERS,
    }


def private_page_headers(policy: ContentPolicy) -> dict[str, str]:
    """The headers of a page that only visitors with its link should find."""
    return {**page_headers(policy), "X-Robots-Tag": "noindex"}


def foreign_headers(pictures: str = "", *, framed_by: str = "'self'") -> dict[str, str]:
    """The headers of framed foreign HTML. `X-DNS-Prefetch-Control` stops browsers from looking up the hosts of links.

    `pictures` is an address on our own server from which pictures may come, `framed_by` a source of the pages that may frame it. There is no
    opener policy: browsers refuse one of a document in a sandbox. There is no resource policy either: a document without an origin could not load
    its own pictures.
    """
    policy = replace(FOREIGN_HTML, image=f"data: {pictures}" if pictures else "data:", frame_ancestors=framed_by)
    return {
        **BARE_HEADERS,
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": str(policy),
        "Permissions-Policy": _PERMISSIONS,
        "X-DNS-Prefetch-Control": "off",
    }
