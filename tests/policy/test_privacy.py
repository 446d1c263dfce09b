"""The text of a private notice is not shown."""

import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from sendryd.model.ids import ApiKeyId
from sendryd.policy.privacy import PRIVATE_TAG, is_private, shown_content
from sendryd.testing.samples import Samples

CONTENT = (
    b"From: a@acme.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=x\r\nSubject: Hi\r\n\r\nhttps://secret\r\n"
)


def test_a_notice_of_the_program_keeps_its_header_alone() -> None:
    notice = replace(Samples().message().message, api_key_id=None, tags=(PRIVATE_TAG,))
    shown = shown_content(notice, CONTENT)
    assert shown.startswith(b"From: a@acme.example\r\nSubject: Hi\r\n\r\nThe text of this mail")
    assert b"secret" not in shown


def test_a_key_cannot_hide_its_mail() -> None:
    mine = replace(Samples().message().message, api_key_id=ApiKeyId(1), tags=(PRIVATE_TAG,))
    assert not is_private(mine)
    assert shown_content(mine, CONTENT) == CONTENT
    assert shown_content(replace(mine, api_key_id=None, tags=()), CONTENT) == CONTENT


@pytest.mark.parametrize("package", ["api", "dashboard", "tracking"])
def test_whatever_shows_contents_asks_what_may_be_shown(package: str) -> None:
    root = Path(str(resources.files("sendryd"))) / package
    readers = {path for path in root.rglob("*.py") if re.search(r"\.(?:read|stream)_content\(", path.read_text("utf-8"))}
    captured = {root / "test_emails/operations.py"}  # mail of test keys, which no notice is
    assert {path for path in readers - captured if "shown_content(" not in path.read_text("utf-8")} == set()
    assert readers
