"""Alerts the people of an account when something begins to need them, and once when it is over.

Does: looks at what Home shows to each account, and sends a mail to the owners and operators, and a POST to a URL if one is set. One kind of
thing is news once an hour at most; what is silenced is left out.
Reads: findings, domains, the queue, webhooks, keys, figures, people. Writes: alerts; mail, through the door.
When things fail: without a verified domain there is no mail, and the log says so. A POST is not repeated. Alerts are stored after they were sent:
if the program ends in between, they are sent twice.
"""

import json
from datetime import datetime
from typing import Final

from sendryd.accounts.attention import Attention, View
from sendryd.intake.notices import Notice, Notices
from sendryd.model.account import Account, AlertRecipients, AlertSettings
from sendryd.model.actor import Role
from sendryd.model.ids import AccountId
from sendryd.model.moment import timestamp
from sendryd.policy.alerts import KEPT, News, find_news
from sendryd.policy.attention import heading
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.posting import HttpClient, HttpFault
from sendryd.store.base import Store
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 15.0  # seconds between rounds
MAX_SUBJECT: Final = 120  # characters: names of strangers' servers are in it

log = get_logger("alerts")


class AlertKeeper:
    """Four rounds a minute."""

    def __init__(
        self,
        store: Store,
        attention: Attention,
        notices: Notices,
        client: HttpClient,
        *,
        account_id: AccountId,
        public_url: str,
        clock: Clock,
    ) -> None:
        """`account_id` is the installation's account: its people also hear of Health and of every account's queue."""
        self._store = store
        self._attention = attention
        self._notices = notices
        self._client = client
        self._account_id = account_id
        self._public_url = public_url
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="alerts_not_sent", does_pause_first=True)

    async def run_once(self) -> None:
        """Sends what is new. Raises `StoreUnavailable`."""
        for account in await self._store.list_accounts():
            await self._look(account)

    async def _look(self, account: Account) -> None:
        now, settings = self._clock.now(), account.settings.alerts
        seen = await self._attention.look(View(account_id=account.id, sees_everything=account.id == self._account_id), now)
        silenced = [thing for thing, _ in seen.silenced]
        news = find_news(
            await self._store.list_alerts(account.id),
            [*seen.things, *silenced],
            account.id,
            now,
            silenced={each.key for each in silenced},
            scope=settings.scope,
        )
        if not news.is_empty:
            await self._tell(account.id, news, settings, now)
        if news.changed:
            await self._store.save_alerts(news.changed, keep_since=now - KEPT)

    async def _tell(self, account_id: AccountId, news: News, settings: AlertSettings, now: datetime) -> None:
        subject, text = write_subject(news), write_text(news, self._public_url)
        recipients = await self._recipients(account_id, settings.recipients)
        sent = [
            each
            for each in recipients
            if await self._notices.send(account_id, Notice(author="sendryd", to=each, subject=subject, text=text))
        ]
        if len(sent) < len(recipients):
            log.warning(
                "alert_not_mailed", recipients=len(recipients) - len(sent), reason="the account has no verified domain, or see above"
            )
        if settings.url:
            try:
                answer = await self._client.post(settings.url, headers={"content-type": "application/json"}, body=write_body(news, now))
            except HttpFault as fault:
                log.warning("alert_not_posted", reason=str(fault))
            else:
                log.info("alert_posted", status=answer.status)
        log.info("alert_sent", begun=[each.key for each in news.begun], ended=[each.name for each in news.ended], mails=len(sent))

    async def _recipients(self, account_id: AccountId, which: AlertRecipients) -> list[str]:
        if which is AlertRecipients.NOBODY:
            return []
        found = []
        for member in await self._store.list_members(account_id):
            person = await self._store.get_person(member.person_id) if member.person_id is not None else None
            if person is None or person.disabled_at is not None:
                continue
            is_owner = member.role is Role.OWNER and which is not AlertRecipients.OPERATORS
            if is_owner or (person.is_operator and which is not AlertRecipients.OWNERS):
                found.append(person.email)
        return found


def write_subject(news: News) -> str:
    """`sendryd: acme.example has several SPF records`."""
    if len(news.begun) == 1:
        text = news.begun[0].title
    elif news.begun:
        text = heading(len(news.begun))
    else:
        text = f"over: {news.ended[0].sentence}" if len(news.ended) == 1 else f"{len(news.ended)} things are over"
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"sendryd: {printable}"[:MAX_SUBJECT]


def write_text(news: News, public_url: str) -> str:
    """The mail."""
    lines = [line for each in news.begun for line in (f"{each.title}.", each.why, f"{public_url}{each.link}", "")]
    lines += [f"Over: {each.sentence}." for each in news.ended]
    return "\n".join([*lines, *([""] if news.ended else []), f"These alerts are set at {public_url}/health#alerts", ""])


def write_body(news: News, now: datetime) -> bytes:
    """What is posted: JSON."""
    begun = [
        {"name": each.key, "kind": each.kind.value, "tone": each.tone.value, "title": each.title, "why": each.why, "path": each.link}
        for each in news.begun
    ]
    ended = [{"name": each.name, "kind": each.kind, "title": each.sentence, "began_at": timestamp(each.began_at)} for each in news.ended]
    return json.dumps({"type": "attention", "created_at": timestamp(now), "begun": begun, "ended": ended}).encode("utf-8")
