"""Makes a safe document for a frame out of a stranger's HTML.

Strategy: `message.framing` rewrites the HTML behind the fence, so that a browser makes no requests for it; `headers.foreign_headers` forbid them
a second time.
When things fail: HTML that is too costly to parse, or that cannot be parsed now, is never shown; the document has the message's text and a sentence instead.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any, Final

from sendryd.message.fenced import frame_message, list_remote_pictures
from sendryd.message.framing import NO_PICTURES, Pictures, Scheme, TooComplex
from sendryd.message.plaintext import strip_tags
from sendryd.runtime import offload
from sendryd.runtime.fence import Fence, FenceFault, FenceUnavailable, TooCostly
from sendryd.runtime.log import get_logger

MAX_HTML: Final = 2 * 1024 * 1024  # characters: twenty times the length at which Gmail clips a mail
MAX_WHOLE: Final = 16 * 1024 * 1024  # characters of HTML that somebody wants to see although it is larger; the fence's limits hold as well
_TOO_COMPLEX: Final = "The design of this message is too large or too complex to be shown. This is its text."
_NOT_NOW: Final = "The design of this message cannot be shown just now: load the page again in a minute. This is its text."
_STYLE: Final = (
    ":root{color-scheme:light dark}body{margin:1rem;font:1rem/1.6 system-ui,sans-serif;overflow-wrap:anywhere}"
    "p{padding:.5rem .75rem;border:1px solid;border-radius:8px}pre{white-space:pre-wrap;font:inherit}"
)

log = get_logger("web")


class ForeignFramer:
    """Frames HTML behind a fence. Concurrent requests for the same HTML share one job: many visitors may open a link at once."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence
        self._jobs: dict[tuple[object, ...], asyncio.Task[Any]] = {}  # under way, by lane and arguments

    async def frame(
        self,
        html: str,
        *,
        text: str | None,
        lane: int,
        pictures: Pictures = NO_PICTURES,
        scheme: Scheme = Scheme.READER,
        max_html: int = MAX_HTML,
    ) -> bytes:
        """The document in UTF-8, to be served with `foreign_headers`. `text` is the message's own, if it has one. Never raises for the input."""
        sentence = _TOO_COMPLEX
        if len(html) <= max_html:
            how = (pictures.base, dict(pictures.inline), pictures.is_remote_shown, scheme.value)
            try:
                framed: bytes = await self._share(lane, frame_message, html, *how)
            except (TooComplex, TooCostly) as error:
                log.info("html_not_framed", reason=str(error))
            except (FenceUnavailable, FenceFault) as error:
                log.warning("html_not_framed", error=repr(error))
                sentence = _NOT_NOW
            else:
                return framed
        return await offload.in_thread(_frame_text, html, text, sentence)

    async def remote_pictures(self, html: str, *, lane: int, max_html: int = MAX_HTML) -> list[str]:
        """The URLs of pictures from elsewhere; none of HTML that is not framed. Never raises for the input."""
        if len(html) > max_html:
            return []
        try:
            found: list[str] = await self._share(lane, list_remote_pictures, html)
        except (TooComplex, TooCostly, FenceUnavailable, FenceFault):  # the frame says so
            return []
        return found

    async def _share(self, lane: int, function: Callable[..., Any], html: str, *more: object) -> Any:
        key = (lane, function, html, *map(repr, more))
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = asyncio.ensure_future(self._fence.run(function, html, *more, lane=lane, refusal=TooComplex))
            job.add_done_callback(partial(self._end, key))
        return await asyncio.shield(job)  # a cancelled request leaves the job to the others

    def _end(self, key: tuple[object, ...], job: asyncio.Task[Any]) -> None:
        del self._jobs[key]
        if not job.cancelled():
            job.exception()  # retrieved, also when no request waits any more


def _frame_text(html: str, text: str | None, sentence: str) -> bytes:
    shown = strip_tags(html) if text is None else text
    return (
        f'<!doctype html><html lang="en"><head><style>{_STYLE}</style></head>'
        f'<body><p role="status">{sentence}</p><pre>\n{escape(shown)}</pre></body></html>'
    ).encode("utf-8", "replace")
