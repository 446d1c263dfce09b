"""What the language of templates holds, and what it refuses before the engine sees it."""

import time

import pytest

from sendryd.message.template import TemplateError, render
from sendryd.message.templatesource import MAX_NESTING, MAX_STRING, MAX_TAGS, MAX_TOKENS, read_source
from sendryd.testing.cases import cases


@cases(
    ("source", "given"),
    [
        ("no tags", "no tags"),
        ("{{ a }}", "{{ a }}"),
        ("{{{ a|trim }}}", "{{ ( a|trim )|safe }}"),
        ("{{ \"}}\" }}{{{ '}}}' }}}", "{{ \"}}\" }}{{ ( '}}}' )|safe }}"),
        ("{# {{{ a #}{% raw %}{{{ a }}}{%- endraw -%}", "{# {{{ a #}{% raw %}{{{ a }}}{%- endraw -%}"),
        ("@media print{#menu{color:red}}", "@media print{{ '{#' }}menu{color:red}}"),
        ("{%- if a -%}b{%- endif -%}", "{%- if a -%}b{%- endif -%}"),
    ],
)
def test_what_the_engine_is_given(source: str, given: str) -> None:
    assert read_source(source).text == given


@cases(
    ("source", "words"),
    [
        ("{% set a = b %}", "not {% set %}"),
        ("{% macro f() %}{% endmacro %}", "not {% macro %}"),
        ("{% import 'x' as y %}", "not {% import %}"),
        ("{% %}", "not {%  %}"),
        ("{{ f() }}", "only filters and range are called, not f"),
        ("{{ a.items() }}", r"write name\|items for name.items\(\)"),
        ("{{ a|f }}", "no filter f"),
        ("{{ a is f }}", "no test f"),
        ("{{ a is not f }}", "no test f"),
        ("{{ a|map('upper') }}", "map takes an attribute"),
        ("{{ a|tojson(2) }}", "tojson takes no arguments"),
        ("{{ [[1]] }}", "texts and numbers only"),
        ("{{ [a] }}", "texts and numbers only"),
        ("{{ (a, b) }}", "comma"),
        ("{{ a = b }}", "write == to compare"),
        ("{{ a * b }}", "cannot multiply"),
        ("{{ {'a': 1} }}", "no meaning in a tag"),
        ("{{ (a }}", "bracket is not closed"),
        ("{{ a) }}", "closes nothing"),
        ("{{ a[b) }}", "closes nothing"),
        ("{{ 'a }}", "other quotation mark"),
        ("{{ a", "not closed: write }}"),
        ("{{{ a }}", "ends with }}}"),
        ("{% if a", "not closed: write %}"),
        ("{% raw %}a", "write {% endraw %}"),
        ("{{#each a}}{{/each}}", "Handlebars"),
        ("{{else}}", "Handlebars"),
        ("{{ '" + "a" * MAX_STRING + "' }}", "outside of the tag"),
        ("{{ a" + "~a" * MAX_TOKENS + " }}", "make it shorter"),
        ("{% if a %}" * (MAX_NESTING + 1), "make it simpler"),
        ("{% if a %}" + "{% elif a %}" * MAX_NESTING, "make it simpler"),
        ("{{ first name }}", "names have no spaces, so write first_name"),
        ("{{ user.last name|upper }}", "write last_name"),
        ("{{1st}}", "1st is no name.*begin with a letter"),
        ("{{a}}" * (MAX_TAGS + 1), "at most 20,000 tags"),
    ],
)
def test_what_is_refused_says_what_to_change(source: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words) as refused:
        read_source("\n" + source)
    assert "at most 20,000 tags" in str(refused.value) or str(refused.value).endswith("in line 2")


@cases(
    ("source", "is_costly"),
    [
        ("{{ a }}{{ a|upper }}{% if a %}{% endif %}{% for k, v in a|items %}{% endfor %}", False),
        ("{% if a == 'x' and 1 < b %}{% endif %}{{ a[0] }}{{ a['name'] }}", False),
        ("{% if a == b %}{% endif %}", True),
        ("{% if 'x' ~ a == a ~ 'x' %}{% endif %}", True),
        ("{{ a[b] }}", True),
        ("{{ a[99999] }}", True),
    ],
)
def test_what_is_slow_with_long_texts_is_known(source: str, is_costly: bool) -> None:
    assert read_source(source).is_costly is is_costly


@cases("piece", ["{", "{{", "{{'", "{#", "#}", "{% raw %}", "{% raw %}{% endraw %}", "{{ '\\\\", "{{" + " " * 2500, "}}", '{{""'])
def test_reading_takes_a_time_that_grows_with_the_length_only(piece: str) -> None:
    source = piece * (1_000_000 // len(piece))
    started = time.process_time()
    try:
        read_source(source)
    except TemplateError as error:
        assert len(str(error)) < 250
    assert time.process_time() - started < 2


def test_handlebars_of_a_style_sheet_are_shown() -> None:
    assert render("<style>@media print{#menu{color:red}}</style>{{ a }}", {"a": 1}, is_html=True).endswith("{#menu{color:red}}</style>1")
