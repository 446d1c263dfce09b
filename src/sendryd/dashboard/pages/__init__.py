"""The pages of the dashboard, a module for each place. A page is added by a module, its template and a line here."""

from typing import Final

from sendryd.dashboard.app import Page
from sendryd.dashboard.pages import (
    content,
    domains,
    email,
    emails,
    entering,
    home,
    keys,
    queue,
)

PAGES: Final[tuple[Page, ...]] = (
    *entering.PAGES,
    *home.PAGES,
    *emails.PAGES,
    *email.PAGES,
    *content.PAGES,
    *domains.PAGES,
    *keys.PAGES,
    *queue.PAGES,
)
