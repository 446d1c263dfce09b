"""What replies come to: those seen in the field, and what holds for any."""

import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.policy.replies.classify import classify
from sendryd.policy.replies.verdict import Category, Kind, NetworkFailure, Scope, bounce_type
from sendryd.smtp.client import ClientConnection, ReplyReceived
from sendryd.smtp.client import make_reply as heard
from sendryd.smtp.reply import EnhancedStatusCode, Reply
from sendryd.smtp.timeouts import CLIENT_TIMEOUTS, Step
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

REPLIES = tomllib.loads((Path(__file__).parents[2] / "data" / "replies.toml").read_text("utf-8"))["reply"]


def hear(text: str) -> Reply:
    """The reply as the client machine reads it off the wire."""
    machine = ClientConnection()
    machine.receive_data(text.replace("\n", "\r\n").encode() + b"\r\n")
    event = machine.next_event()
    assert isinstance(event, ReplyReceived)
    return event.reply


@cases("case", REPLIES, ids=lambda case: f"{case['from']}: {case['text'][:40]}")
def test_replies_from_the_field(case: dict[str, Any]) -> None:
    found = classify(hear(case["text"]), step=Step(case["step"]))
    assert (found.kind.value, found.scope.value, found.category.value) == (case["kind"], case["scope"], case["category"])
    assert found.suppresses is case.get("suppresses", False)
    assert case.get("bounce") == (bounce_type(found.category) if found.kind is Kind.BOUNCED else None)
    assert found.must_split is case.get("splits", False)
    assert found.enhanced.startswith({"delivered": "2.", "deferred": "4.", "bounced": "5."}[case["kind"]])


def test_the_field_has_been_seen_in_its_width() -> None:
    assert len(REPLIES) >= 150
    assert {case["kind"] for case in REPLIES} == {each.value for each in Kind}
    assert {case["scope"] for case in REPLIES} == {each.value for each in Scope}
    ours = {Category.DNS_FAILURE, Category.CONNECT_FAILURE, Category.EXPIRED, Category.SUPPRESSED}  # no reply says them
    assert {case["category"] for case in REPLIES} == {each.value for each in Category} - {each.value for each in ours}


WORDS = st.sampled_from([
    "user", "unknown", "mailbox", "full", "quota", "exceeded", "message", "size", "limit", "too many recipients", "spam", "blocked", "relay", "sender",
    "address", "rejected", "domain", "not found", "disabled", "DMARC", "<spam@example.org>", "greylisted", "try again later", "TLS required",
])  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=8).map(" ".join))
CODES = st.sampled_from((421, 450, 451, 452, 500, 503, 530, 550, 552, 553, 554)) | st.integers(400, 599)
DETAILS = st.none() | st.sampled_from(((1, 1), (2, 1), (2, 2), (5, 3), (7, 1))) | st.tuples(st.integers(0, 9), st.integers(0, 30))


