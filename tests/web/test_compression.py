"""Compressed answers: for whom, and which."""

import gzip

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from sendryd.runtime.offload import LARGE
from sendryd.web.compression import accepts_gzip, compress_page

PAGE = "<p>Hello</p>" * 1000


def client(answer: Response) -> httpx.AsyncClient:
    async def show(request: Request) -> Response:
        return await compress_page(request, answer)

    return httpx.AsyncClient(
        transport=httpx.ASGITransport(Starlette(routes=[Route("/", show, methods=["GET", "POST"])])), base_url="http://relay.test"
    )


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.8", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("xgzip", False),
    ],
)
def test_who_takes_gzip(header: str, takes: bool) -> None:
    assert accepts_gzip(Request({"type": "http", "headers": [(b"accept-encoding", header.encode())]})) is takes


@pytest.mark.parametrize("size", [len(PAGE), LARGE + 1])
async def test_a_page_is_compressed_for_who_takes_it(size: int) -> None:
    text = (PAGE * (size // len(PAGE) + 1))[:size]
    async with client(HTMLResponse(text)).stream("GET", "/", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert gzip.decompress(raw).decode() == text
    assert answer.headers["content-length"] == str(len(raw))
    assert answer.headers["vary"] == "Accept-Encoding"
    plain = await client(HTMLResponse(text)).get("/", headers={"Accept-Encoding": "identity"})
    assert (plain.text, plain.headers["vary"], "content-encoding" in plain.headers) == (text, "Accept-Encoding", False)


async def test_streams_answers_to_forms_and_short_ones_stay_as_they_are() -> None:
    for answer, method in (
        (StreamingResponse(iter([PAGE]), media_type="text/html"), "GET"),
        (HTMLResponse(PAGE), "POST"),
        (HTMLResponse("<p>"), "GET"),
        (PlainTextResponse(PAGE), "GET"),
    ):
        got = await client(answer).request(method, "/", headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in got.headers
