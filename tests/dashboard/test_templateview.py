"""Sample data and comparisons."""

from dataclasses import replace

from sendryd.accounts.templates import EMPTY
from sendryd.dashboard.templateview import MAX_COMPARED, DiffLine, compare, sample_data


def test_sample_data_comes_from_the_variables_and_from_the_placeholders() -> None:
    content = replace(
        EMPTY,
        subject="Hi {{ first_name|default('you') }}",
        html="<p>{{order.id}} {{ total }} {{-note-}}</p>",
        variables={"total": {"type": "number", "default": 12}, "items": {"type": "array"}, "paid": {"type": "boolean"}, "odd": 5},
    )
    assert sample_data(content) == {"first_name": "first name", "total": 12, "note": "note", "items": [], "paid": True, "odd": "odd"}


def test_lines_that_differ() -> None:
    old, new = replace(EMPTY, subject="Hi", html="<p>\none\ntwo\n</p>"), replace(EMPTY, subject="Hi", html="<p>\none\n2\n</p>")
    (part,) = compare(old, new)
    assert part.name == "HTML"
    assert [each for each in part.lines if each.kind in {"add", "del"}] == [DiffLine("del", "two"), DiffLine("add", "2")]
    assert compare(old, old) == ()


def test_what_is_too_long_is_not_compared() -> None:
    (part,) = compare(EMPTY, replace(EMPTY, html="x" * (MAX_COMPARED + 1)))
    assert part.lines == ()
    assert part.note.startswith("Too long to compare here")
