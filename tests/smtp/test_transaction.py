"""One transaction as a client: the commands for an envelope, and what mixed answers come to."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.smtp.client_commands import CONTENT, NOOP, Command
from sendryd.smtp.extensions import Extensions
from sendryd.smtp.reply import Reply, make_reply
from sendryd.smtp.states import Verb
from sendryd.smtp.timeouts import Step
from sendryd.smtp.transaction import NO_8BITMIME, NO_SMTPUTF8, TOO_BIG, OutboundEnvelope, Transaction, TransactionResult, needs_7bit
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

A, B, C = PATHS = ("a@example.org", "b@example.org", "c@example.org")
OK, GO = make_reply(250, "2.0.0", "Ok"), Reply(354, "Go")
UNKNOWN, FULL = make_reply(550, "5.1.1", "No such user"), make_reply(452, "4.2.2", "Full")
FEWER, TOO_MANY = make_reply(452, "4.5.3", "Too many recipients"), make_reply(552, "5.5.3", "Too many recipients")
LATER, NO, CLOSING = make_reply(451, "4.3.0", "Later"), make_reply(554, "5.6.0", "No"), make_reply(421, "4.3.2", "Stopping")
ENVELOPE = OutboundEnvelope(reverse_path="s@example.test", forward_paths=PATHS, size=100)
PATIENT, PIPELINED = Extensions(), Extensions(pipelining=True)
BOTH = pytest.mark.parametrize("extensions", [PATIENT, PIPELINED], ids=["in turn", "pipelined"])


class Talk:
    """A transaction with a server that answers as it is told, by verb or recipient, else kindly."""

    def __init__(self, answers: dict[str, Reply], extensions: Extensions, envelope: OutboundEnvelope = ENVELOPE) -> None:
        self.transaction = Transaction(envelope, extensions)
        self.said: list[str] = []  # flight by flight
        self.result = self._run(answers)

    def _run(self, answers: dict[str, Reply]) -> TransactionResult:
        transaction = self.transaction
        while not transaction.is_done:
            if transaction.is_text_due:
                transaction.is_text_due = False
                self.said.append("content" if transaction.wants_content else "nothing")
                transaction.receive(CONTENT, answers.get(Verb.CONTENT, OK))
                continue
            commands = transaction.commands()
            assert commands
            assert transaction.commands() == []  # while its replies are awaited
            self.said.append(" ".join(command.recipient[:1] or command.verb for command in commands))
            for command in commands:
                kindly = GO if command.verb is Verb.DATA else OK
                if self._is_over_after(command, answers.get(command.recipient or command.verb, kindly)):
                    break
        assert transaction.is_decided
        assert transaction.commands() == []
        return transaction.result()

    def _is_over_after(self, command: Command, reply: Reply) -> bool:
        self.transaction.receive(command, reply)
        return self.transaction.is_done

    @property
    def outcome(self) -> dict[str, tuple[int, Step]]:
        """By recipient: which code decided, and where."""
        return {path: (reply.code, self.result.steps[path]) for path, reply in self.result.per_recipient.items()}


def all_of_them(reply: Reply, step: Step) -> dict[str, tuple[int, Step]]:
    return dict.fromkeys(PATHS, (reply.code, step))


def test_what_is_said_in_turn_and_in_one_flight() -> None:
    assert Talk({}, PATIENT).said == ["MAIL", "a", "b", "c", "DATA", "content"]
    assert Talk({}, PIPELINED).said == ["MAIL a b c DATA", "content"]


@BOTH
def test_all_recipients_accepted(extensions: Extensions) -> None:
    talk = Talk({}, extensions)
    assert talk.outcome == all_of_them(OK, Step.FINAL_DOT)
    assert talk.result.failed_at is None
    assert talk.result.was_sent
    assert not talk.transaction.needs_reset


@BOTH
def test_each_recipient_has_an_answer_of_its_own(extensions: Extensions) -> None:
    talk = Talk({A: UNKNOWN, C: FULL}, extensions)
    assert talk.said[-1] == "content"
    assert talk.outcome == {A: (550, Step.RCPT), B: (250, Step.FINAL_DOT), C: (452, Step.RCPT)}
    assert talk.result.per_recipient[A] is UNKNOWN
    assert talk.result.failed_at is None


@BOTH
@pytest.mark.parametrize("refusal", [FEWER, TOO_MANY])
def test_recipients_over_the_server_limit_are_deferred_apart_from_accepted_ones(extensions: Extensions, refusal: Reply) -> None:
    talk = Talk({B: refusal, C: refusal}, extensions)
    assert talk.outcome == {A: (250, Step.FINAL_DOT), B: (refusal.code, Step.RCPT), C: (refusal.code, Step.RCPT)}
    assert talk.result.failed_at is None


@pytest.mark.parametrize("refusal", [LATER, NO])
def test_a_refused_sender_is_the_answer_for_all(refusal: Reply) -> None:
    talk = Talk({Verb.MAIL: refusal}, PATIENT)
    assert talk.said == ["MAIL"]
    assert talk.outcome == all_of_them(refusal, Step.MAIL)
    assert talk.result.failed_at is Step.MAIL
    assert not talk.transaction.needs_reset


@pytest.mark.parametrize("data", [NO, GO])
def test_replies_after_a_refused_mail_are_read_and_ignored(data: Reply) -> None:
    talk = Talk({Verb.MAIL: LATER, B: UNKNOWN, Verb.DATA: data}, PIPELINED)
    assert talk.said == ["MAIL a b c DATA", "nothing"][: 2 if data is GO else 1]
    assert talk.outcome == all_of_them(LATER, Step.MAIL)
    assert talk.result.failed_at is Step.MAIL


def test_without_a_recipient_there_is_no_data() -> None:
    talk = Talk({A: UNKNOWN, B: UNKNOWN, C: FULL}, PATIENT)
    assert talk.said == ["MAIL", "a", "b", "c"]
    assert talk.outcome == {A: (550, Step.RCPT), B: (550, Step.RCPT), C: (452, Step.RCPT)}
    assert talk.result.failed_at is Step.RCPT
    assert talk.transaction.needs_reset


@pytest.mark.parametrize("data", [NO, GO])
def test_a_go_ahead_without_a_recipient_is_answered_with_the_lone_dot(data: Reply) -> None:
    talk = Talk({**dict.fromkeys(PATHS, UNKNOWN), Verb.DATA: data, Verb.CONTENT: OK}, PIPELINED)
    assert talk.said == ["MAIL a b c DATA", "nothing"][: 2 if data is GO else 1]
    assert talk.outcome == all_of_them(UNKNOWN, Step.RCPT)
    assert talk.result.failed_at is Step.RCPT
    assert talk.transaction.needs_reset is (data is NO)


@BOTH
@pytest.mark.parametrize("refusal", [LATER, NO])
@pytest.mark.parametrize(("verb", "step"), [(Verb.DATA, Step.DATA), (Verb.CONTENT, Step.FINAL_DOT)])
def test_a_refusal_of_the_message_is_the_answer_for_those_who_were_accepted(
    extensions: Extensions, refusal: Reply, verb: Verb, step: Step
) -> None:
    talk = Talk({B: UNKNOWN, verb: refusal}, extensions)
    assert talk.outcome == {A: (refusal.code, step), B: (550, Step.RCPT), C: (refusal.code, step)}
    assert talk.result.failed_at is step
    assert talk.transaction.needs_reset is (verb is Verb.DATA)


@BOTH
@pytest.mark.parametrize(("at", "step"), [(Verb.MAIL, Step.MAIL), (B, Step.RCPT), (Verb.DATA, Step.DATA), (Verb.CONTENT, Step.FINAL_DOT)])
def test_421_ends_it_for_all_who_had_no_answer_yet(extensions: Extensions, at: str, step: Step) -> None:
    talk = Talk({A: UNKNOWN, at: CLOSING}, extensions)
    first = (421, step) if at == Verb.MAIL else (550, Step.RCPT)
    assert talk.outcome == {A: first, B: (421, step), C: (421, step)}
    assert talk.result.failed_at is step
    assert not talk.transaction.wants_content or step is Step.FINAL_DOT


def test_421_behind_the_last_answer_changes_nothing() -> None:
    talk = Talk({**dict.fromkeys(PATHS, UNKNOWN), Verb.DATA: CLOSING}, PIPELINED)
    assert talk.outcome == all_of_them(UNKNOWN, Step.RCPT)
    assert talk.result.failed_at is Step.RCPT


def test_a_result_grows_with_the_replies() -> None:
    transaction = Transaction(ENVELOPE, PIPELINED)
    mail, a, *_ = transaction.commands()
    before = transaction.is_mail_answered, transaction.needs_reset
    transaction.receive(mail, OK)
    assert (before, (transaction.is_mail_answered, transaction.needs_reset)) == ((False, False), (True, True))
    transaction.receive(a, UNKNOWN)
    assert transaction.result().per_recipient == {A: UNKNOWN}
    assert not transaction.is_decided


def test_what_belongs_to_no_transaction_is_our_mistake() -> None:
    transaction = Transaction(ENVELOPE, PATIENT)
    with pytest.raises(ValueError, match="no part of a transaction"):
        transaction.receive(NOOP, OK)
    with pytest.raises(ValueError, match="needs a recipient"):
        Transaction(replace(ENVELOPE, forward_paths=()), PATIENT)


EIGHT_BIT, INTERNATIONAL = replace(ENVELOPE, is_8bit=True), replace(ENVELOPE, needs_smtputf8=True)
UTF8 = Extensions(smtputf8=True, eightbitmime=True)


@cases(
    ("envelope", "extensions", "reply"),
    [
        (ENVELOPE, Extensions(size=99), TOO_BIG),
        (INTERNATIONAL, PIPELINED, NO_SMTPUTF8),
        (INTERNATIONAL, Extensions(smtputf8=True), NO_SMTPUTF8),  # SMTPUTF8 without 8BITMIME is no offer
        (replace(ENVELOPE, forward_paths=(A, "ü@example.org")), Extensions(eightbitmime=True), NO_SMTPUTF8),
        (replace(ENVELOPE, reverse_path="ü@example.test"), Extensions(eightbitmime=True), NO_SMTPUTF8),
        (EIGHT_BIT, PIPELINED, NO_8BITMIME),
        (replace(EIGHT_BIT, needs_smtputf8=True), PIPELINED, NO_SMTPUTF8),
    ],
)
def test_what_the_server_says_that_it_will_not_take_is_not_sent(envelope: OutboundEnvelope, extensions: Extensions, reply: Reply) -> None:
    talk = Talk({}, extensions, envelope)
    assert talk.said == []
    assert dict(talk.result.per_recipient) == dict.fromkeys(envelope.forward_paths, reply)
    assert talk.result.failed_at is Step.MAIL
    assert not talk.result.was_sent


@pytest.mark.parametrize("extensions", [Extensions(), Extensions(size=0), Extensions(size=100)])
def test_a_size_that_fits_or_is_not_limited_is_sent(extensions: Extensions) -> None:
    assert Talk({}, extensions).result.failed_at is None


@pytest.mark.parametrize("does_offer", [True, False])
@pytest.mark.parametrize("is_8bit", [True, False])
def test_only_8_bit_content_for_a_server_that_takes_none_is_converted(is_8bit: bool, does_offer: bool) -> None:
    assert needs_7bit(is_8bit=is_8bit, extensions=Extensions(eightbitmime=does_offer)) is (is_8bit and not does_offer)


def test_what_must_be_encrypted_all_the_way_is_not_given_to_a_server_that_does_not_pass_that_on() -> None:
    talk = Talk({}, Extensions(), replace(ENVELOPE, requires_tls=True))
    assert not talk.result.was_sent
    assert str(talk.result.per_recipient[A]).startswith("554 5.7.30")


ALL = Extensions(pipelining=True, size=1000, eightbitmime=True, smtputf8=True, dsn=True)
DSN = replace(
    ENVELOPE, forward_paths=(A, B), ret="HDRS", envid="x+2Dy", notify={A: "FAILURE,DELAY"}, orcpt={A: "rfc822;a@example.org", B: "rfc822;b"}
)


@cases(
    ("envelope", "extensions", "lines"),
    [
        (ENVELOPE, PATIENT, ["MAIL FROM:<s@example.test>"]),
        (replace(ENVELOPE, reverse_path=""), ALL, ["MAIL FROM:<> SIZE=100", "RCPT TO:<a@example.org>"]),
        (ENVELOPE, Extensions(size=0), ["MAIL FROM:<s@example.test> SIZE=100"]),
        (EIGHT_BIT, UTF8, ["MAIL FROM:<s@example.test> BODY=8BITMIME"]),
        (INTERNATIONAL, UTF8, ["MAIL FROM:<s@example.test> SMTPUTF8"]),
        (replace(ENVELOPE, requires_tls=True), Extensions(requiretls=True), ["MAIL FROM:<s@example.test> REQUIRETLS"]),
        (
            replace(EIGHT_BIT, forward_paths=("ü@example.org",)),
            ALL,
            ["MAIL FROM:<s@example.test> SIZE=100 BODY=8BITMIME SMTPUTF8", "RCPT TO:<ü@example.org>"],
        ),
        (
            DSN,
            ALL,
            [
                "MAIL FROM:<s@example.test> SIZE=100 RET=HDRS ENVID=x+2Dy",
                "RCPT TO:<a@example.org> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a@example.org",
                "RCPT TO:<b@example.org> ORCPT=rfc822;b",
            ],
        ),
        (DSN, PIPELINED, ["MAIL FROM:<s@example.test>", "RCPT TO:<a@example.org>", "RCPT TO:<b@example.org>", "DATA"]),
        (
            replace(DSN, envid="x RET=FULL", notify={A: "NEVER\r\nRSET"}, orcpt={A: "a=b"}),
            ALL,
            ["MAIL FROM:<s@example.test> SIZE=100 RET=HDRS", "RCPT TO:<a@example.org>"],
        ),
    ],
)
def test_parameters_are_those_that_the_server_offers(envelope: OutboundEnvelope, extensions: Extensions, lines: list[str]) -> None:
    said = [command.line.decode().rstrip("\r\n") for command in Transaction(envelope, extensions).commands()]
    assert said[: len(lines)] == lines


REPLIES = st.sampled_from([OK, Reply(251, "Will forward"), UNKNOWN, FULL, FEWER, TOO_MANY, LATER, NO, CLOSING])


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(REPLIES, min_size=6, max_size=6), st.booleans(), st.booleans())
def test_whatever_is_answered_every_recipient_has_the_reply_that_decided(replies: list[Reply], is_pipelined: bool, does_go: bool) -> None:
    by_name = dict(zip((Verb.MAIL, *PATHS, Verb.CONTENT), replies, strict=False))
    data = GO if does_go else next((reply for reply in replies if not reply.is_positive), NO)
    answers: dict[str, Reply] = {**by_name, Verb.DATA: data}
    talk = Talk(answers, PIPELINED if is_pipelined else PATIENT)
    result = talk.result
    assert set(result.per_recipient) == set(result.steps) == set(PATHS)
    source = {Step.MAIL: Verb.MAIL, Step.DATA: Verb.DATA, Step.FINAL_DOT: Verb.CONTENT}
    for path in PATHS:
        step, reply = result.steps[path], result.per_recipient[path]
        if step is Step.RCPT:
            # Its own refusal, or the 421 to another that ended the session.
            assert reply in (answers[path], CLOSING)
            assert not reply.is_positive
        else:
            assert reply == answers[source[step]]
    has_message = [path for path in PATHS if result.per_recipient[path].is_positive]
    assert all(result.steps[path] is Step.FINAL_DOT and answers[path].is_positive for path in has_message)
    assert (result.failed_at is None) is bool(has_message)
    assert ("content" in talk.said) or not has_message


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(REPLIES.filter(lambda reply: reply.code != 421), min_size=6, max_size=6))
def test_pipelining_changes_nothing_in_what_comes_out(replies: list[Reply]) -> None:
    answers: dict[str, Reply] = dict(zip((Verb.MAIL, *PATHS, Verb.CONTENT), replies, strict=False))
    assert Talk(answers, PIPELINED).outcome == Talk(answers, PATIENT).outcome
