"""Templates, kind and hostile."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.message.template import TemplateError, check_names, check_template, render, render_all, variable_names
from sendryd.testing.cases import cases


@cases(
    ("source", "variables", "shown"),
    [
        ("Hello {{name}}", {"name": "Ann"}, "Hello Ann"),
        ("Hello {{ user.name }}!", {"user": {"name": "Ann"}}, "Hello Ann!"),
        ("{{name}}", {"name": "<b>&\"'"}, "&lt;b&gt;&amp;&quot;&#x27;"),
        ("{{{name}}}{{{ name }}}", {"name": "<b>"}, "<b><b>"),
        ("{{ missing }}{{ a.b.c }}", {}, ""),
        ("{{ none }}|{{ yes }}|{{ no }}|{{ n }}|{{ f }}", {"none": None, "yes": True, "no": False, "n": 3, "f": 1.5}, "|true|false|3|1.5"),
        ("{% if vip %}A{% else %}B{% endif %}", {"vip": False}, "B"),
        ("{% for i in items %}<li>{{ i.name|upper }}</li>{% endfor %}", {"items": [{"name": "a"}, {"name": "b"}]}, "<li>A</li><li>B</li>"),
        ("{% for i in items %}{{ i }}{% else %}no {{ items }}{% endfor %}{% if values %}!{% endif %}", {"a": 1}, "no "),
        ("{% for i in a.items %}{{ i }}{% else %}no {{ a.items }}{% endfor %}{% if a.items %}!{% endif %}", {"a": {"b": 1}}, "no "),
        ("{% for i in items %}{{ i }}{% endfor %}{{ a.items }}", {"items": [1, 2], "a": {"items": "x"}}, "12x"),
        ("{% for k, v in a|items %}{{ k }}{{ v }}{% endfor %}", {"a": {"b": 1}}, "b1"),
        ("{{ name|default('friend') }}", {}, "friend"),
        ("{# {{{ a }}} #}{% raw %}{{{ a }}}{% endraw %}", {"a": 1}, "{{{ a }}}"),
        ("{{ '3 * 4' }}", {}, "3 * 4"),
        ("no braces", {"a": object()}, "no braces"),
        ("ends\n", {}, "ends\n"),
        ("{{ a }}\n", {"a": 1}, "1\n"),
    ],
)
def test_what_a_template_shows(source: str, variables: dict[str, Any], shown: str) -> None:
    assert render(source, variables, is_html=True) == shown


def test_text_is_not_escaped() -> None:
    assert render("{{ a }}", {"a": "<b> & co"}, is_html=False) == "<b> & co"


@cases(
    "source",
    [
        "{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}",
        "{% for i in range(100000000) %}x{% endfor %}",
        "{{ [1] * 100000000 }}",
        "{% set n = 'a' * 1000000000 %}",
        "{% set ns = namespace(x='aaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% include '/etc/passwd' %}",
        "{% extends 'x' %}",
        "{{ 'a'|indent(100000000) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ 'a'|replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')" + "|replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaa')" * 9 + " }}",
        "{{ debug() }}",
        "{{ " * 100_000,
        "{{ a." * 100_000,
        "{" + "{% if a %}" * 100_000,
        "{{#if a}}x{{/if}}",
        "{{ a ",
        "{% nothing %}",
        "{{ a|nothing }}",
    ],
)
def test_what_goes_too_far_ends_soon_with_a_sentence(source: str) -> None:
    started = time.process_time()
    with pytest.raises(TemplateError) as refused:
        render(source, {"a": "x"}, is_html=True)
    assert len(str(refused.value)) < 250
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "source", ["{{ a.__class__ }}", "{{ a.__class__.__mro__ }}", "{{ self }}", "{{ a.upper.__globals__ }}", "{{ constructor }}"]
)
def test_nothing_of_the_program_can_be_reached(source: str) -> None:
    assert render(source, {"a": "x"}, is_html=True) == ""


def test_variables_that_are_too_deep_are_refused() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(100_000):
        inner["a"] = {}
        inner = inner["a"]
    with pytest.raises(TemplateError, match="too deep"):
        render("{{ a }}", deep, is_html=True)
    with pytest.raises(TemplateError, match="too many"):
        render("{{ a }}", {"a": [0] * 200_000}, is_html=True)


def test_a_syntax_fault_names_its_line() -> None:
    with pytest.raises(TemplateError, match="in line 2"):
        check_template("one\n{{ a")


def test_the_variables_of_a_template() -> None:
    assert variable_names("{{ b.c }}{% for i in list %}{{ i }}{{{ raw }}}{% endfor %}") == ("b", "list", "raw")


def test_a_whole_message() -> None:
    rendered = render_all(
        subject="Hi {{ name }}", html="<p>{{ name }}</p>", text=None, schema=None, variables={"name": "A & B\r\nBcc: evil@x.test\u2028"}
    )
    assert rendered.subject == "Hi A & B Bcc: evil@x.test"
    assert rendered.html == "<p>A &amp; B\r\nBcc: evil@x.test\u2028</p>"
    assert rendered.text == "A & B Bcc: evil@x.test"


@given(st.text(alphabet="{}%#ab.|'\"() ", max_size=60), st.booleans())
def test_any_source_is_rendered_or_refused(source: str, is_html: bool) -> None:
    try:
        render(source, {"a": "x", "b": {"a": [1]}}, is_html=is_html)
    except TemplateError as error:
        assert str(error)


def test_a_variable_cannot_be_called_as_the_engine_calls_itself() -> None:
    with pytest.raises(TemplateError, match="self"):
        render("{{ x }}", {"self": 1}, is_html=True)
    for name in ("source", "name", "ctx", "env"):
        assert render(f"{{{{ {name} }}}}", {name: "v"}, is_html=True) == "v"


@cases(
    ("source", "variables", "shown"),
    [
        ("{{ items|length }} {{ user|length }}", {"items": [1, 2], "user": {"a": 1}}, "2 1"),
        ("{{ items }} {{ user }}", {"items": [1, "ü", None], "user": {"a": [True]}}, '[1, "ü", null] {"a": [true]}'),
        ("{{ items[0].name }}{{ items[9] }}{{ items[-1].name }}", {"items": [{"name": "a"}, {"name": "b"}]}, "ab"),
        ("{% for name, value in user|dictsort %}{{ name }}={{ value }};{% endfor %}", {"user": {"b": 2, "a": 1}}, "a=1;b=2;"),
        ("{% for name in user %}{{ name }};{% endfor %}", {"user": {"b": 2, "a": 1}}, "b;a;"),
        ("{{ user.nothing|default('-') }}{{ user.missing|default('-') }}", {"user": {"nothing": None}}, "--"),
        ("{{ items|join(', ') }}{{ items|first }}{{ items|last }}", {"items": ["a", "b"]}, "a, bab"),
        (
            "{% if 'b' in items %}yes{% endif %}{% if items %}!{% endif %}{% if none_at_all %}?{% endif %}",
            {"items": ["a", "b"], "none_at_all": []},
            "yes!",
        ),
        ("{{ items|tojson }}", {"items": [1, {"a": None}]}, '[1, {"a": null}]'),
    ],
)
def test_lists_and_objects(source: str, variables: dict[str, Any], shown: str) -> None:
    assert render(source, variables, is_html=False) == shown


@cases(
    ("source", "variables", "sentence"),
    [
        ("{{ a }}" * 3, {"a": "x" * 3_000_000}, "more than 8,388,608 characters"),
        ("{% for i in range(9000) %}{{ a }}{% endfor %}", {"a": "x" * 10_000}, "too many steps or makes too much"),
        ("{{ a == b }}", {"a": "x" * 20_000, "b": "x"}, "can be shown, not compared"),
        ("{{ a }}", {"a": "x" * 3_000_000, "b": ["x" * 3_000_000]}, "characters together"),
        ("{{ a }}" + "\ud800", {"a": 1}, "half a character"),
        ("{{ a }}" + " " * 5_242_880, {"a": 1}, "at most 5,242,880 characters"),
        ("{% for i in range(9000) %}{{ a }}{% endfor %}", {"a": ["x" * 50] * 50}, "too many steps or makes too much"),
        ("{% for i in range(9000) %}{{ a|unique|length }}{% endfor %}", {"a": list(range(90_000))}, "too many steps or makes too much"),
        (
            "{% for i in range(9000) %}{% if a|tojson %}{% endif %}{% endfor %}",
            {"a": ["x" * 50] * 50_000},
            "too many steps or makes too much",
        ),
        ("{{ a // 0 }}{{ a % 0 }}", {"a": 1}, "in line 1"),
        ("{% for i in range(9000) %}{% for j in a %}{% endfor %}{% endfor %}", {"a": [1] * 90_000}, "too many steps or makes too much"),
        (
            "{% for i in range(9000) %}{% for j in a|items %}{% endfor %}{% endfor %}",
            {"a": {str(n): 1 for n in range(9_000)}},
            "too many steps or makes too much",
        ),
    ],
)
def test_what_is_too_much_is_said_in_a_sentence(source: str, variables: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TemplateError, match=sentence):
        render(source, variables, is_html=True)


def test_the_text_is_made_from_the_html_or_is_its_own() -> None:
    own = render_all(subject=None, html="<p>{{ a }}</p>", text="only {{ a }}", schema=None, variables={"a": 1})
    assert (own.subject, own.html, own.text) == ("", "<p>1</p>", "only 1")
    plain = render_all(subject="s", html=None, text="{{ a }}", schema={"a": {"default": "x"}}, variables={})
    assert (plain.html, plain.text) == (None, "x")


@cases(
    ("source", "name"),
    [
        ("{{first-name}}", "first_name"),
        ("x\n{{ user.postal-code|upper }}", "postal_code"),
        ("{{{ body-html }}}", "body_html"),
        ("{% if is-vip %}x{% endif %}", "is_vip"),
        ("{% for line-item in lines %}x{% endfor %}", "line_item"),
        ("{{ given-name-of-2nd }}", "given_name_of_2nd"),
    ],
)
def test_a_name_with_a_hyphen_is_refused_with_the_name_to_write(source: str, name: str) -> None:
    with pytest.raises(TemplateError, match=f"so write {name}"):
        check_template(source)
    with pytest.raises(TemplateError, match=f"so write {name}"):
        check_names(source)
    with pytest.raises(TemplateError, match=f"so write {name}"):
        render(source, {"first-name": "Ann", "body": "x"}, is_html=True)


@cases(
    "source",
    [
        "{{-name-}}",
        "{{ a - b }}",
        "{{ items|length-1 }}",
        "{{ 'first-name' }}",
        "{{ user['first-name'] }}",
        "{# first-name #}",
        "first-name",
    ],
)
def test_a_hyphen_that_is_in_no_name_is_read(source: str) -> None:
    check_template(source)


def test_a_stored_template_that_subtracts_without_spaces_is_still_rendered() -> None:
    assert render("{{total-paid}}", {"total": 5, "paid": 2}, is_html=False) == "3"
