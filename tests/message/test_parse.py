"""Types and headers of parts as they are written in the field."""

import pytest

from sendryd.message.parameters import read_type
from sendryd.message.parse import walk
from sendryd.testing.cases import cases


@cases(
    ("value", "kind", "parameters"),
    [
        (None, "text/plain", {}),
        (b"", "text/plain", {}),
        (b"text", "text/plain", {}),
        (b";charset=x", "text/plain", {}),
        (b'TEXT/HTML; Charset="UTF-8"', "text/html", {"charset": "UTF-8"}),
        (b"multipart/mixed; boundary=b", "multipart/mixed", {"boundary": "b"}),
    ],
)
def test_a_type_that_cannot_be_read_is_plain_text(value: bytes | None, kind: str, parameters: dict[str, str]) -> None:
    assert read_type(value) == (kind, parameters)


@pytest.mark.parametrize("name", [b"--X-Mark", b"--"])
def test_a_field_whose_name_begins_with_hyphens_does_not_end_the_header_of_its_part(name: bytes) -> None:
    header = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    part = b"--b\r\n%s: 1\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello</p>\r\n--b--\r\n" % name
    content = header + part
    html = walk(content)[1]
    assert (html.content_type, html.is_header_clean) == ("text/html", True)
    assert content[html.body_start : html.body_end] == b"<p>Hello</p>"
