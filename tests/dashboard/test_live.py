"""Streams: who gets one, what it carries, how it ends."""

import pytest

from .conftest import Browser

pytestmark = pytest.mark.sockets


def test_a_stream_asks_for_a_session_and_a_page_that_is_live(owner: Browser, stranger: Browser) -> None:
    assert stranger.get("/live?page=home").status == 401
    assert owner.get("/live?page=nonsense").status == 404
    assert owner.get("/live").status == 404


def test_a_page_that_is_not_live_says_so(owner: Browser) -> None:
    page = owner.get("/nowhere")
    assert 'data-live="off"' in page
    assert "hx-sse:connect" not in page
