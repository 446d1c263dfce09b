"""Pages, and what the errors of templates say."""

import traceback
from pathlib import Path

import pytest

from sendryd.dashboard.rendering import Pages, TemplateFailed


def test_the_error_of_a_template_names_its_line_and_no_value(tmp_path: Path) -> None:
    (tmp_path / "mail.html").write_text("<h1>\n{{ mail.to.missing }}\n{{ mail.subject }}")
    pages, values = Pages(tmp_path), {"mail": {"subject": "Code 123456", "to": "ann@acme.example"}}
    with pytest.raises(TemplateFailed) as failed:
        pages.render("mail.html", values)
    assert str(failed.value) == "mail.html, line 2: undefined value: `mail.to.missing` is undefined (in mail.html:2)"
    logged = "".join(traceback.format_exception(failed.value))
    assert not any(value in logged for value in ("123456", "ann@acme.example"))


def test_a_template_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "broken.html").write_text("{% if %}")
    with pytest.raises(TemplateFailed, match=r"broken\.html, line 1: syntax error"):
        Pages(tmp_path)


def test_every_template_can_be_read() -> None:
    Pages()
