"""One lane: the claims that wait in it, the attempts under way, and what is known of the next hop."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sendryd.policy.fairness import FairQueue
from sendryd.policy.throttle import Lane
from sendryd.store.base import Claim


@dataclass(slots=True)
class Held:
    """A content in memory, and how many claims still need it."""

    content: bytes
    octets: int  # of the budget
    claims: int


@dataclass(slots=True)
class LaneState:
    """One lane. Times are monotonic seconds."""

    key: str  # the site's name; of a domain that was not looked up its own
    lane: Lane
    busy: int = 0  # attempts under way: sessions with the next hop
    is_looking_up: bool = False
    recording: int = 0  # attempts whose outcomes are being stored
    reserved: int = 0  # claims that the door may hand over
    beside: int = 0  # claims that wait for a look-up of their domain
    # Small while they are empty: there are as many lanes as domains that wait.
    domains: dict[str, None] = field(default_factory=dict)  # that had claims here, the latest last
    ready: list[tuple[Claim, Held | None]] = field(default_factory=list)  # whose turn it was before they waited for a look-up
    waiting: FairQueue[tuple[Claim, Held | None]] = field(default_factory=FairQueue)
    used: float = 0.0  # when an attempt last ended
    stalls: dict[tuple[int, int], float] = field(default_factory=dict)  # when each attempt under way counts as stalled, by `claim_key`

    @property
    def load(self) -> int:
        """Claims that the lane has or is to get, without those that wait beside it: slow look-ups of some domains are nothing to the others."""
        return self.busy + self.recording + self.reserved + len(self.ready) + self.waiting.waiting

    @property
    def number_waiting(self) -> int:
        """Claims that wait to be started."""
        return len(self.ready) + self.waiting.waiting

    def share(self, most: int, *, least: int) -> int:
        """Claims that an account and class may have among the `most` of the lane, if one more account comes."""
        return max(least, most // (len(self.waiting.turns()) + 1))

    def peek(self) -> Claim:
        """The claim that is started next."""
        return (self.ready[0] if self.ready else self.waiting.peek())[0]


def claim_key(claim: Claim) -> tuple[int, int]:
    """What tells a claim from others, also after it was cut."""
    return claim.lease.token, claim.deliveries[0].id


def take_out(state: LaneState, is_wanted: Callable[[Claim], bool]) -> list[tuple[Claim, Held | None]]:
    """Takes waiting claims out of a lane."""
    taken = [each for each in state.ready if is_wanted(each[0])]
    if taken:
        state.ready = [each for each in state.ready if not is_wanted(each[0])]
    return taken + state.waiting.take_all(lambda each: is_wanted(each[0]))
