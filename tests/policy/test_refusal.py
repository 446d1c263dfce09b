"""The catalogue: complete, consistent, and safe to put on the wire."""

from sendryd.policy.refusal import CATALOGUE, Refusal, RefusalKey
from sendryd.testing.cases import cases


@cases("key", list(RefusalKey))
def test_every_reason_has_both_renderings(key: RefusalKey) -> None:
    refusal = Refusal(key, "example.test")
    assert refusal.smtp.code == CATALOGUE[key].smtp_code
    assert 400 <= refusal.http_status <= 599
    assert refusal.http_code


@cases("key", list(RefusalKey))
def test_first_digit_of_code_and_enhanced_code_agree(key: RefusalKey) -> None:
    rendering = CATALOGUE[key]
    assert str(rendering.smtp_code)[0] == rendering.smtp_enhanced[0]


def test_sentence_names_what_to_change() -> None:
    refusal = Refusal(RefusalKey.DOMAIN_NOT_VERIFIED, "shop.example")
    assert "shop.example" in refusal.sentence
    assert refusal.smtp.encoded.startswith(b"550 5.7.1 ")


def test_detail_cannot_break_out_of_the_reply_line() -> None:
    encoded = Refusal(RefusalKey.MALFORMED_MESSAGE, "x\r\n250 2.0.0 Ok").smtp.encoded
    assert encoded.count(b"\r\n") == 1
