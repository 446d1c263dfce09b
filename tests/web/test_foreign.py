"""HTML of strangers in a frame, made safe by the fence's process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sendryd.message.framing import frame_html
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.fence import PROGRAM, Fence
from sendryd.testing.cases import cases
from sendryd.web.foreign import MAX_HTML, ForeignFramer

from .hostile import HARMLESS_UNTIL_WRITTEN, HOSTILE, faults

TOO_COMPLEX = "too large or too complex to be shown"
NOT_NOW = "load the page again in a minute"


@pytest.fixture
async def fence() -> AsyncIterator[Fence]:
    fence = Fence("previews", SystemClock())
    yield fence
    fence.close()


@cases("name", HOSTILE)
def test_nothing_hostile_is_left(name: str) -> None:
    assert bool(faults(HOSTILE[name])) is (name not in HARMLESS_UNTIL_WRITTEN), "the check sees the hazard"
    framed = frame_html(HOSTILE[name]).decode()
    assert faults(framed) == []
    assert faults(frame_html(framed).decode()) == []
    wrapped = frame_html(f"<table><tr><td><p><b>{HOSTILE[name]}</td></tr></table><p>after").decode()
    assert faults(wrapped) == []


def test_all_of_it_together_leaves_nothing() -> None:
    names = [name for name in HOSTILE if name != "text elements"]  # its last element would swallow the rest
    assert faults(frame_html("".join(HOSTILE[name] for name in names)).decode()) == []


PIECES = st.one_of(
    st.sampled_from(sorted(HOSTILE.values())),
    st.sampled_from(
        ["<svg>", "</svg>", "<math>", "<mtext>", "<table>", "<td>", "<select>", "<template>", "<style>", "</style>", "<title>", "<!--", "-->",
         "<![CDATA[", "]]>", '"', "'", "<p ", ">", "<a href='", "<noscript>", "<desc>", "<foreignObject>", "<annotation-xml encoding=text/html>",
         "<plaintext>", "<textarea>", "<xmp>", "</p>", "</table>", "&lt;", "\0", "<frameset>", "<body style='", "<html class='"]
    ),
)  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join))
@example("<style>" + HOSTILE["style attributes"])
@example('<style>"<LINK REL="PRECONNECT" HREF="https://evil.test/"><IMG ONERROR=x><STYLE>@IMPORT URL(https://evil.test/);</STYLE>')
def test_no_mixture_leaves_anything(html: str) -> None:
    framed = frame_html(html).decode()
    assert faults(framed) == []


async def test_the_fence_s_process_writes_it(fence: Fence) -> None:
    framed = await ForeignFramer(fence).frame("<h1>Grüße</h1><link rel=preconnect href=//evil.test>", text=None, lane=1)
    assert framed.decode() == "<!doctype html><html><head></head><body><h1>Grüße</h1></body></html>"
    assert fence.statistics()["jobs_total"] == 1


async def test_many_who_open_one_link_at_once_share_a_job(fence: Fence) -> None:
    framer = ForeignFramer(fence)
    framed = await asyncio.gather(*(framer.frame("<p>one</p>", text=None, lane=1) for _ in range(100)))
    assert {document.partition(b"<body>")[2] for document in framed} == {b"<p>one</p></body></html>"}
    assert fence.statistics()["jobs_total"] == 1


async def test_one_who_gives_up_leaves_the_job_to_the_others(fence: Fence) -> None:
    framer = ForeignFramer(fence)
    first, second = (asyncio.ensure_future(framer.frame("<p>one</p>", text=None, lane=1)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert b"<p>one</p>" in await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_design_that_is_too_complex_is_shown_as_the_message_s_text(fence: Fence) -> None:
    framed = (await ForeignFramer(fence).frame("<p>" * 200_000 + "html", text="<b>text</b>\nof it", lane=1)).decode()
    assert TOO_COMPLEX in framed
    assert "<pre>\n&lt;b&gt;text&lt;/b&gt;\nof it</pre>" in framed
    assert faults(framed) == []


async def test_a_design_that_is_too_large_is_not_read_at_all(fence: Fence) -> None:
    html = "<style>a{}</style><!-- > --><script>x</script>a &lt; b" + "<b>" + "x" * MAX_HTML
    framed = (await ForeignFramer(fence).frame(html, text=None, lane=1)).decode()
    assert TOO_COMPLEX in framed
    assert "<pre>\na &lt; b xxx" in framed
    assert fence.statistics()["jobs_total"] == 0


async def test_a_design_that_costs_too_much_time_is_shown_as_text() -> None:
    program = (*PROGRAM[:-3], "0.05", *PROGRAM[-2:])  # seconds of processor time
    strict = Fence("previews", SystemClock(), program=program)
    framed = (await ForeignFramer(strict).frame("<p style='color:rgb(1,2,3)'>x</p>" * 40_000, text="text", lane=1)).decode()
    strict.close()
    assert TOO_COMPLEX in framed
    assert "<pre>\ntext</pre>" in framed


async def test_a_fence_that_is_gone_shows_the_text(fence: Fence) -> None:
    await ForeignFramer(fence).frame("x", text=None, lane=1)
    assert fence.pid is not None
    os.kill(fence.pid, signal.SIGKILL)
    framed = (await ForeignFramer(fence).frame("<script>alert(1)</script><p>shown</p>", text=None, lane=1)).decode()
    assert NOT_NOW in framed
    assert "<pre>\nshown</pre>" in framed
    assert "<script" not in framed
    assert "<p>shown</p>" in (await ForeignFramer(fence).frame("<p>shown</p>", text=None, lane=1)).decode()
