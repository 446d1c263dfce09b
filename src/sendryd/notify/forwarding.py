"""Posts mail that came in to the URL of its account.

Does: posts each mail as the API shows it, signed as webhooks are, until a 2xx answer or the end of the retry schedule.
Reads: mails that are due, and where their account wants them.
Writes: the outcome of each attempt.
When things fail: an outcome that cannot be stored means that the mail is posted again; receivers know repeats by the id. 410 ends it.
Limits: `AT_ONCE` requests; `runtime.http` has those of a request.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sendryd.accounts.account import Accounts
from sendryd.model.ids import INBOUND_PREFIX, format_id
from sendryd.model.inbound import InboundMail
from sendryd.notify.answers import next_due, read_answer
from sendryd.notify.dispatcher import USER_AGENT
from sendryd.policy.payload import inbound_payload
from sendryd.policy.webhook_signature import Scheme, sign_with_any
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.posting import HttpClient, HttpFault
from sendryd.runtime.rand import Rand
from sendryd.store.base.inbound import InboundStore
from sendryd.store.errors import NotFound, StoreError

INTERVAL: Final = 1.0  # seconds between looks: a person who waits for a mail does not notice it
AT_ONCE: Final = 20  # requests: of one account, a few are enough

log = get_logger("notify")


class Forwarder:
    """Runs the attempts, those of one look at once."""

    def __init__(
        self,
        store: InboundStore,
        accounts: Accounts,
        client: HttpClient,
        *,
        delays: Sequence[timedelta],
        scheme: Scheme,
        clock: Clock,
        rand: Rand,
    ) -> None:
        """`delays` lie between the attempts of one mail."""
        self._store = store
        self._accounts = accounts
        self._client = client
        self._delays = tuple(delays)
        self._scheme: Scheme = scheme
        self._clock = clock
        self._rand = rand

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                while mails := await self._store.list_inbound_due(self._clock.now(), limit=AT_ONCE):
                    await asyncio.gather(*(self._forward(mail) for mail in mails))
            except StoreError as error:
                log.error("inbound_not_forwarded", error=repr(error))
            await self._clock.sleep(INTERVAL)

    async def _forward(self, mail: InboundMail) -> None:
        try:
            forwarding = (await self._accounts.get(mail.account_id)).settings.inbound
        except NotFound:
            forwarding = None
        if forwarding is None or forwarding.url is None or forwarding.secret is None:  # switched off meanwhile
            await self._store.note_forwarding(mail.id, is_forwarded=False, due_at=None)
            return
        now = self._clock.now()
        body = json.dumps(inbound_payload(mail), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        identity = format_id(INBOUND_PREFIX, mail.id)
        signed = sign_with_any(forwarding.secret, body, identity=identity, timestamp=int(now.timestamp()), scheme=self._scheme)
        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **signed}
        is_success, is_gone, wait = False, False, None
        try:
            result = read_answer(await self._client.post(forwarding.url, headers=headers, body=body), self._clock.now())
            is_success, is_gone, wait = result.is_success, result.is_gone, result.wait
        except HttpFault as fault:
            log.info("inbound_not_taken", id=identity, reason=str(fault))
        due_at = None
        if not is_success and not is_gone:
            due_at = next_due(self._delays, mail.attempts + 1, self._clock.now(), self._rand.jitter(), wait)
        await self._store.note_forwarding(mail.id, is_forwarded=is_success, due_at=due_at)
