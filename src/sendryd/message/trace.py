"""Trace fields: Received (RFC 5321 §4.4), where the client's own name is untrusted and made harmless, and who wrote Authentication-Results (RFC 8601)."""

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

from sendryd.message.parameters import without_comments
from sendryd.message.rewrite import format_date

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
_RESULTS_NAME: Final = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s;"]*))')  # a token, or in quotes
_QUOTED_PAIR: Final = re.compile(r"\\(.)")
MAX_HELLO: Final = 255


@lru_cache(1024)
def _safe_name(hello: str) -> str:
    return _UNSAFE.sub("?", hello[:MAX_HELLO]) or "unknown"


def received_line(
    *,
    hello: str,
    address: str,
    hostname: str,
    queue_id: str,
    tls: tuple[str, str] | None,
    is_smtputf8: bool,
    hide_client: bool,
    now: datetime,
    is_http: bool = False,
) -> bytes:
    """The whole field, folded, with its final CRLF. `tls` is version and cipher; `hide_client` omits the client's name and address."""
    # RFC 3848, RFC 6531 §4.3: A for authenticated. HTTP is in use, though not registered.
    protocol = "HTTP" if is_http else f"{'UTF8' if is_smtputf8 else 'E'}SMTP{'S' if tls else ''}A"
    origin = ""
    if not hide_client:
        name = _safe_name(hello)
        literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        origin = f" from {name} ({literal})\r\n"
    encryption = f"\r\n\t({tls[0]} {tls[1]})" if tls else ""
    by = f"{chr(9) if origin else ' '}by {hostname} with {protocol} id {queue_id}"
    return f"Received:{origin}{by}{encryption};\r\n\t{format_date(now)}\r\n".encode("ascii", "replace")


def results_name(value: str) -> str:
    """The server that an Authentication-Results field names as its author (RFC 8601 §2.2, authserv-id), in lower case and without a final dot."""
    match = _RESULTS_NAME.match(without_comments(value))
    quoted, token = match.groups() if match else (None, None)
    name = _QUOTED_PAIR.sub(r"\1", quoted).strip() if quoted else token or ""
    return name.rstrip(".").lower()
