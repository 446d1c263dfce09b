"""What others may know of the lanes: sessions under way, rate, suspension, the servers that were tried, the last reply.

Does: follows the attempts of each next hop, and writes what has changed to the store once a second, so that the pages of the queue can read it in
whatever process. So can the next owner of a site, which takes over what protects the receiver: a suspension and its end, a probe, fewer sessions at once.
When things fail: what cannot be written is written in a later round. Nothing of delivery waits for it.
Limits: `MAX_KNOWN` next hops in memory, `MAX_ROWS` rows a round; figures alone are written every `FIGURES_INTERVAL` seconds.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.lanes import Lanes
from sendryd.delivery.lanestate import LaneState
from sendryd.model.lane import LaneSnapshot, LimitCause, TriedServer
from sendryd.policy.replies.verdict import Kind
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.throttle import LONGEST_SUSPENSION, Lane
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import NextHopStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 1.0  # seconds: as often as a live page asks
FIGURES_INTERVAL: Final = 5.0  # seconds between two rows of a lane of which only figures have changed
MINUTE: Final = 60.0  # seconds that the rate counts
MAX_ROWS: Final = 100  # of one round: about a millisecond of the writer
MAX_KNOWN: Final = 10_000  # next hops, in memory and in the store
MAX_STIRRING: Final = 50  # domains of a site that are shown as busy or suspended with it: those that had mail last
MAX_SERVERS: Final = 10  # of a next hop: an attempt tries no more
MAX_REPLY: Final = 500  # characters
LIFETIME: Final = timedelta(days=7)  # a next hop that was not used for longer says nothing about today

log = get_logger("delivery")


@dataclass(slots=True)
class _Known:
    """What is known of a next hop. Times are monotonic seconds."""

    attempt: Attempt | None = None  # the last one, until its facts have been taken
    delivered: int = 0  # in the minute that began at `since`
    before: int = 0  # in the minute before
    since: float = 0.0
    last_success: datetime | None = None
    last_reply: str = ""
    servers: dict[tuple[str, str], TriedServer] = field(default_factory=dict)
    written: LaneSnapshot | None = None
    written_at: float = 0.0

    @property
    def is_quiet(self) -> bool:
        """Nothing has happened since it was written, and no figure goes down by itself."""
        written = self.written
        return (
            written is not None and self.attempt is None and not (written.sending or written.per_minute) and written.suspended_until is None
        )

    def turn(self, now: float) -> None:
        """Begins the minute that is now."""
        age = now - self.since
        if age >= MINUTE:
            self.before = self.delivered if age < 2 * MINUTE else 0
            self.delivered, self.since = 0, now - age % MINUTE

    def per_minute(self, now: float) -> int:
        """Deliveries in the last 60 seconds, those of the minute before in proportion."""
        self.turn(now)
        return round(self.delivered + self.before * (1 - (now - self.since) / MINUTE))


class LaneBoard:
    """Follows lanes. `note` is called for each attempt and does next to nothing."""

    def __init__(self, lanes: Lanes, clock: Clock) -> None:
        self._lanes = lanes
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def note(self, key: str, attempt: Attempt) -> None:
        """An attempt has ended."""
        known = self._open(key)
        known.attempt = attempt
        delivered = attempt.delivered()
        if delivered:
            known.turn(self._clock.monotonic())
            known.delivered += delivered

    def take_changed(self) -> list[LaneSnapshot]:
        """What has to be written, at most `MAX_ROWS`."""
        now, moment = self._clock.monotonic(), self._clock.now()
        stirring = {name for state in self._lanes.all() if state.busy or state.lane.is_suspended(now) for name in _names(state)}
        for key in stirring:
            self._open(key)
        changed: list[LaneSnapshot] = []
        for key, known in self._known.items():
            if known.is_quiet and key not in stirring:  # nearly all of ten thousand
                continue
            snapshot = self._snapshot(key, known, now, moment)
            if _is_due(known, snapshot, now):
                known.written, known.written_at = snapshot, now
                changed.append(snapshot)
                if len(changed) == MAX_ROWS:
                    break
        for each in changed:
            self._known.move_to_end(each.next_hop)  # the others come first next time
        return changed

    def take_over(self, snapshots: Iterable[LaneSnapshot]) -> list[LaneSnapshot]:
        """Goes on from what an earlier owner, or an earlier run, has left. Returns that as it is now: nothing is being sent."""
        now, moment, found = self._clock.monotonic(), self._clock.now(), list[LaneSnapshot]()
        for each in snapshots:
            until = each.suspended_until
            seconds = (until - moment).total_seconds() if until is not None else 0.0
            _take_over(self._lanes.open(each.site or each.next_hop), each, seconds, now)
            known = self._open(each.next_hop)
            known.last_success, known.last_reply = each.last_success, each.last_reply
            known.servers = {(server.host, server.address): server for server in each.servers}
            known.written, known.written_at = replace(each, sending=0, per_minute=0, suspended_until=until if seconds > 0 else None), now
            found.append(known.written)
        return found

    def put_back(self, snapshots: Iterable[LaneSnapshot]) -> None:
        """They could not be written."""
        for each in snapshots:
            if known := self._known.get(each.next_hop):
                known.written = None

    def _open(self, key: str) -> _Known:
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known(since=self._clock.monotonic())
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return known

    def _snapshot(self, key: str, known: _Known, now: float, moment: datetime) -> LaneSnapshot:
        if known.attempt is not None:
            _take_facts(known, known.attempt, moment)
            known.attempt = None
        lane_key = self._lanes.key_of(key)
        state = self._lanes.find(lane_key) or LaneState(lane_key, self._lanes.fresh(lane_key))
        until = state.lane.suspended_until
        written, is_suspended = known.written, state.lane.is_suspended(now)
        suspended_until = moment + timedelta(seconds=until - now) if until is not None and is_suspended else None
        if (
            suspended_until
            and written
            and written.suspended_until
            and abs(suspended_until - written.suspended_until) < timedelta(seconds=1)
        ):
            suspended_until = written.suspended_until  # the same moment, computed from another one
        effect, limit = self._lanes.effect_of(lane_key), self._lanes.limit(state, of=key)
        return LaneSnapshot(
            next_hop=key,
            at=moment,
            sending=state.busy,
            limit=limit,
            cause=_cause(state.lane, limit, self._lanes.cap(state, of=key), is_shared=lane_key == ANY_DOMAIN),
            per_minute=known.per_minute(now),
            suspended_until=suspended_until,
            last_success=known.last_success,
            last_reply=known.last_reply,
            servers=tuple(known.servers.values()),
            site=lane_key if lane_key != key else "",
            rule=effect.rule if effect else "",
            rule_until=effect.ends_at if effect else None,
            rule_reply=effect.reply if effect else "",
        )


def _take_over(state: LaneState, snapshot: LaneSnapshot, seconds: float, now: float) -> None:
    """A lane as it was left: suspended for some seconds more (0: it is not), or probed, with no more sessions."""
    lane = replace(state.lane, window=min(state.lane.window, max(1.0, float(snapshot.limit))))
    if seconds > 0 or snapshot.cause is LimitCause.PROBE:
        until = max(now + min(seconds, LONGEST_SUSPENSION), lane.suspended_until or 0.0) if seconds > 0 else lane.suspended_until
        lane = replace(lane, suspensions=max(1, lane.suspensions), suspended_until=until)
    state.lane, state.used = lane, now
    state.domains[snapshot.next_hop] = None


def _names(state: LaneState) -> Iterable[str]:
    """The names under which a lane is shown: its domains, or `*` for a smart host."""
    return (state.key,) if state.key == ANY_DOMAIN or not state.domains else islice(reversed(state.domains), MAX_STIRRING)


def _cause(lane: Lane, limit: int, allowed: int | None, *, is_shared: bool) -> LimitCause:
    """`allowed`: by a person. `is_shared`: with other processes."""
    if limit < lane.limit and limit == allowed:
        return LimitCause.PERSON
    if limit < lane.limit and not is_shared:
        return LimitCause.RULE
    return LimitCause.PROBE if lane.suspensions else LimitCause.WINDOW


def _take_facts(known: _Known, attempt: Attempt, moment: datetime) -> None:
    """What the last attempt tells."""
    verdicts = list(attempt.verdicts.values())
    if any(verdict.kind is Kind.DELIVERED for verdict in verdicts):
        known.last_success = moment
    if verdicts:
        last = verdicts[-1]
        known.last_reply = (str(last.reply) if last.reply else last.sentence)[:MAX_REPLY]
    tried = {
        (target.host, target.address): TriedServer(
            host=target.host, address=target.address, port=target.port, tls=tls, fault=fault[:MAX_REPLY], at=moment
        )
        for target, tls, fault in attempt.notes.tried()
    }
    known.servers = dict(list({**tried, **{key: each for key, each in known.servers.items() if key not in tried}}.items())[:MAX_SERVERS])


def _is_due(known: _Known, snapshot: LaneSnapshot, now: float) -> bool:
    """It differs from what was written: in what people wait to see, or in figures, and those for a while."""
    written = known.written
    if written is None:
        return True
    if replace(snapshot, at=written.at) == written:
        return False
    return _news(snapshot) != _news(written) or now - known.written_at >= FIGURES_INTERVAL


def _news(snapshot: LaneSnapshot) -> tuple[object, ...]:
    return (
        snapshot.suspended_until,
        snapshot.rule,
        snapshot.sending > 0,
        [(each.host, each.address, each.fault) for each in snapshot.servers],
    )


class LanePublisher:
    """Writes what has changed."""

    def __init__(self, board: LaneBoard, store: NextHopStore, clock: Clock) -> None:
        self._board = board
        self._store = store
        self._clock = clock

    async def take_over(self, is_gained: Callable[[str], bool]) -> None:
        """Goes on from what is stored of the sites that this process has gained: the same ones are suspended, and nothing is being sent to any."""
        try:
            left = [each for each in await self._store.list_stirring_lanes() if is_gained(each.site or each.next_hop)]
            if left:
                await self._store.put_lanes(self._board.take_over(left), keep_since=self._clock.settled() - LIFETIME, most=MAX_KNOWN)
        except StoreError as error:
            log.error("lanes_not_taken_over", error=repr(error))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            await self.publish()

    async def publish(self) -> None:
        """One round."""
        changed = self._board.take_changed()
        if not changed:
            return
        try:
            await self._store.put_lanes(changed, keep_since=self._clock.settled() - LIFETIME, most=MAX_KNOWN)
        except StoreError as error:
            log.error("lanes_not_written", error=repr(error))
            self._board.put_back(changed)
