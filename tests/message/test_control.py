"""Orders by header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.message.control import NO_ORDERS, BadControlHeader, Orders, read_orders
from sendryd.message.headers import HeaderBlock
from sendryd.testing.cases import cases


def orders(*fields: str) -> Orders:
    return read_orders(HeaderBlock.parse("".join(f"{field}\r\n" for field in (*fields, "Subject: s")).encode() + b"\r\n"))


def test_without_control_headers_there_are_no_orders() -> None:
    assert orders("X-Other: x") is NO_ORDERS


@cases(
    ("field", "expected"),
    [
        ("X-Sendry-Tag: kind=welcome", Orders(tags=(("kind", "welcome"),))),
        ("X-Sendry-Track: none", Orders(track_opens=False, track_clicks=False)),
        ("X-Sendry-Track: NONE", Orders(track_opens=False, track_clicks=False)),
        ("X-Sendry-Track: opens", Orders(track_opens=True, track_clicks=False)),
        ("x-sendry-track: Clicks , opens", Orders(track_opens=True, track_clicks=True)),
        ("X-Sendry-Template-Id: tmpl_1", Orders(template_id="tmpl_1")),
        ("X-Sendry-Scheduled-At: tomorrow", Orders(scheduled_at="tomorrow")),
        ("X-Sendry-Priority: OTP", Orders(priority="otp")),
        ("X-Sendry-Idempotency-Key: order 42/b", Orders(idempotency_key="order 42/b")),
        ("X-Sendry-Unsubscribe-Url: https://x.test/off?u=1", Orders(unsubscribe_url="https://x.test/off?u=1")),
        ("X-Sendry-Unsubscribe-Url: HTTPS://x.test/off", Orders(unsubscribe_url="HTTPS://x.test/off")),
    ],
)
def test_each_order(field: str, expected: Orders) -> None:
    assert orders(field) == expected


def test_variables_are_json_also_folded_and_encoded() -> None:
    found = orders("X-Sendry-Template-Id: tmpl_1", 'X-Sendry-Variables: {"a":\r\n {"b": [1, "=?utf-8?q?=C3=BC?="]}}')
    assert found.variables == {"a": {"b": [1, "\u00fc"]}}


@cases(
    ("fields", "named"),
    [
        (["X-Sendry-Tag: novalue"], "X-Sendry-Tag "),
        (["X-Sendry-Tag: a b=c"], "X-Sendry-Tag "),
        (["X-Sendry-Track:"], "X-Sendry-Track "),
        (["X-Sendry-Track: opens, none"], "X-Sendry-Track "),
        (["x-sendry-tempalte-id: x"], "X-Sendry-Tempalte-Id"),
        (["X-Sendry-Topic-Id: t"], "X-Sendry-Topic-Id "),
        (["X-Sendry-Variables: {}"], "X-Sendry-Variables "),
        (["X-Sendry-Template-Id: t", "X-Sendry-Variables: [1]"], "X-Sendry-Variables "),
        (["X-Sendry-Template-Id: t", "X-Sendry-Variables: " + "[" * 900], "X-Sendry-Variables "),
        (["X-Sendry-Template-Id: t", 'X-Sendry-Variables: {"a": NaN}'], "X-Sendry-Variables "),
        (["X-Sendry-Template-Id: t", 'X-Sendry-Variables: {"a": [-1e999]}'], "X-Sendry-Variables "),
        (["X-Sendry-Template-Id: t", 'X-Sendry-Variables: {"a": 1.5'], "X-Sendry-Variables "),
        (["X-Sendry-Idempotency-Key: " + "k" * 257], "X-Sendry-Idempotency-Key "),
        (["X-Sendry-Priority: urgent"], "X-Sendry-Priority (write otp, transactional or bulk)"),
        (["X-Sendry-Priority: bulk", "X-Sendry-Priority: otp"], "X-Sendry-Priority (give it once)"),
        (["X-Sendry-Idempotency-Key:"], "X-Sendry-Idempotency-Key "),
        (["X-Sendry-Unsubscribe-Url: mailto:a@b.test"], "X-Sendry-Unsubscribe-Url "),
        (["X-Sendry-Unsubscribe-Url: https://?"], "X-Sendry-Unsubscribe-Url "),
        (["X-Sendry-Template-Id: t", 'X-Sendry-Variables: {"a":"\\ud800"}'], "X-Sendry-Variables (write no halves of characters"),
        (["X-Sendry-Template-Id: t", 'X-Sendry-Variables: {"a":[1e999]}'], "X-Sendry-Variables (write only numbers"),
        (["X-Sendry-Unsubscribe-Url: http://[::1"], "X-Sendry-Unsubscribe-Url "),
        (["X-Sendry-Unsubscribe-Url: https:///path"], "X-Sendry-Unsubscribe-Url "),
        (["X-Sendry-Unsubscribe-Url: https://@/"], "X-Sendry-Unsubscribe-Url "),
        (["X-Sendry-Unsubscribe-Url: https://x.test/" + "x" * 900], "X-Sendry-Unsubscribe-Url "),
        (["X-Sendry-Scheduled-At: a", "X-Sendry-Scheduled-At: b"], "X-Sendry-Scheduled-At "),
    ],
)
def test_what_cannot_be_obeyed_is_named(fields: list[str], named: str) -> None:
    with pytest.raises(BadControlHeader) as refused:
        orders(*fields)
    assert f"{refused.value} ".startswith(named)


def test_variables_are_what_json_says() -> None:
    assert orders("X-Sendry-Template-Id: t", 'X-Sendry-Variables: {"a": 1.5, "b": [-2e3, null]}').variables == {
        "a": 1.5,
        "b": [-2000.0, None],
    }


@given(
    st.sampled_from(["Tag", "Track", "Variables", "Idempotency-Key", "Unsubscribe-Url", "Other"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126)),
)
def test_any_value_is_an_order_or_refused(name: str, value: str) -> None:
    try:
        orders(f"X-Sendry-{name}: {value}")
    except BadControlHeader as error:
        assert name.split("-", maxsplit=1)[0] in str(error)
