"""What needs somebody: each kind of thing at its line and below it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.domain import DnsRecord, DomainSettings, DomainStatus, RecordPurpose, SendingDomain
from sendryd.model.ids import AccountId, ApiKeyId, DomainId, WebhookId
from sendryd.model.webhook import Webhook
from sendryd.policy.attention import PAUSE_OF_ALL, Destination, Kind, PauseOfAll, Rates, Situation, Thing, heading, what_needs_somebody
from sendryd.policy.explain import Explanation, Tone
from sendryd.policy.health import Check, Finding, Verdict
from sendryd.policy.replies.verdict import Category
from sendryd.testing.samples import NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def only(**found: Any) -> Thing:
    (thing,) = what_needs_somebody(Situation(now=NOW, **found))
    return thing


def nothing(**found: Any) -> bool:
    return what_needs_somebody(Situation(now=NOW, **found)) == []


def domain(reason: str = "", status: DomainStatus = DomainStatus.VERIFIED, *, is_required: bool = True) -> SendingDomain:
    record = DnsRecord(
        purpose=RecordPurpose.SPF, type="TXT", name="acme.example", value="v=spf1 ~all", is_required=is_required, reason=reason
    )
    return SendingDomain(
        id=DomainId(1),
        account_id=AccountId(1),
        name="acme.example",
        status=status,
        selector="s",
        public_key="k",
        settings=DomainSettings(),
        created_at=NOW,
        records=(record,),
    )


def destination(category: Category | None, age: timedelta = MINUTE, name: str = "corp.example", **changes: Any) -> Destination:
    made = Destination(
        domain=name,
        queued=3,
        leased=0,
        held=0,
        since=NOW - age,
        explanation=Explanation(Tone.SLOW, f"{name} does not answer."),
        category=category,
    )
    return replace(made, **changes)


def webhook(**changes: Any) -> Webhook:
    made = Webhook(
        id=WebhookId(5),
        account_id=AccountId(1),
        url="https://hooks.acme.example/secret",
        events=(),
        secret="whsec_x",
        is_active=True,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(made, **changes)


def key(**changes: Any) -> ApiKey:
    made = ApiKey(
        id=ApiKeyId(3),
        account_id=AccountId(1),
        name="shop",
        scope=Scope.FULL_ACCESS,
        mode=KeyMode.LIVE,
        prefix="sn_live_abcd",
        created_at=NOW,
        expires_at=NOW + DAY,
        last_used_at=NOW - HOUR,
    )
    return replace(made, **changes)


def finding(check: Check = Check.DISK, verdict: Verdict = Verdict.WRONG, **changes: Any) -> Finding:
    return Finding(check=check, verdict=verdict, sentence="The disk is full.", fix="Free some space.", **changes)


def test_a_situation_without_faults_needs_nobody() -> None:
    assert nothing()
    assert nothing(
        domains=[domain(), domain("No DMARC record was found: publish it.", is_required=False)],
        destinations=[destination(None)],
        webhooks=[webhook()],
        keys=[key(expires_at=None)],
        findings=[finding(verdict=Verdict.ADVISED), finding(verdict=Verdict.UNKNOWN), finding(verdict=Verdict.RIGHT)],
    )


def test_wrong_findings_lead_to_their_check() -> None:
    thing = only(findings=[finding()])
    assert (thing.tone, thing.title, thing.why, thing.link) == (Tone.BAD, "The disk is full", "Free some space.", "/health#disk")
    assert only(findings=[finding(verdict=Verdict.ADVISED, has_deadline=True)]).tone is Tone.SLOW


def test_what_the_internet_sees_needs_nobody_in_a_private_network() -> None:
    outside = [finding(check) for check in (Check.PORT_25, Check.PTR, Check.HOST_NAME, Check.RESOLVER)]
    assert len(what_needs_somebody(Situation(now=NOW, findings=outside))) == 4
    assert nothing(findings=outside, is_private=True)
    assert only(findings=[*outside, finding()], is_private=True).about == "disk"


def test_a_pause_of_all_mail_needs_somebody() -> None:
    waiting = destination(Category.CONNECT_FAILURE, is_paused=True)
    thing = only(pause_of_all=PauseOfAll("Mara", NOW - HOUR, NOW + HOUR), destinations=[waiting])
    assert (thing.key, thing.tone, thing.link) == (PAUSE_OF_ALL, Tone.HOLD, "/queue")
    assert thing.title.startswith("All mail is paused by Mara since ")
    assert "what comes in is accepted and waits too. It ends by itself at " in thing.why


def test_a_domain_names_its_first_fault() -> None:
    several = "There are several SPF records: merge them into one, or receivers will ignore them all."
    thing = only(domains=[domain(several)])
    assert (thing.title, thing.link, thing.button) == ("acme.example has several SPF records", "/domains/acme.example", "Show the edit")
    assert thing.why.startswith("Merge them into one")
    refused = only(domains=[domain("No DKIM record was found: publish it.", DomainStatus.PENDING)])
    assert refused.title == "acme.example: no DKIM record was found"
    assert "550 5.7.1" in refused.why
    assert only(domains=[domain(status=DomainStatus.PENDING)]).title == "acme.example is not verified yet"


def test_a_destination_that_does_not_answer_needs_somebody_at_once() -> None:
    thing = only(destinations=[destination(Category.CONNECT_FAILURE, timedelta(seconds=1))])
    assert (thing.title, thing.link) == ("corp.example does not answer", "/queue/corp.example")
    assert thing.why == "3 mails wait, the oldest for 1 s."
    assert nothing(destinations=[destination(Category.CONNECT_FAILURE, is_paused=True)])
    assert nothing(destinations=[destination(Category.CONNECT_FAILURE, queued=0)])


@pytest.mark.parametrize(
    ("category", "patience"), [(Category.RATE_LIMITED, 10 * MINUTE), (Category.GREYLISTED, 4 * HOUR), (Category.MAILBOX_FULL, None)]
)
def test_passing_causes_need_somebody_after_a_while(category: Category, patience: timedelta | None) -> None:
    if patience is None:
        assert nothing(destinations=[destination(category, 2 * DAY)])
    else:
        assert nothing(destinations=[destination(category, patience - MINUTE)])
        assert only(destinations=[destination(category, patience)]).kind is Kind.DESTINATION


def test_many_destinations_with_one_cause_are_one_thing() -> None:
    four = [destination(Category.CONNECT_FAILURE, name=f"d{each}.example") for each in range(4)]
    assert only(destinations=four).title == "4 destinations do not answer"
    assert len(what_needs_somebody(Situation(now=NOW, destinations=four[:3]))) == 3


def test_servers_none_of_which_can_be_reached_are_one_thing_with_its_cause() -> None:
    silent = [destination(Category.CONNECT_FAILURE, name=f"d{each}.example") for each in range(3)]
    thing = only(destinations=silent, nothing_reachable=True, findings=[finding(Check.PORT_25)])
    assert (thing.tone, thing.title) == (Tone.BAD, "No mail server can be reached: outgoing port 25 seems blocked here")
    assert "9 mails wait" in thing.why
    assert only(nothing_reachable=True, findings=[finding(Check.PORT_25)]).about == "port_25"
    assert only(destinations=[destination(Category.AUTH_FAILED)], nothing_reachable=True).about == "corp.example"


def test_held_mail_is_counted_once() -> None:
    held = [destination(None, held=2), destination(None, name="b.example", held=1)]
    assert (only(destinations=held).title, only(destinations=held).link) == ("3 mails are held", "/queue")
    assert only(destinations=held[:1]).link == "/queue/corp.example"


def test_webhooks_that_fail_or_were_switched_off() -> None:
    assert nothing(webhooks=[webhook(failing_since=NOW - MINUTE)])
    assert only(webhooks=[webhook(failing_since=NOW - HOUR)]).title == "The webhook to hooks.acme.example has failed for 60 min"
    off = only(webhooks=[webhook(is_active=False, disabled_reason="it failed for 5 days")])
    assert (off.tone, off.why.startswith("It failed for 5 days.")) == (Tone.BAD, True)
    assert nothing(webhooks=[webhook(is_active=False)])


def test_rates_count_from_the_lines_of_gmail_and_yahoo() -> None:
    assert nothing(rates=Rates(sent=100, delivered=100, complained=2))
    assert nothing(rates=Rates(sent=10_000, delivered=10_000, complained=9))
    assert only(rates=Rates(sent=10_000, delivered=10_000, complained=10)).tone is Tone.SLOW
    assert only(rates=Rates(sent=10_000, delivered=10_000, complained=30)).tone is Tone.BAD
    assert nothing(rates=Rates(sent=20, bounced=9))
    assert only(rates=Rates(sent=500, bounced=10)).link == "/emails?q=status:bounced"


def test_keys_in_use_that_expire_soon() -> None:
    assert only(keys=[key()]).title.startswith("The API key shop expires ")
    for harmless in (key(last_used_at=None), key(expires_at=NOW + 8 * DAY), key(expires_at=NOW - DAY), key(revoked_at=NOW)):
        assert nothing(keys=[harmless])


def test_the_most_urgent_comes_first() -> None:
    things = what_needs_somebody(
        Situation(
            now=NOW,
            destinations=[destination(None, held=1), destination(Category.CONNECT_FAILURE)],
            keys=[key()],
            domains=[domain("No DKIM record was found: publish it.")],
            findings=[finding()],
        )
    )
    assert [each.kind for each in things] == [Kind.HEALTH, Kind.DOMAIN, Kind.DESTINATION, Kind.KEY, Kind.HELD]
    assert len({each.key for each in things}) == 5


def test_the_heading_counts_in_words() -> None:
    assert [heading(each) for each in (0, 1, 2, 10, 11)] == [
        "",
        "One thing needs you",
        "Two things need you",
        "Ten things need you",
        "11 things need you",
    ]
