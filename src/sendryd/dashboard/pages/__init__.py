"""The pages of the dashboard, a module for each place. A page is added by a module, its template and a line here."""

from typing import Final

from sendryd.dashboard.app import Page
from sendryd.dashboard.pages import (
    analytics,
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
    templates,
    testchanges,
    testinbox,
)

PAGES: Final[tuple[Page, ...]] = (
    *entering.PAGES,
    *home.PAGES,
    *analytics.PAGES,
    *apilog.PAGES,
    *audit.PAGES,
    *content.PAGES,
    *domains.PAGES,
    *email.PAGES,
    *emails.PAGES,
    *health.PAGES,
    *keys.PAGES,
    *me.PAGES,
    *queue.PAGES,
    *settings.PAGES,
    *smtplog.PAGES,
    *suppressions.PAGES,
    *team.PAGES,
    *templates.PAGES,
    *testchanges.PAGES,
    *testinbox.PAGES,
)
