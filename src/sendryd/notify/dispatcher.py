"""Delivers notifications to webhooks.

Does: posts each notification to its webhook, signed, and retries until a 2xx answer or the end of the retry schedule.
Reads: facts, and due notifications with their webhooks.
Writes: a notification of each fact for each subscribed webhook; replays, step by step; leases, by claiming; each attempt with its outcome;
disabled webhooks.
Strategy: claims only what can start at once, oldest due first, up to the webhook's window. A webhook's window grows with success and
shrinks with failure; after failures in a row it is suspended and probed with one notification, while its others wait without an attempt counted
and those of other webhooks go on. A receiver that says when it wants to be asked again is asked then.
When things fail: whatever goes wrong between the claim and the outcome is recorded as a failed attempt, so it is tried again with the usual
pauses, under the same identity, for receivers to tell repeats by. A lease has no time at which it ends; those of an earlier process are returned
at the start. Nothing new is claimed while an outcome waits to be stored. 410 switches a webhook off at once, days of nothing but failures do so too.
Limits: attempts in all and of one webhook; `runtime.http` has those of a request. Order is not kept.
Standards: Standard Webhooks 1.0; RFC 9110 (Retry-After).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sendryd import __version__
from sendryd.model.ids import NOTIFICATION_PREFIX, WEBHOOK_PREFIX, NotificationId, WebhookId, format_id
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookAttempt
from sendryd.notify.answers import MAX_RESPONSE, Result, next_due, read_answer
from sendryd.notify.endpoint import START_WINDOW, Endpoint, new_endpoint, pauses_of
from sendryd.policy.payload import fact_id, make_body
from sendryd.policy.retry import JITTER
from sendryd.policy.retryafter import MAX_RETRY_AFTER
from sendryd.policy.settledtime import TOLERANCE
from sendryd.policy.webhook_signature import Scheme, sign
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.posting import HttpClient, HttpFault
from sendryd.runtime.rand import Rand
from sendryd.runtime.wakeup import Doorbell
from sendryd.store.base import ClaimedNotification, Lease, NotificationOutcome, Owner, ReplayStore
from sendryd.store.errors import LeaseLost, StoreError

MAX_ATTEMPTS: Final = 200  # at once, in all; each holds a socket and a few kilobytes
COMPARE_INTERVAL: Final = 15.0  # seconds between checks for leases without an attempt
REPLAY_STEP: Final = 500  # notifications made due in one transaction: some milliseconds, during which mail waits
FAN_OUT_STEP: Final = 1000  # notifications made in one transaction: a few milliseconds, during which mail waits
POLL_INTERVAL: Final = 1.0  # seconds until a row of another process is seen
DRAIN_TIMEOUT: Final = 20.0  # seconds for requests under way when the program stops: the longest that one takes
CUT_OFF_TIMEOUT: Final = 1.0  # seconds that they get to close their connections when that is over
FAILING_FOR: Final = timedelta(days=3)  # a long weekend with no one at work
RECORD_BACKOFF: Final = (1.0, 2.0, 5.0, 10.0)  # seconds between tries to store an outcome
OUR_FAULT: Final = "The attempt failed here: the log of the server says why."
MAX_CONTENT_TYPE: Final = 200  # characters kept of an answer's content type: honest ones have under 100
USER_AGENT: Final = f"sendryd/{__version__}"

log = get_logger("notify")


class Dispatcher:
    """Runs the attempts."""

    def __init__(
        self,
        store: ReplayStore,
        client: HttpClient,
        *,
        delays: Sequence[timedelta],
        scheme: Scheme = "body",
        owner: Owner,
        clock: Clock,
        rand: Rand,
        wakeup: Doorbell,
    ) -> None:
        """`delays` lie between the attempts of one notification: there is one attempt more than delays."""
        self._store = store
        self._client = client
        self._delays = tuple(delays)
        self._scheme: Scheme = scheme
        self._pauses = pauses_of(delays)
        self._owner = owner
        self._clock = clock
        self._rand = rand
        self._wakeup = wakeup
        self._endpoints: dict[WebhookId, Endpoint] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self._unrecorded = 0
        self._held: set[NotificationId] = set()  # under way, or with an outcome that is not stored yet
        self._unknown: frozenset[NotificationId] = frozenset()  # leased by this process, and not held at the last look
        self._compared = clock.monotonic()
        self._origin: datetime | None = None  # wall time minus monotonic time at the last look
        self.delivered = self.failed = self.given_up = self.disabled = self.refused = 0

    def __repr__(self) -> str:
        return f"<Dispatcher {len(self._tasks)} attempts, {len(self._endpoints)} endpoints>"

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        now = self._clock.monotonic()
        return {
            "attempts": len(self._tasks),
            "endpoints": len(self._endpoints),
            "suspended": sum(endpoint.is_waiting(now) for endpoint in self._endpoints.values()),
            "delivered": self.delivered,
            "failed": self.failed,
            "given_up": self.given_up,
            "refused": self.refused,
            "disabled": self.disabled,
            "unrecorded": self._unrecorded,
        }

    async def run(self) -> None:
        """Claims and starts due notifications until stopped."""
        while not self._is_stopping:
            timeout = POLL_INTERVAL
            try:
                await self._compare_clocks()
                await self._compare_leases()
                timeout = await self._claim()
            except StoreError as error:
                log.error("notifications_not_claimed", error=repr(error))
            except Exception:  # attempts under way go on
                log.exception("notifications_not_claimed")
            await self._wakeup.wait(timeout)

    async def stop(self, timeout: float = DRAIN_TIMEOUT) -> None:
        """Starts no more attempts, waits for those under way, cancels the rest after the timeout and returns their leases."""
        self._is_stopping = True
        self._wakeup.set()
        tasks = set(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout)
            for task in late:
                task.cancel()
            if late:
                log.warning("notifications_cut_off", count=len(late))
                await asyncio.wait(late, timeout=CUT_OFF_TIMEOUT)
        try:
            left = await self._store.list_leased_notifications(self._owner)
            if left:
                await self._store.return_notifications(self._owner, left)
        except StoreError as error:  # the next start returns them
            log.error("notification_leases_not_returned", error=repr(error))

    async def _compare_clocks(self) -> None:
        """Makes notifications due that would wait longer than any delay: at the start, and when the clock was set back."""
        now = self._clock.now()
        origin = now - timedelta(seconds=self._clock.monotonic())
        if self._origin is None or self._origin - origin > TOLERANCE:
            latest = now + max(MAX_RETRY_AFTER, *self._delays) * (1 + JITTER)
            count = await self._store.bring_notifications_forward(now=now, latest=latest)
            if count:
                log.warning("due_times_of_another_clock", count=count)
        self._origin = origin

    async def _compare_leases(self) -> None:
        """Returns leases of this process that no attempt holds, left by a cancelled claim. Only those that the last check found too."""
        now = self._clock.monotonic()
        if now - self._compared < COMPARE_INTERVAL:
            return
        self._compared = now
        unknown = frozenset(await self._store.list_leased_notifications(self._owner)) - self._held
        lost = sorted(unknown & self._unknown)
        self._unknown = unknown.difference(lost)
        if lost:
            log.warning("lost_notification_leases_returned", count=await self._store.return_notifications(self._owner, lost))

    # The claims.

    async def _claim(self) -> float:
        """Starts due notifications within the windows. Returns the seconds until the next useful call."""
        self._forget_idle()
        while await self._store.fan_out(limit=FAN_OUT_STEP):
            pass
        replayed = await self._store.work_off_replays(now=self._clock.now(), limit=REPLAY_STEP)
        for webhook_id in replayed:
            if webhook_id in self._endpoints:
                self._endpoints[webhook_id].start_over()
        if self._unrecorded or len(self._tasks) >= MAX_ATTEMPTS:
            return POLL_INTERVAL
        due = await self._store.notification_due_at(busy=self._without_room(1))
        now = self._clock.now()
        if due is None or due > now:
            return POLL_INTERVAL if due is None else min(POLL_INTERVAL, (due - now).total_seconds())
        claimed = 0
        for per_webhook in (START_WINDOW, 1):  # new webhooks and those with a large window, then the others
            room = MAX_ATTEMPTS - len(self._tasks)
            if room > 0 and not self._is_stopping and (per_webhook > 1 or self._has_narrow()):
                claimed += await self._claim_some(room, per_webhook)
        return 0.0 if claimed or replayed else POLL_INTERVAL

    async def _claim_some(self, room: int, per_webhook: int) -> int:
        lease = Lease(token=self._rand.token(), owner=self._owner)
        claims = await self._store.claim_notifications(
            now=self._clock.now(), lease=lease, limit=room, busy=self._without_room(per_webhook), per_webhook=per_webhook
        )
        for claim in claims:
            self._start(lease, claim)
        return len(claims)

    def _without_room(self, count: int) -> frozenset[WebhookId]:
        now = self._clock.monotonic()
        return frozenset(webhook_id for webhook_id, endpoint in self._endpoints.items() if endpoint.room(now) < count)

    def _has_narrow(self) -> bool:
        now = self._clock.monotonic()
        return any(0 < endpoint.room(now) < START_WINDOW for endpoint in self._endpoints.values())

    def _start(self, lease: Lease, claim: ClaimedNotification) -> None:
        now = self._clock.monotonic()
        endpoint = self._endpoints.setdefault(claim.webhook.id, new_endpoint(now))
        endpoint.used = now
        endpoint.active += 1
        self._held.add(claim.notification.id)
        task = asyncio.get_running_loop().create_task(self._work(endpoint, lease, claim))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget_idle(self) -> None:
        now = self._clock.monotonic()
        for webhook_id, endpoint in tuple(self._endpoints.items()):
            if endpoint.is_forgettable(now):
                del self._endpoints[webhook_id]

    # The attempts.

    async def _work(self, endpoint: Endpoint, lease: Lease, claim: ClaimedNotification) -> None:
        number = claim.notification.id
        try:
            result, attempt = await self._attempt(claim)
            try:
                self._note(endpoint, claim.webhook, result)
                await self._record(endpoint, lease, claim.notification, result, attempt)
            except Exception:
                log.exception("notification_not_recorded", notification_id=format_id(NOTIFICATION_PREFIX, number))
                await self._record(endpoint, lease, claim.notification, Result(False, None, OUR_FAULT), attempt)
            self._held.discard(number)
        except Exception:  # the store refuses even that: it stays leased until the next start, so it is not sent in a loop
            log.exception("notification_stuck", notification_id=format_id(NOTIFICATION_PREFIX, number))
        except BaseException:  # cancelled: `stop` returns its lease
            self._held.discard(number)
            raise
        finally:
            endpoint.active -= 1
            endpoint.used = self._clock.monotonic()
            self._wakeup.set()

    async def _attempt(self, claim: ClaimedNotification) -> tuple[Result, WebhookAttempt]:
        notification, webhook = claim.notification, claim.webhook
        now, start = self._clock.now(), self._clock.monotonic()
        headers: dict[str, str] = {}
        content_type, duration = "", None
        try:
            body = make_body(notification)
            signed = sign(
                webhook.secret,
                body,
                identity=fact_id(notification),
                timestamp=int(now.timestamp()),
                scheme=self._scheme,
                previous=webhook.second_secret(now),
            )
            headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **signed}
            answer = await self._client.post(webhook.url, headers=headers, body=body)
            content_type, duration = answer.headers.get("content-type", ""), answer.duration
            result = read_answer(answer, self._clock.now())
        except HttpFault as fault:
            self.refused += fault.is_refused
            result = Result(False, None, str(fault)[:MAX_RESPONSE])
        except Exception:  # a request that cannot be built must not delay the others
            log.exception("notification_not_made", notification_id=format_id(NOTIFICATION_PREFIX, notification.id))
            result = Result(False, None, OUR_FAULT)
        has_answer = result.status is not None
        attempt = WebhookAttempt(
            started_at=now,
            duration_ms=round((duration if duration is not None else self._clock.monotonic() - start) * 1000),
            url=webhook.url,
            headers=headers,
            status_code=result.status,
            content_type=content_type[:MAX_CONTENT_TYPE],
            response=result.response if has_answer else "",
            fault="" if has_answer else result.response,
        )
        return result, attempt

    def _note(self, endpoint: Endpoint, webhook: Webhook, result: Result) -> None:
        """Updates the endpoint's window and suspension after an attempt."""
        if result.is_success:
            self.delivered += 1
            endpoint.note_success()
            return
        self.failed += 1
        seconds = endpoint.note_failure(self._clock.monotonic(), wait=result.wait, pauses=self._pauses)
        if seconds is not None:
            log.info("webhook_suspended", webhook_id=format_id(WEBHOOK_PREFIX, webhook.id), seconds=round(seconds, 1))

    async def _record(self, endpoint: Endpoint, lease: Lease, notification: Notification, result: Result, attempt: WebhookAttempt) -> None:
        now = self._clock.now()
        outcome = replace(self._outcome(notification, result, now), attempt=attempt)
        is_last = outcome.state is NotificationState.FAILED
        self.given_up += is_last
        try:
            webhook = await self._store_outcome(lease, outcome, now)
        except LeaseLost:  # another process delivered it, or its webhook was disabled
            log.info("notification_lost", notification_id=format_id(NOTIFICATION_PREFIX, notification.id))
            return
        if webhook is None or not webhook.is_active or result.is_success:
            return
        if result.is_gone:
            await self._disable(endpoint, webhook, "The endpoint answered 410: it is gone and wants no more.")
        elif is_last or endpoint.lane.suspensions:
            since = webhook.failing_since
            if since is not None and now - since >= FAILING_FOR:
                await self._disable(
                    endpoint, webhook, f"Every attempt failed for {FAILING_FOR.days} days; the last one: {outcome.response[:200]}"
                )

    def _outcome(self, notification: Notification, result: Result, now: datetime) -> NotificationOutcome:
        state, due_at = NotificationState.DELIVERED, None
        if not result.is_success:
            due_at = None if result.is_gone else next_due(self._delays, notification.attempts + 1, now, self._rand.jitter(), result.wait)
            state = NotificationState.FAILED if due_at is None else NotificationState.PENDING
        return NotificationOutcome(
            notification_id=notification.id, state=state, due_at=due_at, status_code=result.status, response=result.response
        )

    async def _store_outcome(self, lease: Lease, outcome: NotificationOutcome, now: datetime) -> Webhook | None:
        """Stores the outcome, retrying until the store takes it. Raises `LeaseLost`."""
        tries = 0
        try:
            while True:
                try:
                    return await self._store.record_notification(lease, outcome, now)
                except LeaseLost:
                    raise
                except StoreError as error:
                    self._unrecorded += not tries
                    log.error(
                        "notification_not_recorded",
                        notification_id=format_id(NOTIFICATION_PREFIX, outcome.notification_id),
                        error=repr(error),
                    )
                    await self._clock.sleep(RECORD_BACKOFF[min(tries, len(RECORD_BACKOFF) - 1)])
                    tries += 1
        finally:
            self._unrecorded -= bool(tries)

    async def _disable(self, endpoint: Endpoint, webhook: Webhook, reason: str) -> None:
        if endpoint.is_off:  # another attempt did it at the same time
            return
        endpoint.is_off = True
        try:
            await self._store.disable_webhook(webhook.id, reason, self._clock.now())
        except StoreError as error:  # the next failure disables it
            endpoint.is_off = False
            log.error("webhook_not_disabled", webhook_id=format_id(WEBHOOK_PREFIX, webhook.id), error=repr(error))
            return
        self.disabled += 1
        if self._endpoints.get(webhook.id) is endpoint:
            del self._endpoints[webhook.id]  # re-enabled, it starts without a history
        log.warning("webhook_disabled", webhook_id=format_id(WEBHOOK_PREFIX, webhook.id), reason=reason)
