"""JSON bodies of requests that send: a body is read, and can be composed, or is refused with a sentence."""

import json

from drive import drive

from sendryd.api.framework.reading import parse_json, validate
from sendryd.api.framework.redact import redacted_json
from sendryd.api.framework.requests import Refused, encode, refuse
from sendryd.api.sending.schema import AmendBody, BatchBody, MarketingBody, SendBody
from sendryd.message.compose import Composition, compose
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock

SEND = {
    "from": "A <a@b.test>",
    "to": ["x@y.test"],
    "cc": "z@y.test",
    "subject": "s",
    "html": "<p>h</p>",
    "text": "t",
    "headers": {"X-A": "b"},
}
MORE = {
    "tags": [{"name": "a", "value": "b"}],
    "attachments": [{"filename": "f", "content": "QUJD", "content_type": "text/plain"}],
    "scheduled_at": "in 1 hour",
}
SEEDS = [json.dumps(each).encode() for each in (SEND, SEND | MORE, {"emails": [SEND, SEND]}, MORE, [], None)]
PIECES = [
    b'"', b"\\", b"\\u0000", b"\\ud800", b"\\r\\n", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"-1", b"1e999", b"NaN", b"9" * 400, b"[" * 300, b'{"a":' * 300,
    b'"from":', b'"to":', b'"headers":{', b'"X-A":', b'"From":', b'"subject":', b'"a@b.test"', b"<", b">", b"@", b"\xff", "ä".encode(), "\u2028".encode(), b"\x00",
]  # fmt: skip


def test(data: bytes) -> None:
    """As each of the bodies."""
    redacted_json(data)
    statuses = set()
    for model in (SendBody, BatchBody, MarketingBody, AmendBody):
        try:
            body = validate(model, parse_json(data))
        except Refused as refused:
            statuses.add(refuse(refused).status_code)
            continue
        encode({"body": repr(body)})
        if isinstance(body, SendBody) and body.subject and (body.text or body.html):
            compose_and_check(body)
    assert statuses <= {400, 422}


def compose_and_check(body: SendBody) -> None:
    """What was let in makes one message whose header is the one that was meant."""
    try:
        content = compose(
            Composition(
                author=body.sender,
                to=tuple(body.to),
                cc=tuple(body.cc or ()),
                subject=body.subject or "",
                text=body.text,
                html=body.html,
                headers=tuple((body.headers or {}).items()),
            ),
            boundary="b" * 24,
        )
    except MalformedMessage:
        return
    headers = HeaderBlock.parse(content)
    assert [headers.count(name) for name in (b"from", b"to", b"subject", b"bcc", b"sender")] == [1, 1, 1, 0, 0]
    assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
