"""All parts of the store that are the same for both engines."""

from sendryd.store.sql.accounts.adapter import Accounts
from sendryd.store.sql.accounts.dkimkeys import DkimKeys
from sendryd.store.sql.bulk.adapter import BulkJobs
from sendryd.store.sql.derived.adapter import Derived
from sendryd.store.sql.health.adapter import Health
from sendryd.store.sql.inbound.adapter import Inbound
from sendryd.store.sql.inbound.domainreports import DomainReports
from sendryd.store.sql.lists.adapter import Lists
from sendryd.store.sql.mail.adapter import Mail
from sendryd.store.sql.people.adapter import People
from sendryd.store.sql.people.audited import Audited
from sendryd.store.sql.people.closing import Closing
from sendryd.store.sql.people.passkeys import Passkeys
from sendryd.store.sql.people.views import SavedViews
from sendryd.store.sql.replies.adapter import Replies
from sendryd.store.sql.reports.adapter import Reports
from sendryd.store.sql.templates.adapter import Templates
from sendryd.store.sql.webhooks.adapter import Webhooks


class Parts(
    Audited,
    Mail,
    Accounts,
    BulkJobs,
    DkimKeys,
    DomainReports,
    Health,
    Inbound,
    Lists,
    People,
    Passkeys,
    SavedViews,
    Closing,
    Replies,
    Reports,
    Templates,
    Webhooks,
    Derived,
):
    """`Store` but for what the engine alone can tell."""
