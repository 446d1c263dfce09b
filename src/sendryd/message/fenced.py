"""Jobs for `runtime.fence`: third-party parsers applied to clients' texts. Pure functions of plain values.

They return plain values too, which come back as JSON.
"""

from collections.abc import Mapping
from typing import Any

from sendryd.message.framing import Pictures, Scheme, frame_html, remote_pictures
from sendryd.message.incoming import Incoming, read_incoming
from sendryd.message.insights import Check, examine
from sendryd.message.plaintext import html_to_text
from sendryd.message.reports.domainreports import read_domain_reports
from sendryd.message.reports.read import read_report
from sendryd.message.reports.report import Report
from sendryd.message.template import Rendered, TemplateError, check_names, check_template, render_all


def render_template(
    subject: str | None, html: str | None, text: str | None, schema: Mapping[str, Any] | None, variables: Mapping[str, Any]
) -> Rendered:
    """Renders a template with its variables. Raises `TemplateError`."""
    return render_all(subject=subject, html=html, text=text, schema=schema, variables=variables)


def find_fault(sources: Mapping[str, str]) -> tuple[str, str] | None:
    """The first source that no variables could make valid: the name of its field, and the fault. None if all are valid."""
    for field, source in sources.items():
        try:
            check_template(source)
        except TemplateError as error:
            return field, str(error)
    return None


def text_of_design(html: str) -> str:
    """The text of a design, with its variables left in place. Raises `TemplateError` for an invalid variable name."""
    check_names(html)
    return html_to_text(html)


def examine_message(content: bytes, is_marketing: bool) -> list[Check]:
    """Runs the checks of `message.insights`."""
    return examine(content, is_marketing=is_marketing)


def read_returned(content: bytes, is_null_sender: bool) -> Report:
    """What a message that came back is, and what it says."""
    return read_report(content, is_null_sender=is_null_sender)


def read_reports_about_us(content: bytes) -> list[dict[str, Any]]:
    """The DMARC and TLS reports that a mail brings."""
    return read_domain_reports(content)


def read_mail(content: bytes) -> Incoming:
    """What a person sees of a mail that came in."""
    return read_incoming(content)


def frame_message(html: str, base: str, inline: Mapping[str, int], is_remote_shown: bool, scheme: str) -> bytes:
    """A message's HTML as a document for which a browser asks our own server alone. Raises `TooComplex`."""
    return frame_html(html, Pictures(base=base, inline=inline, is_remote_shown=is_remote_shown), Scheme(scheme))


def list_remote_pictures(html: str) -> list[str]:
    """The pictures from elsewhere in a message's HTML. Raises `TooComplex`."""
    return remote_pictures(html)
