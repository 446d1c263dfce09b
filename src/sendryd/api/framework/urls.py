"""URLs in bodies that are shown or published, never fetched from here. Pure."""

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

MAX_URL: Final = 2048  # characters: longer ones are cut off by some of the programs on their way
_SCHEMES: Final = ("https", "http")


def check_web_url(text: str, schemes: tuple[str, ...] = _SCHEMES) -> str:
    """An absolute URL in printable ASCII. Raises `ValueError`."""
    if len(text) > MAX_URL:
        raise ValueError(f"a URL has at most {MAX_URL} characters")
    if not all("!" <= letter <= "~" for letter in text) or any(letter in '"<>\\^`{|}' for letter in text):
        raise ValueError("percent-encode what is no letter, digit or URL punctuation, and leave no spaces")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, None
    if parts is None or not host or parts.scheme not in schemes:
        raise ValueError(f"write an absolute URL, as {schemes[0]}://example.com/path")
    if "@" in parts.netloc:
        raise ValueError("leave user name and password out of the URL: everybody can read it")
    return text


def _check_https(text: str) -> str:
    return check_web_url(text, ("https",))


WebUrl = Annotated[str, AfterValidator(check_web_url)]
HttpsUrl = Annotated[str, AfterValidator(_check_https)]
