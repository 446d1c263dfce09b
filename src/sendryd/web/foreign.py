"""Makes a safe document for a frame out of a stranger's HTML.

Strategy: `message.framing` rewrites the HTML behind the fence, so that a browser makes no requests for it; `headers.foreign_headers` forbid them
a second time.
When things fail: HTML that is too costly to parse, or that cannot be parsed now, is never shown; the document has the message's text and a sentence instead.
"""

import asyncio
from functools import partial
from html import escape
from typing import Final

from sendryd.message.fenced import frame_message
from sendryd.message.framing import TooComplex
from sendryd.message.plaintext import strip_tags
from sendryd.runtime import offload
from sendryd.runtime.fence import Fence, FenceFault, FenceUnavailable, TooCostly
from sendryd.runtime.log import get_logger

MAX_HTML: Final = 4 * 1024 * 1024  # characters: forty times the length at which Gmail clips a mail
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
        self._jobs: dict[tuple[int, str], asyncio.Task[bytes]] = {}  # under way, by lane and HTML

    async def frame(self, html: str, *, text: str | None, lane: int) -> bytes:
        """The document in UTF-8, to be served with `foreign_headers`. `text` is the message's own, if it has one. Never raises for the input."""
        sentence = _TOO_COMPLEX
        if len(html) <= MAX_HTML:
            try:
                return await asyncio.shield(self._job(html, lane))  # a cancelled request leaves the job to the others
            except (TooComplex, TooCostly) as error:
                log.info("html_not_framed", reason=str(error))
            except (FenceUnavailable, FenceFault) as error:
                log.warning("html_not_framed", error=repr(error))
                sentence = _NOT_NOW
        return await offload.in_thread(_frame_text, html, text, sentence)

    def _job(self, html: str, lane: int) -> asyncio.Task[bytes]:
        key = (lane, html)
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = asyncio.ensure_future(self._run(html, lane))
            job.add_done_callback(partial(self._end, key))
        return job

    async def _run(self, html: str, lane: int) -> bytes:
        framed: bytes = await self._fence.run(frame_message, html, lane=lane, refusal=TooComplex)
        return framed

    def _end(self, key: tuple[int, str], job: asyncio.Task[bytes]) -> None:
        del self._jobs[key]
        if not job.cancelled():
            job.exception()  # retrieved, also when no request waits any more


def _frame_text(html: str, text: str | None, sentence: str) -> bytes:
    shown = strip_tags(html) if text is None else text
    return (
        f'<!doctype html><html lang="en"><head><style>{_STYLE}</style></head>'
        f'<body><p role="status">{sentence}</p><pre>\n{escape(shown)}</pre></body></html>'
    ).encode("utf-8", "replace")
