"""What of a request may be kept."""

import json

from hypothesis import given
from hypothesis import strategies as st

from sendryd.api.framework.redact import MAX_KEPT, redact, redacted_json


def test_secrets_and_contents_are_never_kept_and_recipients_are_counted() -> None:
    body = {
        "from": "a@b.test",
        "to": ["x@y.test", "z@y.test"],
        "cc": "one@y.test",
        "html": "<p>private</p>",
        "text": None,
        "attachments": [{"filename": "a.pdf", "content": "AAAA"}],
        "url": "https://hooks.example.com/T0/password",
        "webhook": {"secret": "whsec_1", "Api_Key": "sn_live_1"},
    }
    assert redact(body) == {
        "from": "a@b.test",
        "to": "[2 recipients]",
        "cc": "[1 recipient]",
        "html": "[redacted]",
        "text": None,
        "attachments": [{"filename": "a.pdf", "content": "[redacted]"}],
        "url": "https://hooks.example.com/[hidden]",
        "webhook": {"secret": "[redacted]", "Api_Key": "[redacted]"},
    }


def test_keys_that_stand_where_none_should_are_starred() -> None:
    key = "sn_live_" + "aB3" * 14 + "x"
    assert (
        redacted_json(json.dumps({"subject": key, key: [f"<{key}>"]}).encode())
        == '{"subject":"sn_live_***","sn_live_***":["<sn_live_***>"]}'
    )


def test_what_is_not_json_or_too_long_is_not_kept() -> None:
    assert redacted_json(b"") is None
    assert json.loads(redacted_json(b'{"a":[1e999,-1E+400,2e3,NaN]}') or "") == {"a": ["1e999", "-1E+400", 2000.0, "NaN"]}
    assert redacted_json(b"{") is None
    assert redacted_json(b"[" * 100_000) is None
    assert redacted_json(json.dumps({"subject": "x" * MAX_KEPT}).encode()) is None
    assert redacted_json(b'{"subject":"x"}') == '{"subject":"x"}'


@given(st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.sampled_from(["html", "key", "to", "other"]), inner)))
def test_no_content_survives_at_any_depth(value: object) -> None:
    kept = redacted_json(json.dumps({"body": value}).encode())
    if kept is not None:
        for found in _all_values(json.loads(kept), "html"):
            assert found in {None, "[redacted]"}


def _all_values(value: object, name: str) -> list[object]:
    if not isinstance(value, dict):
        return []
    return [each for key, each in value.items() if key == name] + [found for each in value.values() for found in _all_values(each, name)]
