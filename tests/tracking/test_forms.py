"""Forms that unsubscribe."""

from hypothesis import given
from hypothesis import strategies as st

from sendryd.tracking.forms import is_confirmed, is_one_click, parse_form

FORM = "application/x-www-form-urlencoded"


def test_fields_are_read() -> None:
    assert parse_form(FORM, b"List-Unsubscribe=One-Click&a=%20b+") == {"list-unsubscribe": "One-Click", "a": "b"}
    assert is_one_click(parse_form(FORM, b"List-Unsubscribe=One-Click"))
    assert is_confirmed(parse_form(FORM, b"confirm="))


def test_a_multipart_form_with_several_parts() -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b"--x\r\nContent-Type: text/plain\r\n\r\nno name\r\n"
        b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\nContent-Type: text/plain\r\n\r\nOne-Click\r\n--x--\r\n'
    )
    assert parse_form("multipart/form-data; boundary=x", body) == {"a": "1", "list-unsubscribe": "One-Click"}


def test_parts_in_parts_are_none_of_ours() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="confirm"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\nz\r\n--y--\r\n--x--\r\n'
    assert parse_form("multipart/form-data; boundary=x", body) == {}


@given(st.sampled_from([FORM, "multipart/form-data; boundary=x", "multipart/form-data", "multipart/form-data;\r\nX: y", ""]), st.binary())
def test_reading_never_raises(content_type: str, body: bytes) -> None:
    assert not is_one_click(parse_form(content_type, body))
