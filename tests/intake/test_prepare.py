"""The header block at the door: what is dropped, added and refused."""

import pytest

from sendryd.intake.prepare import ParsedMessage, parse_message
from sendryd.intake.submission import Receipt
from sendryd.message.authordomain import author_domain
from sendryd.message.headers import HeaderBlock
from sendryd.model.event import EventType
from sendryd.model.ids import MESSAGE_PREFIX, MessageId, parse_id
from sendryd.model.message import TlsDemand
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.store.base import EventFilter
from sendryd.testing.cases import cases
from sendryd.testing.door import ACCOUNT, CONTENT, Door


async def stored(content: bytes) -> bytes:
    """What is stored of a content that is accepted."""
    door = await Door().open()
    receipt = await door.intake.accept(door.submission(content))
    assert isinstance(receipt, Receipt), receipt
    number = parse_id(receipt.message_id, MESSAGE_PREFIX)
    assert number is not None
    return await door.store.read_content(MessageId(number))


async def refusal(content: bytes) -> Refusal:
    door = await Door().open()
    result = await door.intake.accept(door.submission(content))
    assert isinstance(result, Refusal)
    return result


def with_fields(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + CONTENT


@pytest.mark.parametrize(
    "lines",
    [
        ("Message-ID:", "Date:"),
        ("Message-ID: ", "Date:  \t"),
        ("Message-ID: <>", "Message-ID: <1@x.test>", "Date:", "Date: Thu, 1 Jan 2026 00:00:00 +0000"),
        ("Message-ID:\r\n\t", "DATE:\r\n "),
        ("Message-ID: <1@x.test>", "Message-ID: <2@x.test>", "Date: Thu, 1 Jan 2026 00:00:00 +0000", "Date: x"),
    ],
)
async def test_there_is_one_message_id_and_one_date_each_with_a_value(lines: tuple[str, ...]) -> None:
    headers = HeaderBlock.parse(await stored(with_fields(*lines)))
    for name, given in ((b"message-id", b"<1@x.test>"), (b"date", b"Thu, 1 Jan 2026 00:00:00 +0000")):
        (value,) = headers.all(name)
        assert value.strip(b"<>")
        assert value == given or given.decode() not in str(lines)


@pytest.mark.parametrize(
    "value",
    [
        "relay.test; spf=pass smtp.mailfrom=bank.test", "RELAY.TEST 1; dkim=pass", " (a (b)) relay.test (c); none", '"relay.test"; none', "relay.test.; none",
        "\r\n relay.test;\r\n dkim=pass", "relay.test", r'"relay\.test"; spf=pass', r'"\r\elay.test." 1; none',
    ],
)  # fmt: skip
async def test_results_under_our_own_name_are_removed(value: str) -> None:
    headers = HeaderBlock.parse(
        await stored(with_fields(f"Authentication-Results: {value}", "Authentication-Results: mx.other.test; spf=pass"))
    )
    assert headers.all(b"authentication-results") == [b"mx.other.test; spf=pass"]


OWN = "Received: from client.test ([192.0.2.7])\r\n\tby relay.test with ESMTPSA id em_0123456789abc\r\n\t(TLSv1.3 X);\r\n\tThu, 1 Jan 2026 00:00:00 +0000"


async def test_a_message_that_has_been_here_often_goes_round_in_a_loop() -> None:
    other = OWN.replace("relay.test", "relay.test.other")
    assert HeaderBlock.parse(await stored(with_fields(OWN, OWN, *[other] * 5))).count(b"received") == 8
    assert (await refusal(with_fields(OWN, OWN, OWN))).key is RefusalKey.TOO_MANY_HOPS


@cases("name", ["Sender", "Resent-From", "Resent-Sender"])
@cases("value", ["root@localhost", "a@example.test, b@example.test", "nobody", "A, B <a@example.test>", "x" * 3000])
async def test_a_refusal_names_the_field_that_is_wrong(name: str, value: str) -> None:
    value = "\r\n ".join(value[start : start + 900] for start in range(0, len(value), 900))
    sentence = (await refusal(with_fields(f"{name}: {value}"))).sentence
    assert f"the {name} field" in sentence
    assert "the From field" not in sentence


async def test_an_empty_sender_is_dropped() -> None:
    content = await stored(with_fields("Sender:", "Resent-From: \t"))
    assert b"Sender" not in content
    assert b"Resent-From" not in content


@pytest.mark.parametrize(
    "line", ["From hello@example.test Thu Jan  1 00:00:00 2026", ">From - Thu Jan  1 2026", "From MAILER-DAEMON", "From a:b c"]
)
async def test_the_line_of_an_mbox_file_is_dropped(line: str) -> None:
    content = await stored(with_fields(line))
    assert content.endswith(CONTENT)
    assert line.encode() not in content


@pytest.mark.parametrize("line", ["From : evil@bank.test", "From  x", "From\t: x", "From"])
async def test_what_may_be_a_field_is_not_taken_for_one(line: str) -> None:
    assert (await refusal(with_fields(line))).key is RefusalKey.MALFORMED_MESSAGE
    assert (await refusal(CONTENT.replace(b"Subject", b"From a b\r\nSubject"))).key is RefusalKey.MALFORMED_MESSAGE


async def test_raw_8_bit_fields_are_accepted_and_shown() -> None:
    for raw in ("Grüße".encode(), b"Gr\xfc\xdfe"):
        door = await Door().open()
        receipt = await door.intake.accept(door.submission(CONTENT.replace(b"Subject: s", b"Subject: " + raw)))
        assert isinstance(receipt, Receipt)
        summary = await door.store.get_message(ACCOUNT, MessageId(parse_id(receipt.message_id, MESSAGE_PREFIX) or 0))
        assert summary is not None
        assert summary.message.subject == "Grüße"
        assert not summary.message.needs_smtputf8


HTML = b"X-Sendry-Track: opens\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=%b\r\n\r\n<p>x</p>\r\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (HTML % b"utf-8", None),
        (HTML % b"ks_c_5601-1987", None),
        (HTML % b'""', None),
        (HTML % b"cp1252", None),
        (HTML % b"x-unheard-of", "x-unheard-of"),
        (HTML % b"utf-7", "utf-7"),
        ((HTML % b"utf-8").replace(b"text/html", b"text/plain"), "no HTML"),
    ],
)
async def test_tracking_that_cannot_be_is_said_not_to_be(body: bytes, reason: str | None) -> None:
    door = await Door().open()
    await door.intake.accept(door.submission(CONTENT.partition(b"\r\n\r\n")[0] + b"\r\n" + body))
    events = await door.store.list_events(ACCOUNT, EventFilter(mode=door.submission().actor.mode), limit=9)
    (queued,) = [event for event in events.items if event.type is EventType.QUEUED]
    said = queued.metadata.get("not_tracked")
    assert said is None if reason is None else reason in str(said)


