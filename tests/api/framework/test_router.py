"""From a method and a path to what serves it."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.api.framework.router import Match, Router
from sendryd.testing.cases import cases


@dataclass(frozen=True)
class Target:
    method: str
    path: str


TARGETS = [
    Target("GET", "/v1/emails"),
    Target("POST", "/v1/emails"),
    Target("POST", "/v1/emails/batch"),
    Target("GET", "/v1/emails/{id}"),
    Target("GET", "/v1/emails/{id}/events"),
    Target("DELETE", "/v1/suppression/{email}"),
]
ROUTER = Router(TARGETS)


@cases("target", TARGETS)
@cases("slash", ["", "/"])
def test_each_target_is_found_in_both_slash_forms(target: Target, slash: str) -> None:
    found = ROUTER.find(target.method, target.path.replace("{id}", "em_1").replace("{email}", "a@b.c") + slash)
    assert isinstance(found, Match)
    assert found.target is target


def test_what_varies_is_decoded_after_the_path_is_split() -> None:
    found = ROUTER.find("DELETE", "/v1/suppression/a%2Bb%40c.d%2Fe")
    assert isinstance(found, Match)
    assert found.params == {"email": "a+b@c.d/e"}


def test_a_fixed_segment_wins_but_does_not_hide_the_other_methods() -> None:
    found = ROUTER.find("POST", "/v1/emails/batch")
    assert isinstance(found, Match)
    assert found.target.path == "/v1/emails/batch"
    assert ROUTER.find("GET", "/v1/emails/batch/events") is not None


def test_another_method_is_told_which_there_are() -> None:
    assert ROUTER.find("PUT", "/v1/emails") == frozenset({"GET", "POST"})
    head = ROUTER.find("HEAD", "/v1/emails")
    assert isinstance(head, Match)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/email", "/v1/emails//events", "/v1//emails", "/v1/emails/a/b/c", "//v1/emails"])
def test_what_is_not_there_is_not_found(path: str) -> None:
    assert ROUTER.find("GET", path) is None


def test_the_same_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="twice"):
        Router([TARGETS[0], TARGETS[0]])


@given(st.text(), st.text())
def test_any_text_is_answered(method: str, path: str) -> None:
    ROUTER.find(method, path)