@st.composite
def failures(draw: st.DrawFn) -> Reply:
    """A negative reply as the client machine keeps it: its enhanced code, if it has one, is of the same class."""
    code, details = draw(CODES), draw(DETAILS)
    text = draw(st.one_of(TEXTS, st.lists(TEXTS, min_size=1, max_size=3).map(tuple)))
    return Reply(code, text, EnhancedStatusCode(code // 100, *details) if details else None)


FAILURES = failures()
STEPS = st.sampled_from(Step)
OUT_OF_STEP = {500, 502, 503, 504, 530, 555}
BEFORE_MAIL = {Step.CONNECT, Step.GREETING, Step.EHLO, Step.STARTTLS, Step.HANDSHAKE, Step.AUTH, Step.RSET, Step.QUIT}


@settings(max_examples=examples(500), deadline=None)
@given(FAILURES, STEPS)
def test_every_reply_is_classified(reply: Reply, step: Step) -> None:
    found = classify(reply, step=step)
    assert found.kind is not Kind.DELIVERED
    assert found.enhanced.startswith("5." if found.kind is Kind.BOUNCED else "4.")
    EnhancedStatusCode.parse(found.enhanced)
    assert str(reply) in found.sentence
    if reply.is_transient or step in BEFORE_MAIL:
        assert found.kind is Kind.DEFERRED
    if reply.code == 421:
        assert found.scope is Scope.SESSION
        assert not found.must_split
    if found.suppresses:
        assert step in {Step.RCPT, Step.DATA, Step.FINAL_DOT}
        assert found.kind is Kind.BOUNCED
        assert found.category in {Category.INVALID_RECIPIENT, Category.INACTIVE_MAILBOX}
    if found.must_split:
        assert (step, found.kind, found.scope) == (Step.RCPT, Kind.DEFERRED, Scope.MESSAGE)
    if step is Step.MAIL:
        assert found.category not in {Category.INVALID_RECIPIENT, Category.INACTIVE_MAILBOX, Category.MAILBOX_FULL}


@settings(max_examples=examples(300), deadline=None)
@given(FAILURES.filter(lambda reply: reply.is_permanent))
def test_a_permanent_answer_to_rcpt_is_the_recipients_unless_it_says_otherwise(reply: Reply) -> None:
    found = classify(reply, step=Step.RCPT)
    if found.must_split:
        assert "too many recipients" in str(reply).lower() or str(reply.enhanced).endswith(".5.3")
    elif found.kind is Kind.DEFERRED:
        assert reply.code in OUT_OF_STEP
        assert found.scope is Scope.SESSION
    else:
        assert found.scope is Scope.RECIPIENT


@settings(max_examples=examples(300), deadline=None)
@given(FAILURES, st.sampled_from((Step.MAIL, Step.DATA, Step.DATA_BLOCK, Step.FINAL_DOT)))
def test_an_answer_to_a_message_for_several_suppresses_nobody(reply: Reply, step: Step) -> None:
    found, alone = classify(reply, step=step, is_alone=False), classify(reply, step=step)
    assert not found.suppresses
    assert not alone.must_ask_alone
    assert found.must_ask_alone or found == alone
    if found.must_ask_alone:
        assert found.kind is Kind.DEFERRED
        assert found.category in {Category.INVALID_RECIPIENT, Category.INACTIVE_MAILBOX, Category.MAILBOX_FULL}
    if alone.suppresses:
        assert found.must_ask_alone
    assert not found.must_split
    assert found.scope is not Scope.RECIPIENT


@given(
    st.sampled_from(
        ("policy", "policies", "filtered", "attack", "virus", "quota", "rate", "limit", "too many", "spam", "restricted", "temporarily")
    ),
    st.sampled_from(("User unknown", "No such user", "mailbox unavailable", "Recipient address rejected", "account disabled", "")),
    st.sampled_from((550, 551, 552, 553, 554)),
    st.sampled_from((None, EnhancedStatusCode(5, 1, 1), EnhancedStatusCode(5, 2, 1), EnhancedStatusCode(5, 7, 1))),
    st.sampled_from((Step.RCPT, Step.FINAL_DOT)),
    st.booleans(),
)
def test_words_of_policy_and_limits_never_suppress(
    word: str, sentence: str, code: int, enhanced: EnhancedStatusCode | None, step: Step, is_first: bool
) -> None:
    text = f"{word}: {sentence}" if is_first else f"{sentence} ({word})"
    assert not classify(Reply(code, text, enhanced), step=step).suppresses


@cases("name", ["spam", "user.unknown", "relay", "no-such-user", "quota", "bulk", "virus", "mailbox.disabled", "greylist"])
@cases("form", ["<{}>: rejected", "{} rejected", "rejected ({})", "{}: rejected", "<{}>... rejected"])
def test_the_name_of_an_address_is_no_reason(name: str, form: str) -> None:
    reply = Reply(550, form.format(f"{name}@example.org"))
    assert classify(reply, step=Step.RCPT).category is Category.OTHER


@pytest.mark.parametrize(
    "host", ["relay.example.org", "relay5.example.org", "mx-relay.example.org", "mail.relay.example.org", "relay-3.example.org"]
)
def test_a_host_that_is_called_relay_denies_nothing(host: str) -> None:
    assert classify(Reply(450, f"{host} rejects this for now"), step=Step.RCPT).category is Category.OTHER


@cases("failure", NetworkFailure)
@cases("step", CLIENT_TIMEOUTS)
def test_silence_never_bounces_and_after_the_message_it_is_in_doubt(failure: NetworkFailure, step: Step) -> None:
    found = classify(failure, step=step)
    assert (found.kind, found.suppresses, found.must_split) == (Kind.DEFERRED, False, False)
    assert found.enhanced.startswith("4.")
    is_in_doubt = step is Step.FINAL_DOT
    assert (found.scope is Scope.MESSAGE) is is_in_doubt
    assert found.is_in_doubt is is_in_doubt
    assert ("may have been delivered" in found.sentence) is is_in_doubt


@cases("step", Step)
@cases("code", [200, 250, 251, 334, 354])
def test_what_is_no_failure_is_not_judged_as_one(code: int, step: Step) -> None:
    if code < 300 and step is Step.FINAL_DOT:
        assert classify(Reply(code), step=step).kind is Kind.DELIVERED
        return
    with pytest.raises(ValueError, match="no failure"):
        classify(Reply(code), step=step)


def test_a_long_answer_is_read_in_bounded_time() -> None:
    text = "user@" * 200 + "a" * 1000 + "<" * 1000 + "address mailbox message " * 50
    assert classify(heard(550, [text.encode()]), step=Step.RCPT).kind is Kind.BOUNCED


def test_a_reply_of_one_long_word_is_read_in_no_time() -> None:
    started = time.process_time()
    classify(Reply(550, ("a" * 50_000, "x@" * 25_000, "<" * 50_000)), step=Step.RCPT)  # before: the square of the length
    assert time.process_time() - started < 1
