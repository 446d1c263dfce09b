"""Silences of things, and the settings of alerts. Each change is in the audit."""

from dataclasses import asdict, replace
from datetime import datetime
from urllib.parse import urlsplit

from sendryd.accounts.account import Accounts
from sendryd.accounts.audit import Audit, By
from sendryd.model.account import AccountSettings, AlertSettings
from sendryd.model.attention import Silence
from sendryd.runtime.clock import Clock
from sendryd.store.base import Store


class BadUrl(Exception):
    """The URL for alerts cannot be posted to; the message says why."""


class Alerting:
    """Silences and the settings of alerts. The caller has checked the right to change them."""

    def __init__(self, store: Store, audit: Audit, *, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock

    async def silence(self, name: str, until: datetime, by: By, *, person: str) -> None:
        """Leave a thing out of Home and of alerts until some time."""
        silence = Silence(account_id=by.account_id, name=name, until=until, by=person, since=self._clock.now())
        after = {"until": until.isoformat()}
        await self._store.set_silence(
            silence, self._audit.entry(by.account_id, by.actor, by.client, "attention.silenced", name, after=after)
        )

    async def end_silence(self, name: str, by: By) -> None:
        """Show the thing again."""
        entry = self._audit.entry(by.account_id, by.actor, by.client, "attention.shown", name)
        await self._store.end_silence(by.account_id, name, entry)

    async def set_alerts(self, settings: AlertSettings, by: By) -> None:
        """Change the settings of alerts. Raises `BadUrl`."""
        parts = urlsplit(settings.url or "")
        if settings.url and (parts.scheme not in {"http", "https"} or not parts.hostname or not settings.url.isprintable()):
            raise BadUrl("Enter a URL that begins with https://, or leave the field empty.")
        accounts = Accounts(self._store)
        before = (await accounts.get(by.account_id)).settings.alerts

        def change(found: AccountSettings) -> AccountSettings:
            return replace(found, alerts=settings)

        await accounts.change(by.account_id, change)
        await self._audit.add(
            by.account_id,
            by.actor,
            by.client,
            "alerts.changed",
            "alerts",
            before=_shown(before),
            after=_shown(settings),
        )


def _shown(settings: AlertSettings) -> dict[str, object]:
    """Without the path of the URL, which may be a secret."""
    host = urlsplit(settings.url).hostname if settings.url else ""
    return {**asdict(settings), "url": host or ""}
