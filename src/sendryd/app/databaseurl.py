"""Texts of settings that name a database and this node beside others."""

import re
from typing import Final
from urllib.parse import urlsplit

_NODE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_HOST: Final = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\]@,]*)(?::[1-9][0-9]{0,4})?"
)  # of several, separated by commas; empty: the local socket
ADVICE: Final = "write postgresql://user:password@host:port/database"


def parse_database_url(text: str) -> str:
    """The address of a server's database, or an empty text. Raises `ValueError`, whose text does not repeat it: it may have a password."""
    url = text.strip()
    if not url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(ADVICE) from None
    # An @ in the path: a slash in the password ends the host, and the rest would be taken for the database, which errors name.
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if (
        parts.scheme not in {"postgresql", "postgres"}
        or not all(map(_HOST.fullmatch, hosts))
        or not parts.path.strip("/")
        or "@" in parts.path
    ):
        raise ValueError(ADVICE)
    return url


def parse_node_name(text: str) -> str:
    """The name of a node. Raises `ValueError`."""
    name = text.strip()
    if not _NODE_NAME.fullmatch(name):
        raise ValueError("write up to 128 letters, digits, dots and hyphens")
    return name
