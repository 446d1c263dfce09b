"""The JSON shapes, from model values alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.api.api_keys.schema import key_json, new_key_json
from sendryd.api.framework.requests import encode
from sendryd.api.wire import whole_test_email_json
from sendryd.message.parse import summarise
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import AccountId, ApiKeyId, MessageId
from sendryd.model.message import Message
from sendryd.model.moment import timestamp
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


def test_timestamps_have_milliseconds_and_a_z() -> None:
    assert timestamp(NOW) == "2026-03-01T12:00:00.000Z"
    assert timestamp(NOW + timedelta(microseconds=412_999)) == "2026-03-01T12:00:00.412Z"


@settings(max_examples=examples(150))
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=20).map(b"".join))
def test_any_content_can_be_shown(content: bytes) -> None:
    body = whole_test_email_json(MESSAGE, summarise(content))
    assert body["cc"] == ["c@example.org"]
    assert encode(body)


def test_a_key_shows_its_secret_only_when_it_is_made() -> None:
    key = ApiKey(
        id=ApiKeyId(1), account_id=AccountId(1), name="n", scope=Scope.READ_ONLY, mode=KeyMode.TEST, prefix="sn_test_abcd", created_at=NOW
    )
    expected = {
        "id": "key_0000000000001",
        "name": "n",
        "scope": "read_only",
        "mode": "test",
        "key_prefix": "sn_test_abcd",
        "last_used_at": None,
        "created_at": "2026-03-01T12:00:00.000Z",
        "expires_at": None,
        "revoked_at": None,
    }
    assert key_json(key) == expected
    assert new_key_json(key, "sn_test_x") == {**expected, "key": "sn_test_x"}
    assert key_json(replace(key, revoked_at=NOW))["revoked_at"] == "2026-03-01T12:00:00.000Z"
