"""The pages of the dashboard, a module for each place. A page is added by a module, its template and a line here."""

from typing import Final

from sendryd.dashboard.app import Page
from sendryd.dashboard.pages import (
    apilog,
    audit,
    content,
    domains,
    email,
    emails,
    entering,
    health,
    home,
    keys,
    me,
    queue,
    settings,
    smtplog,
    suppressions,
    team,
)

PAGES: Final[tuple[Page, ...]] = (
    *entering.PAGES,
    *home.PAGES,
    *audit.PAGES,
    *content.PAGES,
    *domains.PAGES,
    *email.PAGES,
    *emails.PAGES,
    *keys.PAGES,
    *me.PAGES,
    *queue.PAGES,
    *team.PAGES,
    *suppressions.PAGES,
    *apilog.PAGES,
    *smtplog.PAGES,
    *health.PAGES,
    *settings.PAGES,
)
