"""The domain of an author."""

import time

from sendryd.message.authordomain import author_domain
from sendryd.testing.cases import cases


@cases(
    ("text", "expected"),
    [
        ("a@example.org", "example.org"),
        ("A <a@Example.ORG>", "example.org"),
        ("a@one.test <a@one.test>", "one.test"),
        ("Doe, Jane <jane@b\u00fccher.example>", "xn--bcher-kva.example"),
        ("a@example.org (me@home.test)", "example.org"),
        ('"x@fake.test" <a@example.org> (at work)', "example.org"),
        ("nobody", None),
        ("a@", None),
        ("a@example..org", None),
        ("<a@example.org> and more", None),
        ("", None),
        (None, None),
    ],
)
def test_the_domain_of_the_last_address(text: str | None, expected: str | None) -> None:
    assert author_domain(text) == expected


def test_blanks_after_an_address_in_a_name_take_no_time() -> None:
    text = '"@a' + " " * 16_000 + 'x" <a@b.test>'
    started = time.process_time()
    assert author_domain(text) == "b.test"
    assert time.process_time() - started < 1  # each blank as the end of the first run took 3 s
