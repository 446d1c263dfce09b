"""The mail that carries a TLS report: a text for people and the compressed report (RFC 8460 §5.3). Pure."""

import base64
from typing import Final

LINE: Final = 76  # characters of base64 on a line (RFC 2045 §6.8)


def compose_report(*, sender: str, to: str, domain: str, submitter: str, report_id: str, name: str, report: bytes, boundary: str) -> bytes:
    """The message without Date and Message-ID, which the door adds. `report` is compressed, `name` that of its file; all texts are ASCII without
    line ends.
    """
    encoded = base64.b64encode(report).decode("ascii")
    lines = [
        f"From: TLS reports <{sender}>",
        f"To: <{to}>",
        f"Subject: Report Domain: {domain} Submitter: {submitter} Report-ID: <{report_id}>",
        f"TLS-Report-Domain: {domain}",
        f"TLS-Report-Submitter: {submitter}",
        "TLS-Required: No",  # RFC 8460 §5.3: a report about TLS that fails must not wait for it
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt"; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"How encrypted sessions with the mail servers of {domain} went, as its",
        "_smtp._tls record in the DNS asks. The attached report is for programs.",
        "",
        f"--{boundary}",
        "Content-Type: application/tlsrpt+gzip",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment; filename="{name}"',
        "",
        *(encoded[start : start + LINE] for start in range(0, len(encoded), LINE)),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")
