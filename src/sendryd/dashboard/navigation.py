"""The places of the dashboard, as the side and the menu list them. Pure."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sendryd.dashboard.counts import Count


@dataclass(frozen=True, slots=True)
class Place:
    """A link in the side."""

    path: str
    icon: str
    text: str
    page: str  # `data-page` of its page
    is_here: bool = False
    group: str = ""
    count: Count | None = None


_PLACES: Final = (
    Place("/", "home", "Home", "home", group="Mail"),
    Place("/emails", "mail", "Emails", "emails", group="Mail"),
    Place("/test", "flask", "Test Inbox", "test", group="Mail"),
    Place("/queue", "queue", "Queue", "queue", group="Mail"),
    Place("/domains", "globe", "Domains", "domains", group="Set up"),
    Place("/keys", "key", "API keys", "keys", group="Set up"),
    Place("/webhooks", "hook", "Webhooks", "webhooks", group="Set up"),
    Place("/templates", "file", "Templates", "templates", group="Set up"),
    Place("/suppressions", "ban", "Suppressions", "suppressions", group="Set up"),
    Place("/analytics", "chart", "Analytics", "analytics", group="Look into"),
    Place("/reports", "eye", "Reports", "reports", group="Look into"),
    Place("/log/smtp", "term", "SMTP log", "smtp-log", group="Look into"),
    Place("/log/api", "code", "API log", "api-log", group="Look into"),
    Place("/health", "pulse", "Health", "health", group="Run"),
    Place("/team", "users", "Team", "team", group="Run"),
    Place("/settings", "tune", "Settings", "settings", group="Run"),
)
_WITHIN: Final = {
    "bulk": "emails",
    "email": "emails",
    "queue-domain": "queue",
    "domain": "domains",
    "webhook": "webhooks",
    "template": "templates",
    "audit": "team",
    "me": "",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Places under one heading."""

    name: str
    places: tuple[Place, ...]


def places(page: str, paths: Container[str], counts: Mapping[str, Count]) -> tuple[Group, ...]:
    """The places that have a page at one of `paths`, with their figures; the one that `page` belongs to is marked."""
    here = _WITHIN.get(page, page)
    groups: dict[str, list[Place]] = {}
    for each in _PLACES:
        if each.path not in paths:
            continue
        marked = replace(each, is_here=each.page == here, count=counts.get(each.path))
        groups.setdefault(each.group, []).append(marked)
    return tuple(Group(name, tuple(found)) for name, found in groups.items())
