"""The terms of messages and searches."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.ids import ApiKeyId, TemplateId, format_id
from sendryd.model.message import Message
from sendryd.policy.searchterms import (
    FROM,
    MAX_TERM,
    TAG,
    SearchTerm,
    Wanted,
    fold,
    search_terms,
    wanted_whole,
    wanted_words,
    whole_term,
    words,
)
from sendryd.testing.samples import Samples

MESSAGE = Samples().message(("Ann Lee <ann.lee@mail.acme.example>",), subject="Ihre Straße, Zoë: 12 % off").message
TEXT = st.text(max_size=60)


def made(**changes: object) -> Message:
    return replace(MESSAGE, **changes)  # type: ignore[arg-type]  # each caller names fields


def test_all_that_people_look_for_is_a_term() -> None:
    message = made(tags=(("Kind", "Order 7"),), api_key_id=ApiKeyId(5), template_id=TemplateId(6), internet_message_id="<A.b@acme.example>")
    found = search_terms(message, ["bcc@corp.example"])
    assert found >= {"ann", "lee", "ann.lee", "ann.lee@mail.acme.example", "@mail.acme.example", "acme"}
    assert found >= {"ihre", "strasse", "zoe", "12", "off"}
    assert found >= {"bcc@corp.example", "@corp.example"}
    assert found >= {"tag:kind", "tag:order7", "tag:kind=order7", "msgid:a.b@acme.example", format_id("key", 5), format_id("tmpl", 6)}
    assert found >= {"from:a@example.test", "from:@example.test", "from:bounces@example.test"}


def test_domains_above_a_senders_own_are_terms() -> None:
    assert {"from:@mail.acme.example", "from:@acme.example"} <= search_terms(made(author="a@mail.acme.example"), ())
    assert "from:@example" not in search_terms(made(author="a@mail.acme.example"), ())


@pytest.mark.parametrize("text", ["", "@", "<>", "a@", "@b", "Ann <", "a b@c.d", "\x00", '"x y"@z.example'])
def test_odd_addresses_have_terms_without_blanks(text: str) -> None:
    assert not any(set(term) & set("\x00 \t") or not term for term in search_terms(made(to=(text,), author=text), [text]))


@given(TEXT, TEXT, TEXT)
def test_terms_are_folded_and_without_blanks(subject: str, to: str, tag: str) -> None:
    for term in search_terms(made(subject=subject, to=(to,), author=to, tags=((tag, tag),)), [to]):
        assert term
        assert not any(letter <= " " for letter in term)
        assert len(term) <= MAX_TERM + len(TAG) * 2 + MAX_TERM
        assert fold(term) == term or not term.isascii()


@given(TEXT)
def test_a_subject_is_found_by_itself_and_by_its_beginnings(subject: str) -> None:
    terms = search_terms(made(subject=subject), ())
    assert Wanted(wanted_words(subject)).fits(terms)
    for length in range(len(subject)):
        if not subject[length].isalnum() and subject[:length].isascii():
            assert Wanted(wanted_words(subject[:length])).fits(terms)


@given(st.from_regex(r"[a-z][a-z.+-]{0,20}@[a-z]{1,10}\.[a-z]{2,8}", fullmatch=True))
def test_an_address_is_found_as_a_whole_in_parts_and_from_its_beginning(address: str) -> None:
    terms = search_terms(made(to=(f"Somebody <{address}>",)), ())
    local, _, domain = address.partition("@")
    for wanted in (address, address.upper(), local, f"@{domain}"):
        assert Wanted((wanted_whole(wanted),)).fits(terms)
    assert Wanted((wanted_whole(address[:-1], is_prefix=True),)).fits(terms)
    assert not Wanted((wanted_whole(address[:-1]),)).fits(terms - {address[:-1]})


@given(TEXT)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert whole_term(whole_term(text)) == whole_term(text)


def test_short_words_are_whole_words() -> None:
    assert wanted_words("ab") == (SearchTerm("ab"),)
    assert wanted_words("abc") == (SearchTerm("abc", is_prefix=True),)
    assert list(words("ab 京都 x_y")) == ["ab", "京", "都", "京都", "x", "y"]


def test_excluded_groups_are_left_out_only_as_a_whole() -> None:
    wanted = Wanted((SearchTerm("a"),), none_of=((SearchTerm("b"), SearchTerm("c", is_prefix=True)),))
    assert wanted.fits({"a", "b"})
    assert not wanted.fits({"a", "b", "cat"})
    assert not wanted.fits({"b"})
    assert not Wanted((SearchTerm(FROM + "x"),)).fits({"x"})
