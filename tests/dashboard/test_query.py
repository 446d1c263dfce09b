"""The search box."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sendryd.dashboard.query import KEYS, Query, Search, Term, format_query, make_search, named_id, parse_query, read_moment
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, ApiKeyId, MessageId, format_id
from sendryd.model.message import Message, MessageStatus, MessageSummary
from sendryd.policy.searchterms import SearchTerm, Wanted, search_terms, wanted_words
from sendryd.testing.cases import cases

NOW = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
MESSAGE = Message(
    id=MessageId(7),
    account_id=AccountId(1),
    api_key_id=ApiKeyId(5),
    mode=KeyMode.LIVE,
    reverse_path="b@acme.example",
    author="Acme <hello@acme.example>",
    to=("Ann <ann@gmail.com>",),
    cc=("bob@corp.example",),
    subject="Your Order 48121",
    internet_message_id="<abc@acme.example>",
    size=2000,
    created_at=NOW,
    signing_domain_id=None,
    needs_smtputf8=False,
    is_8bit=False,
    tags=(("kind", "order"),),
)
SUMMARY = MessageSummary(
    message=MESSAGE, states={DeliveryState.QUEUED: 1}, has_attempts=True, is_complained=False, sent_at=None, last_event=None
)


def fits(text: str, summary: MessageSummary) -> bool:
    """Whether a search finds a message that has no other recipients than those of its header."""
    found = search(text)
    return found.filter.wanted.fits(search_terms(summary.message, ())) and found.matches(summary)


def search(text: str) -> Search:
    return make_search(parse_query(text), mode=KeyMode.LIVE, keys={"shop": ApiKeyId(5), "other": ApiKeyId(6)}, now=NOW)


def test_words_addresses_and_conditions_are_told_apart() -> None:
    query = parse_query('order ann@gmail.com @corp.example "your order" subject:"a b" -tag:kind=order <a@b> https://x.example/')
    assert query == Query(
        (
            Term("", "order"),
            Term("to", "ann@gmail.com"),
            Term("to", "@corp.example"),
            Term("", "your order"),
            Term("subject", "a b"),
            Term("tag", "kind=order", is_excluded=True),
            Term("msgid", "<a@b>"),
            Term("", "https://x.example/"),
        )
    )


@cases(
    ("text", "says"),
    [
        ("form:ann", "did you mean from:ann?"),
        ("staus:bounced", "did you mean status:bounced?"),
        ("zzzz:1", "there are to, from, subject"),
        ("has:attachment", "is not searched yet"),
        ("status:bouncd", "did you mean status:bounced?"),
        ("key:nothing", "No API key is called nothing"),
        ("before:soon", "is no time"),
        ("size:big", "is no size"),
        ("to:", "needs a value"),
        ("subject:!!", "has no letter and no digit"),
    ],
)
def test_what_cannot_be_asked_is_said(text: str, says: str) -> None:
    found = search(f"order {text}")
    assert len(found.faults) == 1
    assert says in found.faults[0]
    assert found.filter.wanted == Wanted(wanted_words("order"))


def test_the_store_gets_what_it_can_filter() -> None:
    found = search("order to:ann@gmail.com status:bounced key:shop after:2026-05-01 before:1h")
    which = found.filter
    terms = (*wanted_words("order"), SearchTerm("ann@gmail.com"), SearchTerm(format_id("key", 5)))
    assert (which.wanted, which.status) == (Wanted(terms), MessageStatus.BOUNCED)
    assert which.created_from == datetime(2026, 5, 1, tzinfo=UTC)
    assert found.before == NOW - timedelta(hours=1)
    assert (found.checks, found.faults) == ((), ())


@cases(
    "text",
    [
        "from:hello@acme", "from:acme", "from:@acme.example", "tag:order", "tag:kind", "tag:kind=order", "domain:acme.example",
        "domain:@acme.example", "msgid:abc@acme.example", "msgid:abc", "<abc@acme.example>", "-status:bounced",
        "-key:other", "-to:zoe@gmail.com", "-paris", "ord", "ann", "ann@gm", "@gmail", "gmail", '"your order"', "subject:order",
        'subject:"order 481"', "status:deferred", "status:waiting", "size:>1k", "size:<1mb", "cc order 48121",
        "order to:@gmail.com to:bob", f"id:{format_id('em', 7)}", "to:@gmail.com", "-status:held",
    ],
)  # fmt: skip
def test_messages_are_found_by_each_condition(text: str) -> None:
    summary = replace(SUMMARY, message=replace(MESSAGE, subject="cc Your Order 48121"))
    assert fits(text, summary)


@cases(
    "text",
    [
        "from:zoe", "tag:ord", "tag:kind=reset", "domain:cme.example", "msgid:zzz", "-from:hello", "-key:shop", "-to:ann", "-order",
        "status:held", "status:scheduled", "size:>1mb", "order 99 paris longest", "rder", "8121", "ann@gmail.co", "@mail.com",
        '"order your"', "subject:ann", "to:order", "from:ann", "key:other", f"id:{format_id('em', 8)}", "template:tmpl_1", "-status:sending",
    ],
)  # fmt: skip
def test_others_are_left_out(text: str) -> None:
    assert not fits(text, SUMMARY)


def test_a_recipient_in_no_header_field_is_found() -> None:
    found = search("to:eve")
    assert found.filter.wanted.fits(search_terms(MESSAGE, ["eve@corp.example"]))
    assert found.matches(SUMMARY)


def test_a_lone_id_is_found() -> None:
    text = format_id("dlv", 99)
    assert named_id(parse_query(f" {text.upper()} ")) == ("dlv", 99)
    assert named_id(parse_query(f"id:{text}")) == ("dlv", 99)
    assert [named_id(parse_query(each)) for each in (f"{text} x", f"-{text}", "em_short", "")] == [None] * 4


def test_times() -> None:
    assert read_moment("2026-05-03T14:00+02:00", NOW) == NOW
    assert read_moment("3d", NOW) == NOW - timedelta(days=3)
    assert [read_moment(each, NOW) for each in ("", "99999w9", "2026-13-01", "0001-01-01T00:00+14:00")] == [None] * 4


@given(st.text(max_size=80))
def test_any_text_is_a_search(text: str) -> None:
    found = search(text)
    assert found.matches(SUMMARY) in {True, False}
    assert isinstance(format_query(parse_query(text)), str)


VALUES = st.text(st.characters(codec="utf-8", exclude_characters='"'), min_size=1, max_size=20).filter(str.strip)
TERMS = st.builds(Term, st.sampled_from([key for key in KEYS if key != "id"]), VALUES, st.booleans())


@given(st.lists(TERMS, max_size=5))
def test_a_query_is_read_as_it_was_written(terms: list[Term]) -> None:
    assert parse_query(format_query(Query(tuple(terms)))).terms == tuple(terms)
