"""Templates: rendered or refused with a sentence, and the process goes on."""

from drive import drive

from sendryd.message.template import MAX_OUTPUT, TemplateError, render

VARIABLES = {"a": "x<y", "b": [{"n": 1, "l": [1, 2]}, {"n": None}], "c": {"k": {"z": 1.5}}, "n": 7}
SEEDS = [
    b"{{ a }}{{{ a }}}{# no #}{% raw %}{{ a }}{% endraw %}",
    b"{% for i in b %}{{ i.n|default('none') }}{% else %}nothing{% endfor %}",
    b"{% if a == 'x' and not n > 3 %}{{ c.k.z|round }}{% elif b is defined %}{{ b[0].l|join(', ') }}{% endif %}",
    b"{% for k, v in c|dictsort %}{{ k ~ v }}{% endfor %}",
]
PIECES = [
    b"{{",
    b"}}",
    b"{{{",
    b"}}}",
    b"{%",
    b"%}",
    b"{#",
    b"#}",
    b"'",
    b'"',
    b"\\",
    b"(",
    b")",
    b"[",
    b"]",
    b"|join(a)",
    b" if ",
    b" else ",
    b"range(n)",
]


def test(data: bytes) -> None:
    """For HTML and for text."""
    source = data.decode("utf-8", "surrogateescape")
    for is_html in (True, False):
        try:
            assert len(render(source, VARIABLES, is_html=is_html)) <= MAX_OUTPUT
        except TemplateError as error:
            assert str(error)  # noqa: PT017 - either outcome is right


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
