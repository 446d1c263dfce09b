"""Small forms, and where they come from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from sendryd.testing.cases import cases
from sendryd.web.forms import MAX_FIELDS, MAX_FORM, FormTooLarge, is_from_our_page, parse_form, read_form

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
ORIGIN = "https://mail.example.test"


def test_fields_are_read() -> None:
    assert parse_form(FORM, b"List-Unsubscribe=One-Click&a=%20b+") == {"list-unsubscribe": "One-Click", "a": "b"}
    assert parse_form(FORM, b"confirm=") == {"confirm": ""}


def test_a_multipart_form_with_several_parts() -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b"--x\r\nContent-Type: text/plain\r\n\r\nno name\r\n"
        b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\nContent-Type: text/plain\r\n\r\nOne-Click\r\n--x--\r\n'
    )
    assert parse_form(MULTIPART, body) == {"a": "1", "list-unsubscribe": "One-Click"}


def test_parts_in_parts_are_no_fields() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="confirm"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\nz\r\n--y--\r\n--x--\r\n'
    assert parse_form(MULTIPART, body) == {}


def test_a_form_with_too_many_fields_has_none() -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    for count, fields in ((MAX_FIELDS, {"a": "1"}), (MAX_FIELDS + 1, {})):
        assert parse_form(FORM, b"&".join([b"a=1"] * count)) == fields
        assert parse_form(MULTIPART, part * count + b"--x--\r\n") == fields


@given(st.sampled_from([FORM, MULTIPART, "multipart/form-data", "multipart/form-data;\r\nX: y", ""]), st.binary())
def test_reading_never_raises(content_type: str, body: bytes) -> None:
    assert "list-unsubscribe" not in parse_form(content_type, body)


async def read(size: int, **limits: int) -> int:
    pieces: list[Message] = [{"type": "http.request", "body": b"a" * (size // 2), "more_body": True}]
    pieces += [{"type": "http.request", "body": b"=" + b"a" * (size - size // 2 - 1), "more_body": False}]

    async def receive() -> Message:
        return pieces.pop(0)

    form = await read_form(Request({"type": "http", "headers": [(b"content-type", FORM.encode())]}, receive), **limits)
    return len(form)


async def test_a_form_has_a_size() -> None:
    assert await read(MAX_FORM) == 1
    with pytest.raises(FormTooLarge):
        await read(MAX_FORM + 1)
    assert await read(MAX_FORM + 1, max_size=10_000) == 1


@cases(
    ("headers", "is_ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, True),  # as from a page without a referrer
        ({"sec-fetch-site": "same-site", "origin": ORIGIN}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "", "origin": ORIGIN}, False),
        ({"origin": ORIGIN}, True),
        ({"origin": "http://mail.example.test"}, False),
        ({"origin": ORIGIN + ":8443"}, False),
        ({"origin": ORIGIN + ".evil.test"}, False),
        ({"origin": "null"}, False),
        ({"referer": ORIGIN + "/"}, False),
        ({}, False),
    ],
)
def test_only_our_own_pages_pass(headers: dict[str, str], is_ours: bool) -> None:
    assert is_from_our_page(headers, ORIGIN) is is_ours
