"""Captured emails in answers, from model values alone."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.api.framework.requests import encode
from sendryd.api.test_emails.schema import whole_test_email_json
from sendryd.message.parse import summarise
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, MessageId
from sendryd.model.message import Message
from sendryd.testing.examples import examples

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MESSAGE = Message(
    id=MessageId(1),
    account_id=AccountId(1),
    api_key_id=None,
    mode=KeyMode.TEST,
    reverse_path="",
    author="a@example.test",
    to=("b@example.org",),
    cc=("c@example.org",),
    subject="s",
    internet_message_id="<1@example.test>",
    size=0,
    created_at=NOW,
    signing_domain_id=None,
    needs_smtputf8=False,
    is_8bit=False,
)
PIECES = [
    b"Content-Type: ",
    b"multipart/mixed; boundary=x",
    b"text/html; charset=",
    b"\r\n",
    b"\r\n\r\n",
    b"--x",
    b"--x--",
    b"\xff",
    b"=?utf-8?q?",
]
PIECES += [
    b"Content-Transfer-Encoding: base64\r\n",
    b"Subject: ",
    b"utf-8",
    b"iso-2022-jp",
    b"filename*0*=",
    b"''%",
    b'"',
    b";",
    b"\x1b$B",
    b"=?=",
    b"?=",
]


@settings(max_examples=examples(150))
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=20).map(b"".join))
def test_any_content_can_be_shown(content: bytes) -> None:
    body = whole_test_email_json(MESSAGE, summarise(content))
    assert body["cc"] == ["c@example.org"]
    assert encode(body)
