"""The fields of a form that name a smart host: its URL, and its password. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from sendryd.policy.smarthost import parse_smart_host, write_smart_host


def read_smart_host(fields: Mapping[str, str], present: str) -> str:
    """The smart host of the form, with its password where one was typed."""
    url, password = fields.get("smarthost", present).strip(), fields.get("smarthost_password", "")
    try:
        smart_host = parse_smart_host(url)
    except ValueError:
        return url
    if smart_host is None or smart_host.credentials is None or not password:
        return url
    return write_smart_host(replace(smart_host, credentials=(smart_host.credentials[0], password)), with_password=True)


def without_password(url: str) -> str:
    """What was typed as a smart host, as it may be shown."""
    try:
        smart_host = parse_smart_host(url)
    except ValueError:
        return "" if "@" in url else url
    return write_smart_host(smart_host) if smart_host is not None else ""
