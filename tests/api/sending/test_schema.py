"""Attachments that are larger than the slices in which they are decoded."""

import base64

import pytest

from sendryd.api.sending.schema import AttachmentBody
from sendryd.message.parse import SLICE
from sendryd.testing.cases import cases


def read(text: str) -> bytes:
    """The content of an attachment."""
    return AttachmentBody(filename="a.bin", content=text).read().content


@cases("more", range(4))
@cases("step", [61, 76, SLICE - 1, SLICE + 1])
def test_base64_of_many_slices_is_decoded_whole(step: int, more: int) -> None:
    data = bytes(range(256)) * (SLICE // 128) + b"x" * more
    letters = base64.b64encode(data).decode()
    assert read(letters) == data
    assert read("\n".join(letters[start : start + step] for start in range(0, len(letters), step))) == data


@cases("end", ["Q", "QQ", "QQ=", "QQ==QUJD", "*QUJ"])
@cases("size", range(SLICE - 8, SLICE + 9, 4))
def test_bad_base64_is_refused_wherever_its_fault_is(size: int, end: str) -> None:
    with pytest.raises(ValueError, match="it is not base64"):
        read("QUJD" * (size // 4) + end)
    with pytest.raises(ValueError, match="it is not base64"):
        read("QUJD" * (size // 4) + "QQ==" + "QUJD" * SLICE)
