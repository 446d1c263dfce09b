"""The origin of a URL as browsers write it. Pure.

Standards: RFC 6454 §6.2.
"""

from typing import Final
from urllib.parse import urlsplit

USUAL_PORTS: Final = {"https": 443, "http": 80}


def origin_of_page(url: str) -> str:
    """Scheme, host and port, without the usual port.

    >>> origin_of_page("https://Mail.Acme.example:443/base"), origin_of_page("http://[::1]:8025")
    ('https://mail.acme.example', 'http://[::1]:8025')
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = "" if parts.port in {None, USUAL_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