@pytest.mark.parametrize(
    ("field", "author"),
    [
        ("a (x)\r\n @ (y)\r\n example.test", "a@example.test"),
        ("=?utf-8?q?A,_B?=\r\n <a@example.test>", "A, B <a@example.test>"),
        ("A < a @ example.test >", "A <a@example.test>"),
    ],
)
async def test_the_author_is_kept_so_that_its_domain_is_read_from_it(field: str, author: str) -> None:
    parsed = parse_message(f"From: {field}\r\n\r\n".encode(), None)
    assert isinstance(parsed, ParsedMessage)
    assert (parsed.author_text, author_domain(parsed.author_text)) == (author, "example.test")


@pytest.mark.parametrize("field", ["a@(evil.test)example.test", "<@evil.test:a@example.test>", "Team: a@example.test;"])
async def test_an_author_with_two_readings_is_refused_by_name(field: str) -> None:
    refused = parse_message(f"From: {field}\r\n\r\n".encode(), None)
    assert isinstance(refused, Refusal)
    assert "the From field" in refused.sentence


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("", TlsDemand.USUAL),
        ("TLS-Required: No\r\n", TlsDemand.OPTIONAL),
        ("tls-required:no\r\n", TlsDemand.OPTIONAL),
        ("TLS-Required: Yes\r\n", TlsDemand.USUAL),
    ],
)
def test_the_field_that_puts_delivery_before_encryption_has_one_value(field: str, asked: TlsDemand) -> None:
    parsed = parse_message(f"From: a@example.test\r\n{field}\r\nbody\r\n".encode(), None)
    assert isinstance(parsed, ParsedMessage)
    assert parsed.tls_demand is asked
