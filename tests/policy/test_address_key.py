"""One form for all spellings of an address that is to be left alone."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.address_key import normalise_address


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("User@Example.ORG", "user@example.org"),
        ("JÜRGEN@example.org", "jürgen@example.org"),
        ("ju\u0308rgen@example.org", "jürgen@example.org"),
        ("\u03aa\u0301@example.org", "\u0390@example.org"),  # composes in lower case only
        ("a+b@example.org", "a+b@example.org"),
    ],
)
def test_case_and_composition_make_no_difference(address: str, form: str) -> None:
    assert normalise_address(address) == form


@given(st.text(max_size=30))
def test_a_form_is_its_own_form(address: str) -> None:
    form = normalise_address(address)
    assert normalise_address(unicodedata.normalize("NFD", address)) == form
    assert normalise_address(form) == form
