"""No secret reaches a log."""

from sendryd.runtime.log import Secret, redact

KEY = "sn_live_abcDEF0123456789abcDEF0123456789abcDEF01234"


def test_keys_in_any_text_are_starred() -> None:
    event = redact(None, "info", {"event": f"login with {KEY} failed", "line": f"x{KEY}y"})
    assert "abcDEF" not in str(event)
    assert event["line"] == "xsn_live_***"


def test_fields_named_as_secrets_are_starred() -> None:
    assert redact(None, "info", {"password": "hunter2", "authorization": "Bearer x"}) == {
        "password": "***",
        "authorization": "***",
    }


def test_secrets_are_starred_by_type_also_in_representations() -> None:
    secret = Secret("hunter2")
    assert redact(None, "info", {"url": secret})["url"] == "***"
    assert "hunter2" not in f"{[secret]!r}"
