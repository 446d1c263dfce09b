"""Types as they are written in the field."""

import pytest

from sendryd.message.parameters import read_type


@pytest.mark.parametrize(
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
