"""Receiving servers that misbehave, over real sockets: what becomes of the message, and whether the next server is asked.

Two servers of one domain: what the first does is scripted, the second is friendly. Nothing may reach both.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.delivery.patience import Patience
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.policy.routing import MAX_ROUTE_HOSTS
from sendryd.policy.throttle import Signal
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.resolver import Resolver
from sendryd.store.base import EventFilter
from sendryd.testing.mailhost import ReceivingServer, Script
from sendryd.testing.nameserver import NameServer
from sendryd.testing.post import FIRST, Post
from sendryd.testing.samples import ACCOUNT

pytestmark = pytest.mark.sockets

LARGE = b"From: a@example.test\r\n\r\n" + (b"x" * 70 + b"\r\n") * 150_000


def on(verb: str, reply: str) -> Script:
    """This reply to this command, always."""
    return Script(command=lambda said, _line: reply if said == verb else None)


def greeting(reply: str) -> Script:
    return Script(connect=lambda _number: reply)


NO_SESSION = {
    "421 in greeting": greeting("421 4.3.2 Busy"),
    "554 in greeting": greeting("554 5.3.2 No mail here"),
    "silence": greeting("stall"),
    "closed": greeting("drop"),
    "garbage": greeting("SSH-2.0-OpenSSH_9.2"),
    "a number that is no code": greeting("620 mx.example.org"),
    "000": greeting("000 mx.example.org"),
    "lines without end": greeting("\r\n".join(["220-and so on"] * 2000)),
    "a line without end": greeting("220 " + "x" * 5_000_000),
    "a code that changes": greeting("220-mx\r\n554 no"),
    "421 to EHLO": on("EHLO", "421 4.3.2 Busy"),
    "EHLO unanswered": on("EHLO", "stall"),
    "an answer to nothing": on("EHLO", "250 mx\r\n250 unasked"),
    "421 to MAIL": on("MAIL", "421 4.7.0 Too much"),
    "closed at MAIL": on("MAIL", "drop"),
    "out of step at MAIL": on("MAIL", "503 5.5.1 EHLO first"),
    "an intermediate answer to MAIL": on("MAIL", "354 go"),
    "an answer to MAIL in two codes": on("MAIL", "250-a\r\n421 b"),
    "421 to RCPT": on("RCPT", "421 4.7.0 Too many"),
    "RCPT unanswered": on("RCPT", "stall"),
    "DATA answered 250": on("DATA", "250 2.0.0 Ok"),
    "closed at DATA": on("DATA", "drop"),
    "an answer before the content": on("DATA", "354 go\r\n250 2.0.0 Taken"),
}


@pytest.mark.parametrize("case", NO_SESSION)
async def test_a_server_with_which_no_session_can_be_had_is_followed_by_the_next(post: Post, case: str) -> None:
    post.first.script = NO_SESSION[case]
    await post.send()
    assert await post.last_event() | {"host": "two.two.test", "type": "delivered"} == await post.last_event()
    assert post.taken == (0, 1)


@pytest.mark.parametrize("case", NO_SESSION)
async def test_where_no_server_will_the_mail_waits_and_the_destination_is_spared(post: Post, case: str) -> None:
    post.first.script = post.second.script = NO_SESSION[case]
    assert await post.send() is Signal.BAD
    event = await post.last_event()
    assert event["type"] == "deferred"
    assert event["retry_at"]
    assert str(event["reason"]).isprintable()
    assert len(str(event["reason"])) < 2000
    assert post.taken == (0, 0)


ODD_BUT_GOOD = {
    "EHLO refused": on("EHLO", "502 5.5.1 What?"),
    "a bare code": Script(final=lambda _mail: "250"),
    "an answer of several lines": Script(final=lambda _mail: "250-one\r\n250-two\r\n250 three"),
    "a greeting of four digits": greeting("2200 mx.example.org"),
    "a bad answer to EHLO": on("EHLO", "250-mx\r\n550 what"),
    "an empty line after the answer to EHLO": on("EHLO", "250-mx\r\n250 8BITMIME\r\n"),
    "two codes at the end": Script(final=lambda _mail: "250-queued as 1\r\n220 have a nice day"),
    "the end accepted as forwarded": Script(final=lambda _mail: "250-accepted\r\n251 done"),
    "four digits at the end": Script(final=lambda _mail: "2500 ok"),
    "a long text at the end": Script(final=lambda _mail: "250 2.0.0 " + "x" * 20_000),
    "STARTTLS put off": on("STARTTLS", "454 4.7.0 Not now"),
    "STARTTLS refused": on("STARTTLS", "501 5.5.4 No"),
    "no handshake": on("STARTTLS", "220 2.0.0 Go ahead"),
    "silence in the handshake": on("STARTTLS", "stall"),
    "closed at STARTTLS": on("STARTTLS", "drop"),
    "two answers at the end": Script(after_final=lambda _mail: "250 2.0.0 Ok\r\n250 2.0.0 Ok"),
}


@pytest.mark.parametrize("case", ODD_BUT_GOOD)
async def test_a_server_that_is_odd_gets_its_mail(post: Post, case: str) -> None:
    post.first.script = ODD_BUT_GOOD[case]
    post.first.extensions = ("PIPELINING", "STARTTLS", "SIZE abc", "AUTH=LOGIN", "X-ODD \x1b[31m=?", "=", "8BITMIME")
    for count in (1, 2):
        assert await post.send() is Signal.GOOD
        assert (await post.last_event())["type"] == "delivered"
        assert post.taken == (count, 0)


OTHERS_WOULD_SAY_THE_SAME = {
    "550 to RCPT in 8-bit text": (on("RCPT", "550 5.1.1 G\xfcnther \x1b[2J ist weg"), "bounced"),
    "551 to RCPT in two codes": (on("RCPT", "550-5.1.1 The account\r\n551 5.1.1 does not exist"), "bounced"),
    "550 to RCPT in a long line": (on("RCPT", "550 5.7.1 " + "x" * 3000), "bounced"),
    "550 to RCPT in many lines": (on("RCPT", "550-5.7.1 no\r\n" * 119 + "550 5.7.1 no"), "bounced"),
    "550 to RCPT and an empty line": (on("RCPT", "550 5.1.1 no\r\n"), "bounced"),
    "four digits to RCPT": (on("RCPT", "5500 no such user"), "bounced"),
    "550 to MAIL after 250": (on("MAIL", "250-Ok\r\n550 5.7.1 Not you"), "bounced"),
    "450 to RCPT": (on("RCPT", "450 4.2.0 Greylisted"), "deferred"),
    "550 to MAIL": (on("MAIL", "550 5.7.1 Not you"), "bounced"),
    "451 to DATA": (on("DATA", "451 4.3.0 Later"), "deferred"),
    "554 to DATA": (on("DATA", "554 5.6.0 No"), "bounced"),
    "451 at the end": (Script(final=lambda _mail: "451 4.3.0 Later"), "deferred"),
    "554 at the end": (Script(final=lambda _mail: "554 5.6.0 No"), "bounced"),
}


@pytest.mark.parametrize("case", OTHERS_WOULD_SAY_THE_SAME)
async def test_what_is_said_of_the_message_is_believed_at_once(post: Post, case: str) -> None:
    post.first.script, wanted = OTHERS_WOULD_SAY_THE_SAME[case]
    assert await post.send() is Signal.GOOD
    event = await post.last_event()
    assert (event["type"], event["host"]) == (wanted, "one.two.test")
    assert str(event["reply"]).isascii()
    assert str(event["reply"]).isprintable()
    assert post.taken == (0, 0)
    assert post.second.connections == 0


GONE = {
    "unknown": "554 delivery error: dd This user doesn't have a two.test account (gone@two.test) [0]",
    "not found": "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient gone@two.test not found by SMTP address lookup",
    "full": "452 4.2.2 The recipient's mailbox is full",
}


@pytest.mark.parametrize("case", GONE)
@pytest.mark.parametrize("others", [(), ("good@two.test",), ("a@two.test", "b@two.test", "c@two.test")])
async def test_who_is_refused_at_the_end_is_asked_alone(post: Post, case: str, others: tuple[str, ...]) -> None:
    post.first.script = Script(final=lambda mail: GONE[case] if "gone@two.test" in mail.recipients else None)
    assert await post.send(*others, "gone@two.test") is Signal.GOOD
    assert sorted(address for mail in post.first.mails for address in mail.recipients) == sorted(others)
    assert post.second.connections == 0
    page = await post.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE), limit=20)
    last = {event.recipient: event.type.value for event in reversed(page.items)}
    assert last == dict.fromkeys(others, "delivered") | {"gone@two.test": "deferred" if case == "full" else "bounced"}
    suppressed = await post.store.find_suppressed(ACCOUNT, ["gone@two.test", *others])
    assert set(suppressed) == (set() if case == "full" else {"gone@two.test"})


IN_DOUBT = {"closed": "drop", "silence": "stall", "nonsense": "what?", "354": "354 more"}


@pytest.mark.parametrize("case", IN_DOUBT)
async def test_a_message_that_may_have_been_taken_is_sent_to_no_other_server(post: Post, case: str) -> None:
    post.first.script = Script(after_final=lambda _mail: IN_DOUBT[case])
    await post.send()
    event = await post.last_event()
    assert event["type"] == "deferred"
    assert "may have been delivered" in str(event["reason"])
    assert post.taken == (1, 0)


@pytest.mark.parametrize("case", IN_DOUBT)
@pytest.mark.parametrize("verdict", ["delivered", "bounced"])
async def test_what_follows_a_lost_answer_is_marked_as_possibly_a_duplicate(post: Post, case: str, verdict: str) -> None:
    answers = [IN_DOUBT[case], "451 4.3.0 Later", None if verdict == "delivered" else "554 5.6.0 No"]
    post.first.script = post.second.script = Script(after_final=lambda _mail: answers.pop(0))
    marks = []
    (claim,) = await post.claim()
    for _ in range(3):
        await post.deliver(claim, None)
        event = await post.last_event()
        marks.append((event["type"], event.get("possibly_duplicate", False)))
        later = post.clock.now() + timedelta(hours=1)
        lease = post.samples.lease()
        claims = await post.store.claim_deliveries(now=later, lease=lease, limit=9, busy=frozenset(), per_domain=9)
        claim = claims[0] if claims else claim
    assert marks == [("deferred", False), ("deferred", True), (verdict, True)]


async def test_only_those_whose_message_was_sent_may_have_got_it(post: Post) -> None:
    turns = 0

    def one_at_once(verb: str, _line: str) -> str | None:
        nonlocal turns
        turns = 0 if verb == "MAIL" else turns + (verb == "RCPT")
        return "452 4.5.3 Too many recipients" if verb == "RCPT" and turns > 1 else None

    post.first.script = Script(command=one_at_once, after_final=lambda mail: "drop" if "b@two.test" in mail.recipients else None)
    await post.send("a@two.test", "b@two.test", "c@two.test")
    page = await post.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE), limit=10)
    last = {event.recipient: event for event in reversed(page.items)}
    assert {path: event.type.value for path, event in last.items()} == {
        "a@two.test": "delivered",
        "b@two.test": "deferred",
        "c@two.test": "delivered",
    }
    assert "may have been delivered" in str(last["b@two.test"].metadata["reason"])
    assert [mail.recipients for mail in post.second.mails] == [["c@two.test"]]


async def test_a_connection_that_breaks_in_the_content_is_followed_by_the_next_server(patient_post: Post) -> None:
    post, port = patient_post, patient_post.first.port
    await post.first.aclose()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in (b"220 mx\r\n", b"250 mx\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            writer.write(reply)
            await reader.read(1000)
        writer.transport.abort()

    server = await asyncio.start_server(serve, FIRST, port)
    try:
        await post.send(content=LARGE)
    finally:
        server.close()
        await server.wait_closed()
    assert (await post.last_event())["type"] == "delivered"
    (mail,) = post.second.mails
    assert mail.content.endswith(LARGE[-200_000:])


async def test_recipients_that_were_refused_before_a_connection_broke_are_not_asked_again(post: Post) -> None:
    refusals = {"gone@two.test": "550 5.1.1 No such user", "full@two.test": "452 4.2.2 Full"}
    post.first.script = Script(rcpt=refusals.get, command=lambda verb, _line: "drop" if verb == "DATA" else None)
    await post.send("gone@two.test", "good@two.test", "full@two.test")
    assert [mail.recipients for mail in post.second.mails] == [["good@two.test"]]
    page = await post.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE), limit=10)
    last = {event.recipient: event.type.value for event in reversed(page.items)}
    assert last == {"gone@two.test": "bounced", "good@two.test": "delivered", "full@two.test": "deferred"}


async def test_a_message_over_the_size_that_is_offered_is_not_sent(post: Post) -> None:
    post.first.extensions = ("PIPELINING", "SIZE 100")
    await post.send(content=b"From: a@example.test\r\n\r\n" + b"x" * 200 + b"\r\n")
    event = await post.last_event()
    assert (event["type"], event["enhanced_code"]) == ("bounced", "5.3.4")
    assert not any(command.startswith("MAIL") for command in post.first.commands)


async def test_a_server_that_offers_nothing_gets_plain_mail(post: Post) -> None:
    post.first.extensions = ()
    await post.send()
    assert (await post.last_event())["type"] == "delivered"
    assert post.first.mails[0].mail_params == ""
    assert (await post.store.count_queue()).get(DeliveryState.QUEUED, 0) == 0


Zone = dict[tuple[str, str], list[str]]
MX: tuple[str, str] = ("two.test", "MX")
HERE: Zone = {("mx.test", "A"): [FIRST]}

DNS: dict[str, tuple[Zone, str, str]] = {
    "no such name": ({}, "deferred", "4.1.2"),
    "a name without mail server or address": ({("two.test", "TXT"): ['"x"']}, "deferred", "4.1.2"),
    "no mail": ({MX: ["0 ."]}, "bounced", "5.1.10"),
    "no mail, and a mail server all the same": ({MX: ["0 .", "10 mx.test."], **HERE}, "delivered", ""),
    "an address alone": ({("two.test", "A"): [FIRST]}, "delivered", ""),
    "an address of the other family alone": ({("two.test", "AAAA"): ["::1"]}, "deferred", "4.4.1"),
    "an alias of a domain": ({("two.test", "CNAME"): ["real.test."], ("real.test", "MX"): ["10 mx.test."], **HERE}, "delivered", ""),
    "a mail server that is an alias": ({MX: ["10 alias.test."], ("alias.test", "CNAME"): ["mx.test."], **HERE}, "delivered", ""),
    "an alias of itself": ({MX: ["10 alias.test."], ("alias.test", "CNAME"): ["alias.test."]}, "deferred", "4.4.4"),
    "a mail server without address": ({MX: ["10 gone.test."]}, "deferred", "4.4.4"),
    "one without address before a good one": ({MX: ["10 gone.test.", "20 mx.test."], **HERE}, "delivered", ""),
    "an address where a name should be": ({MX: ["10 127.0.0.1."]}, "deferred", "4.4.4"),
    "ourselves": ({MX: ["10 relay.test."]}, "bounced", "5.4.6"),
    "ourselves before others": ({MX: ["10 Relay.TEST.", "20 mx.test."], **HERE}, "bounced", "5.4.6"),
    "ourselves behind others": ({MX: ["10 mx.test.", "20 relay.test."], **HERE}, "delivered", ""),
    "our own name in other octets": ({MX: [r"10 a\000b.test.", r"20 \255.test.", "30 mx.test."], **HERE}, "delivered", ""),
    "two addresses, of which one answers": ({MX: ["10 mx.test."], ("mx.test", "A"): ["127.0.0.9", FIRST]}, "delivered", ""),
}


@pytest.mark.parametrize("case", DNS)
async def test_what_the_dns_says_of_a_domain(case: str) -> None:
    zone, wanted, enhanced = DNS[case]
    async with NameServer(zone) as server:
        post = Post(Resolver(SystemClock(), (server.host, server.port)))
        await post.open()
        await post.send()
        event = await post.last_event()
        assert event["type"] == wanted
        assert not enhanced or event["enhanced_code"] == enhanced
        assert post.taken == (1 if wanted == "delivered" else 0, 0)
        await post.aclose()


async def test_of_very_many_mail_servers_and_addresses_some_are_tried() -> None:
    zone: Zone = {MX: [f"10 mx{number}.test." for number in range(100)]}
    zone |= {(f"mx{number}.test", "A"): [f"127.0.1.{address}" for address in range(1, 20)] for number in range(100)}
    async with NameServer(zone) as server:
        post = Post(Resolver(SystemClock(), (server.host, server.port)))
        await post.open()
        assert await post.send() is Signal.BAD
        assert (await post.last_event())["type"] == "deferred"
        assert sum(count for (name, kind), count in server.queries.items() if kind == "A") == MAX_ROUTE_HOSTS
        await post.aclose()


DEAD = [f"127.0.0.{number}" for number in range(201, 204)]
LATE: dict[str, Zone] = {
    "the third address of a host": {MX: ["10 mx.test."], ("mx.test", "A"): [*DEAD[:2], FIRST]},
    "the sixth mail server": {
        MX: [*(f"{number} m{number}.test." for number in range(7)), "50 ok.test."],
        **{(f"m{number}.test", "A"): [DEAD[0]] for number in range(7)},
        ("ok.test", "A"): [FIRST],
    },
    "the last of many of the same preference": {
        MX: [f"10 m{number}.test." for number in range(9)],
        **{(f"m{number}.test", "A"): [DEAD[number % 3] if number else FIRST] for number in range(9)},
    },
}


@pytest.mark.parametrize("case", LATE)
async def test_later_attempts_take_the_servers_that_earlier_ones_had_no_turn_for(case: str) -> None:
    async with NameServer(LATE[case]) as server:
        post = Post(Resolver(SystemClock(), (server.host, server.port)))
        await post.open()
        (claim,) = await post.claim()
        for attempts in range(8):
            claim = replace(claim, deliveries=tuple(replace(each, attempts=attempts) for each in claim.deliveries))
            await post.deliver(claim, None)
            if post.first.mails:
                break
            later = post.clock.now() + timedelta(hours=1)
            (claim,) = await post.store.claim_deliveries(now=later, lease=post.samples.lease(), limit=9, busy=frozenset(), per_domain=9)
        assert post.taken == (1, 0)
        await post.aclose()


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"])
async def test_mail_servers_that_only_we_can_reach_are_not_connected_to(address: str) -> None:
    async with NameServer({MX: ["10 mx.test."], ("mx.test", "A"): [address]}) as server:
        post = Post(Resolver(SystemClock(), (server.host, server.port)), allow_private=False)
        await post.open()
        await post.send()
        event = await post.last_event()
        assert (event["type"], event["enhanced_code"]) == ("bounced", "5.4.4")
        assert post.first.connections == 0
        await post.aclose()


async def test_a_good_server_behind_silent_ones_is_reached_within_a_few_attempts() -> None:
    """Two hosts of the best preference with two addresses each take more than one attempt may wait."""
    silent = [f"127.0.0.{number}" for number in (11, 12, 13, 14)]
    zone: Zone = {
        MX: ["10 one.test.", "10 three.test.", "20 ok.test."],
        ("one.test", "A"): silent[:2],
        ("three.test", "A"): silent[2:],
        ("ok.test", "A"): [FIRST],
    }
    async with NameServer(zone) as names, AsyncExitStack() as stack:
        post = Post(
            Resolver(SystemClock(), (names.host, names.port)),
            patience=lambda: Patience(connecting=0.5, opening=1.0, each=0.2, least=0.15),
        )
        await post.open()
        stack.push_async_callback(post.aclose)
        tarpits = [ReceivingServer(host=host, port=post.first.port, script=greeting("stall")) for host in silent]
        for tarpit in tarpits:
            await tarpit.start()
            stack.push_async_callback(tarpit.aclose)
        (claim,) = await post.claim()
        attempts = 0
        while not post.first.mails:
            attempts += 1
            assert attempts <= 4
            await post.deliver(claim, None)
            if not post.first.mails:
                later = post.clock.now() + timedelta(hours=1)
                (claim,) = await post.store.claim_deliveries(now=later, lease=post.samples.lease(), limit=9, busy=frozenset(), per_domain=9)
        assert attempts > 1  # the first one keeps to the preferences
        # A new message keeps to them too.
        asked = sum(tarpit.connections for tarpit in tarpits)
        await post.send()
        assert sum(tarpit.connections for tarpit in tarpits) > asked
