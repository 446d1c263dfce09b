"""Templates that would end the process, or fill its memory, if the engine were given them: each is rendered in a process with little memory."""

import json
import resource
import subprocess
import sys
from typing import Any, Final

import pytest

MEMORY: Final = 1 << 30  # octets of address space; the interpreter itself has a quarter
SECONDS: Final = 20  # of processor time, of all that a process renders

_RENDER: Final = """
import json, sys
from sendryd.message.template import TemplateError, render
for source, variables in json.load(sys.stdin):
    try:
        print(len(render(source, variables, is_html=True)))
    except TemplateError as error:
        print(str(error)[:250])
"""

LONG: Final = "a" * 3_000_000
GROWING: Final = [
    ("{{ a|join(b) }}", {"a": ["x"] * 50_000, "b": LONG}),
    ("{{ a|replace('a', a) }}", {"a": "a" * 1_000_000}),
    ("{{ " + "~".join("a" * 120) + " }}", {"a": LONG}),
    ("{% for i in range(9000) %}{% if (a~a~a)|length %}{% endif %}{% endfor %}", {"a": LONG}),
    ("{% for i in range(9000) %}{% if a|upper|title|trim|urlencode %}{% endif %}{% endfor %}", {"a": LONG}),
    ("{% for i in range(9000) %}{{ (a|sort)[0] }}{% endfor %}", {"a": ["x" * 50] * 50_000}),
    ("{% for i in range(9000) %}{{ a|split(',')|length }}{% endfor %}", {"a": "," * 100_000}),
    ("{% for i in range(9000) %}{% if a|tojson %}{% endif %}{% endfor %}", {"a": ["x" * 50] * 50_000}),
    ("{% for i in range(9000) %}{% if b in a %}{% endif %}{% endfor %}", {"a": LONG, "b": "a" * 50_000 + "b"}),
    ("{% for i in range(9000) %}{{ a|unique|length }}{% endfor %}", {"a": list(range(90_000))}),
    ("{{ a|indent(n) }}", {"a": "a\n" * 100_000, "n": 100_000}),
    ("{{ b|format(a) }}", {"a": "a", "b": "%999999999s"}),
    ("{{ '%.999999999f'|format(1.5) }}", {}),
    ("{{ a" + "|split('')|join(a)" * 20 + " }}", {"a": "abcdefgh"}),
    ("{{ a" + "|tojson|string" * 60 + " }}", {"a": '""'}),
    ("{% for a in b %}" * 59 + "x" + "{% endfor %}" * 59, {"b": [1, 2, 3]}),
    ("{% for i in range(7, 99999, 3) %}{{{ b }}}{% endfor %}", {"b": [["x" * 30] * 3] * 30}),
    ("{% for a in b recursive %}{{ loop(b) }}{% endfor %}", {"b": [1, 2]}),
    ("{% set n = namespace(a=1) %}{% set n.a = n %}{{ n }}", {}),
    ("{% set a = [] %}{% for i in range(60) %}{% set a = [a, a] %}{% endfor %}{{ a }}", {}),
]
DEEP: Final = [
    ("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}", {}),
    ("{{ " + "not " * 100_000 + "1 }}", {}),
    ("{{ " + "-" * 100_000 + "1 }}", {}),
    ("{{ a" + ".a" * 100_000 + " }}", {"a": 1}),
    ("{{ a" + "|upper" * 100_000 + " }}", {"a": "x"}),
    ("{{ " + "~".join("a" * 100_000) + " }}", {"a": "x"}),
    ("{% if a %}" * 20_000 + "{% endif %}" * 20_000, {"a": 1}),
    ("{% if a %}" + "{% elif a %}" * 19_000 + "{% endif %}", {"a": 1}),
    ("{{ " + "a if a else " * 50_000 + "a }}", {"a": 1}),
    ("{{ " + "[" * 100_000 + "]" * 100_000 + " }}", {}),
]


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


@pytest.mark.parametrize("cases", [GROWING, DEEP], ids=["growing", "deep"])
def test_the_process_goes_on_and_each_is_refused_with_a_sentence(cases: list[tuple[str, dict[str, Any]]]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _RENDER], input=json.dumps(cases), capture_output=True, text=True, preexec_fn=_limit, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    answers = ended.stdout.splitlines()
    assert len(answers) == len(cases)
    assert [answer for answer in answers if answer.isdigit()] == []
