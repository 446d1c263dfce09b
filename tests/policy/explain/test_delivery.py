"""Each situation of a delivery has its own sentence; what receivers said comes from the replies of the field."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.policy.explain import Action, Attempt, Complaint, Facts, Hold, Lane, Suppressed, Tone, explain
from sendryd.policy.replies.classify import classify
from sendryd.policy.replies.verdict import Category, Kind
from sendryd.smtp.client import ClientConnection, ReplyReceived
from sendryd.smtp.reply import EnhancedStatusCode, Reply
from sendryd.smtp.timeouts import Step
from sendryd.testing.cases import cases

NOW: Final = datetime(2026, 5, 5, 13, 58, tzinfo=UTC)  # a Tuesday
QUEUED, BOUNCED, DELIVERED = DeliveryState.QUEUED, DeliveryState.BOUNCED, DeliveryState.DELIVERED


def facts(**changes: Any) -> Facts:
    known = {
        "recipient": "ann@corp.example",
        "domain": "corp.example",
        "sender_domain": "acme.example",
        "state": QUEUED,
        "now": NOW,
        "due_at": NOW + timedelta(minutes=7),
        "attempts": 1,
        "accepted_at": NOW - timedelta(minutes=10),
        "expires_at": NOW + timedelta(days=3),
    }
    return Facts(**{**known, **changes})


def attempt(category: Category, **changes: Any) -> Attempt:
    return Attempt(**{"category": category, "at": NOW - timedelta(minutes=3), "host": "mx1.corp.example", **changes})


REPLIES = tomllib.loads((Path(__file__).parents[2] / "data" / "replies.toml").read_text("utf-8"))["reply"]


@cases("case", REPLIES, ids=lambda case: f"{case['from']}: {case['text'][:40]}")
def test_replies_from_the_field_have_a_plain_sentence(case: dict[str, Any]) -> None:
    machine = ClientConnection()
    machine.receive_data(case["text"].replace("\n", "\r\n").encode() + b"\r\n")
    event = machine.next_event()
    assert isinstance(event, ReplyReceived)
    verdict = classify(event.reply, step=Step(case["step"]))
    is_over = verdict.kind is Kind.BOUNCED
    last = Attempt(category=verdict.category, at=NOW, reply=str(event.reply), enhanced=verdict.enhanced, host="mx.example.net")
    known = facts(
        recipient="ada@example.net",
        domain="example.net",
        sender_domain="example.com",
        state=BOUNCED if is_over else QUEUED,
        retries_left=not is_over,
        last=last,
    )
    assert verdict.kind is Kind.DELIVERED or explain(known).sentence == case["sentence"]


def heard(code: int, enhanced: str, text: str, step: Step = Step.RCPT) -> Attempt:
    """An attempt that ended with this reply, as the classifier judges it."""
    subject, detail = (int(each) for each in enhanced.split(".")[1:])
    reply = Reply(code, text, EnhancedStatusCode(code // 100, subject, detail))
    return attempt(classify(reply, step=step).category, reply=f"{code} {enhanced} {text}", enhanced=enhanced)


SITUATIONS: Final = {
    "in line": (
        facts(due_at=NOW, lane=Lane(ahead=212, per_minute=21.2)),
        Tone.GO,
        "In the queue: 212 others to corp.example go first.",
        "About 10 min at this pace.",
    ),
    "in the line of a site that is down": (
        facts(due_at=NOW, lane=Lane(ahead=212, suspended_until=NOW + timedelta(minutes=7))),
        Tone.SLOW,
        "corp.example does not answer: one mail is tried at 14:05 UTC, and the others wait for that.",
        "Nothing to do on your side. No attempt is counted for this mail until then.",
    ),
    "in line while nothing can be reached": (
        facts(due_at=NOW, nothing_reachable=True, lane=Lane(suspended_until=NOW + timedelta(minutes=7))),
        Tone.BAD,
        "Waits, as all mail does. No server can be reached: outgoing port 25 seems blocked here.",
        "Ask your hosting provider to open port 25, or set a smart host (SENDRYD_SMARTHOST).",
    ),
    "in the line of a site that was down": (
        facts(due_at=NOW, lane=Lane(ahead=1, suspended_until=NOW)),
        Tone.GO,
        "In the queue: 1 other to corp.example goes first.",
        "",
    ),
    "in the line of a smart host that is down": (
        facts(due_at=NOW, lane=Lane(suspended_until=NOW + timedelta(minutes=7), smart_host="smtp.out.example:587")),
        Tone.SLOW,
        "The smart host smtp.out.example:587 does not answer: one mail is tried at 14:05 UTC, and the others wait for that.",
        "Look whether it runs. No attempt is counted for this mail until then.",
    ),
    "scheduled": (
        facts(scheduled_at=NOW + timedelta(hours=19, minutes=2), due_at=NOW + timedelta(hours=19, minutes=2)),
        Tone.GO,
        "Waits for its time: Wednesday 09:00 UTC, in 19 h.",
        "",
    ),
    "under way": (
        facts(state=DeliveryState.LEASED, leased_at=NOW - timedelta(seconds=2), last=attempt(Category.GREYLISTED)),
        Tone.GO,
        "Being handed to mx1.corp.example since 2 s.",
        "",
    ),
    "held by a person": (
        facts(
            state=DeliveryState.HELD,
            hold=Hold(reason=HoldReason.OPERATOR, by="Mara", since=NOW.replace(hour=13, minute=20), note="wrong link"),
        ),
        Tone.HOLD,
        'Held by Mara since 13:20 UTC: "wrong link"',
        "",
    ),
    "paused": (
        facts(lane=Lane(paused_by="Mara", paused_until=NOW.replace(hour=15, minute=0))),
        Tone.HOLD,
        "Mail to corp.example is paused by Mara until 15:00 UTC.",
        "",
    ),
    "shaped": (
        facts(lane=Lane(rule="yahoo/1", rule_until=NOW + timedelta(days=1, hours=1), rule_reply="421 4.7.0 [TSS04] deferred")),
        Tone.HOLD,
        "corp.example gets less mail until Wednesday 14:58 UTC, by the shaping rule yahoo/1.",
        'Its servers said: "421 4.7.0 [TSS04] deferred"',
    ),
    "greylisted": (
        facts(last=heard(451, "4.7.1", "Greylisting in action, please come back later")),
        Tone.SLOW,
        "corp.example asks new senders to come back. It usually says yes at the next try.",
        "Nothing to do. Next try at 14:05 UTC.",
    ),
    "rate limited": (
        facts(
            domain="gmail.com",
            recipient="judy@gmail.com",
            last=heard(421, "4.7.28", "Gmail has detected an unusual rate of unsolicited mail originating from your IP address."),
        ),
        Tone.SLOW,
        "Gmail asked us to slow down. Your setup is right; the mail will go out.",
        "If this happens often, spread large batches over the day. Next try at 14:05 UTC.",
    ),
    "no answer": (
        facts(last=attempt(Category.CONNECT_FAILURE, tried=("mx1.corp.example", "mx2.corp.example"))),
        Tone.SLOW,
        "corp.example does not answer: mx1.corp.example and mx2.corp.example were tried.",
        "Nothing to do on your side. Next try at 14:05 UTC.",
    ),
    "port 25 blocked": (
        facts(last=attempt(Category.CONNECT_FAILURE), nothing_reachable=True),
        Tone.SLOW,
        "No server can be reached: outgoing port 25 seems blocked here.",
        "Ask your hosting provider to open port 25, or set a smart host (SENDRYD_SMARTHOST). Next try at 14:05 UTC.",
    ),
    "DNS silent": (
        facts(last=attempt(Category.DNS_FAILURE, host="")),
        Tone.SLOW,
        "The DNS of corp.example gives no answer.",
        "If this is said of many domains, check this machine's resolver. Next try at 14:05 UTC.",
    ),
    "a private address": (
        facts(
            state=BOUNCED,
            last=attempt(
                Category.ROUTING_ERROR,
                enhanced="5.4.4",
                reply="All mail servers of corp.example are at private or reserved addresses, where mail is not sent",
            ),
        ),
        Tone.BAD,
        "The mail servers of corp.example are at private or reserved addresses, where this server sends no mail.",
        "Set SENDRYD_ALLOW_PRIVATE_NETWORKS=true if corp.example is in your own network; else tell its owner.",
    ),
    "no such domain": (
        facts(state=BOUNCED, domain="corp.exmaple", last=attempt(Category.BAD_DOMAIN, enhanced="5.1.2"), did_you_mean="corp.example"),
        Tone.BAD,
        "corp.exmaple does not exist. Did you mean corp.example?",
        "Correct it in your app.",
    ),
    "null MX": (
        facts(state=BOUNCED, last=attempt(Category.BAD_DOMAIN, enhanced="5.1.10")),
        Tone.BAD,
        "corp.example says that it takes no mail.",
        "Ask the recipient for another address.",
    ),
    "no encryption": (
        facts(last=attempt(Category.TLS_FAILURE)),
        Tone.SLOW,
        "mx1.corp.example offers no encryption that fits, and acme.example insists on it.",
        "Wait, or lower the rule for this domain. Next try at 14:05 UTC.",
    ),
    "MTA-STS policy not met": (
        facts(last=attempt(Category.TLS_FAILURE, policy="mta-sts")),
        Tone.SLOW,
        "The policy of corp.example asks for a server that it names, with a valid certificate (MTA-STS), and we found none, so no server got"
        " the mail.",
        "This is a fault at corp.example or an attack: tell its owner. Next try at 14:05 UTC.",
    ),
    "mailbox full": (
        facts(last=heard(452, "4.2.2", "The recipient's inbox is out of storage space.")),
        Tone.SLOW,
        "The mailbox of ann@corp.example is full.",
        "We try until Friday 13:58 UTC. Write to the recipient elsewhere. Next try at 14:05 UTC.",
    ),
    "no such user": (
        facts(state=BOUNCED, last=heard(550, "5.1.1", "User unknown"), suppressed=Suppressed(since=NOW, cause="a hard bounce")),
        Tone.BAD,
        "There is no ann@corp.example: mx1.corp.example says so. The address is suppressed now.",
        "Ask for the right address.",
    ),
    "mailbox closed": (
        facts(state=BOUNCED, last=heard(550, "5.2.1", "The email account that you tried to reach is inactive.")),
        Tone.BAD,
        "ann@corp.example has been switched off: mx1.corp.example says so.",
        "Ask for the right address.",
    ),
    "spam": (
        facts(
            state=BOUNCED,
            last=heard(554, "5.7.1", "Message rejected as spam", Step.FINAL_DOT),
            content_notes=("no text part", "a link to another domain"),
        ),
        Tone.BAD,
        "corp.example took it for spam.",
        "What it may mind: no text part; a link to another domain.",
    ),
    "block list": (
        facts(
            state=BOUNCED,
            last=heard(550, "5.7.1", "Service unavailable; client [203.0.113.5] blocked using zen.spamhaus.org"),
            our_address="203.0.113.5",
        ),
        Tone.BAD,
        "corp.example refuses this server's address: 203.0.113.5 is on zen.spamhaus.org.",
        "Ask to be taken off the list; until then use a smart host.",
    ),
    "no PTR": (
        facts(
            state=BOUNCED,
            last=attempt(Category.IP_REPUTATION, reply="550 5.7.25 The IP address sending this message does not have a PTR record"),
            our_address="203.0.113.5",
            our_name="relay.acme.example",
        ),
        Tone.BAD,
        "corp.example refuses servers without a name: 203.0.113.5 has none.",
        "Have your hosting provider set the PTR record of the address to relay.acme.example.",
    ),
    "domain distrusted": (
        facts(state=BOUNCED, last=attempt(Category.DOMAIN_REPUTATION)),
        Tone.BAD,
        "corp.example does not trust acme.example yet.",
        "Send less, and to people who expect it; look at the complaints.",
    ),
    "not authenticated": (
        facts(state=BOUNCED, domain="gmail.com", last=attempt(Category.AUTH_FAILED), dns_edit="SPF names another server"),
        Tone.BAD,
        "Gmail could not tell that this mail is yours: SPF names another server.",
        "Edit your DNS.",
    ),
    "too large": (
        facts(state=BOUNCED, size=31_000_000, last=heard(552, "5.3.4", "Message size exceeds fixed limit", Step.MAIL)),
        Tone.BAD,
        "31 MB is more than corp.example takes.",
        "Send a link instead of the file.",
    ),
    "relaying denied": (
        facts(state=BOUNCED, last=heard(554, "5.7.1", "Relay access denied")),
        Tone.BAD,
        "mx1.corp.example says that it does not take mail for corp.example.",
        "The MX records of corp.example are wrong: tell its owner.",
    ),
    "smart host login": (
        facts(last=attempt(Category.AUTH_FAILED, host="out.example", by_smarthost=True, at_login=True)),
        Tone.SLOW,
        "The smart host out.example refuses our login.",
        "Correct SENDRYD_SMARTHOST. Next try at 14:05 UTC.",
    ),
    "given up": (
        facts(
            state=DeliveryState.EXPIRED,
            attempts=18,
            accepted_at=NOW - timedelta(hours=72),
            ended_at=NOW,
            last=attempt(Category.CONNECT_FAILURE),
        ),
        Tone.BAD,
        "Given up after 3 days and 18 tries: corp.example does not answer: mx1.corp.example was tried.",
        "Send it again once the cause is gone.",
    ),
    "suppressed": (
        facts(state=DeliveryState.SUPPRESSED, suppressed=Suppressed(since=NOW - timedelta(days=2), cause="a hard bounce")),
        Tone.OFF,
        "Not sent: ann@corp.example is suppressed since 3 May, after a hard bounce.",
        "",
    ),
    "unsubscribed": (
        facts(
            state=DeliveryState.SUPPRESSED,
            suppressed=Suppressed(since=NOW - timedelta(days=2), cause="unsubscribing", topic="monthly"),
        ),
        Tone.OFF,
        "Not sent: ann@corp.example unsubscribed from monthly on 3 May.",
        "",
    ),
    "delivered": (
        facts(state=DELIVERED, delivered_at=NOW - timedelta(minutes=10), last=attempt(Category.DELIVERED)),
        Tone.OK,
        "mx1.corp.example took it at 13:48 UTC. What happens then is decided there.",
        "If it is not in the inbox: have the recipient look in spam, and ask the receiver for its id.",
    ),
    "bounced after delivery": (
        facts(
            state=BOUNCED,
            delivered_at=NOW - timedelta(seconds=40),
            ended_at=NOW,
            last=attempt(Category.INVALID_RECIPIENT, host=""),
        ),
        Tone.BAD,
        "corp.example took it and sent it back 40 s later. There is no ann@corp.example: the server of corp.example says so.",
        "Ask for the right address.",
    ),
    "complained": (
        facts(
            state=DELIVERED,
            complaint=Complaint(at=NOW),
            suppressed=Suppressed(since=NOW, cause="a complaint"),
            last=attempt(Category.DELIVERED),
        ),
        Tone.ABUSE,
        "ann@corp.example marked it as spam. The address is suppressed.",
        "Leave the suppression in place; look at how the recipient was signed up.",
    ),
    "in doubt": (
        facts(last=attempt(Category.CONNECT_FAILURE, is_in_doubt=True)),
        Tone.SLOW,
        "corp.example does not answer: mx1.corp.example was tried. The connection broke after the whole mail had been sent, so it may arrive twice.",
        "Nothing to do on your side. Next try at 14:05 UTC.",
    ),
    "not prepared": (
        facts(failed_preparing=3),
        Tone.BAD,
        "Our side could not prepare the mail, 3 times. It is set aside and the others go on.",
        "Report it with the id; then try it again.",
    ),
    "captured": (
        facts(state=DELIVERED, is_captured=True),
        Tone.OK,
        "Caught in the Test Inbox: sent with a test key.",
        "",
    ),
}


@cases("situation", SITUATIONS)
def test_a_situation_has_its_sentence(situation: str) -> None:
    known, tone, sentence, advice = SITUATIONS[situation]
    found = explain(known)
    assert (found.tone, found.sentence, found.advice) == (tone, sentence, advice)


def test_no_two_situations_share_a_sentence() -> None:
    sentences = [explain(known).sentence for known, *_ in SITUATIONS.values()]
    assert len(set(sentences)) == len(sentences)


@cases("category", Category)
@cases("state", DeliveryState)
def test_every_cause_in_every_state_has_a_sentence_that_does_not_quote_the_server(category: Category, state: DeliveryState) -> None:
    found = explain(facts(state=state, last=attempt(category, reply="550 5.0.0 <script>xyzzy</script>"), ended_at=NOW))
    assert found.sentence[0].isupper() or found.sentence.startswith(("corp.example", "mx1.corp.example", "ann@corp.example"))
    assert found.sentence.rstrip('"')[-1] in ".?!" or found.sentence.endswith('"')
    assert "xyzzy" not in found.text


@pytest.mark.parametrize("reason", HoldReason)
def test_every_hold_says_why_and_can_be_ended(reason: HoldReason) -> None:
    found = explain(facts(state=DeliveryState.HELD, hold=Hold(reason=reason, crashes=5)))
    assert found.sentence.startswith("Held")
    assert Action.CANCEL in found.actions


def test_what_waits_can_be_tried_now_and_what_ended_cannot() -> None:
    waiting, ended = facts(last=attempt(Category.CONNECT_FAILURE)), facts(state=BOUNCED, last=attempt(Category.CONNECT_FAILURE))
    assert Action.TRY_NOW in explain(waiting).actions
    assert Action.TRY_NOW not in explain(ended).actions
    assert "Next try" not in explain(ended).text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("Blocked by b.barracudacentral.org, see http://x.example", "is on b.barracudacentral.org"),
        ("Your host is listed in dnsbl.example.net (127.0.0.2)", "is on dnsbl.example.net"),
        ("Client host rejected: cannot find your reverse hostname", "without a name"),
        ("Poor reputation", "refuses this server's address."),
        ("a." * 40_000, "refuses this server's address."),
    ],
)
def test_a_refused_address_names_the_list_or_the_missing_name(words: str, says: str) -> None:
    known = facts(state=BOUNCED, last=attempt(Category.IP_REPUTATION, reply=f"554 5.7.1 {words}"), our_address="203.0.113.5")
    assert says in explain(known).sentence


def test_mail_that_waits_for_something_of_ours_says_so_without_blaming_the_receiver() -> None:
    last = attempt(Category.OTHER, host="", waits=True, reply="The address pool bulk is not configured any more")
    found = explain(facts(attempts=0, last=last))
    assert (found.tone, found.sentence) == (Tone.HOLD, "The address pool bulk is not configured any more.")
    assert "no attempt is counted" in found.advice
