"""Places for attempts: the one limit in front of every start, and the lanes that wait in line for a place.

A place is a socket that an attempt may hold. Destinations without a recent success are *cold*: a stranger may have made them up, and each may
keep a place for as long as the time-outs allow. All cold destinations together get half of the places at the most, and one message gets a
part of that, so that a list of a thousand silent domains leaves places for other mail. A warm destination may stall no less, in the middle of
what was a good day, and each attempt that waits at the final dot keeps its place for minutes: the last places go only to lanes that have no
attempt under way. Lanes that find no place wait in line, warm and cold ones apart, and those without an attempt apart from the others; a place
that becomes free goes to the lines in turn, and in each line to the accounts and classes of mail in turn (`delivery.lines`). A lane starts one attempt
in its turn, then joins a line at its end.
"""

from collections import OrderedDict
from typing import Final

from sendryd.delivery.lines import EVERYBODY, Line, Turn
from sendryd.model.ids import MessageId

MAX_ATTEMPTS: Final = 500  # under way at once; each holds a socket
MAX_COLD: Final = MAX_ATTEMPTS // 2  # of them to cold destinations
LAST_PLACES: Final = MAX_ATTEMPTS // 10  # for lanes that have no attempt under way
COLD_PER_MESSAGE: Final = 40  # of them for one message: five messages to a thousand silent domains each leave 50 cold places
COLD_ATTEMPTS: Final = 2  # to one cold destination; one after a failure, and one while the cold places run short
RECENT: Final = 3600.0  # seconds after a success for which a destination is warm; longer than the pauses of a list that is sent in parts
MAX_WARM: Final = 50_000  # destinations whose success is remembered


class Places:
    """Who has a place, and who waits for one. Lanes are known by their keys. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self.busy = 0  # places taken
        self.cold = 0  # of them by cold destinations
        self._warm_until: OrderedDict[str, float] = OrderedDict()
        # By whether the lane is cold, and whether it is idle: has no attempt under way. In the order of their turns.
        self._lines: OrderedDict[tuple[bool, bool], Line] = OrderedDict(
            ((is_cold, is_idle), Line()) for is_idle in (True, False) for is_cold in (False, True)
        )
        self._has_line = False  # a lane may wait in a line
        self._of_message: dict[MessageId, int] = {}  # cold places by message
        self._behind: dict[MessageId, OrderedDict[str, Turn]] = {}  # lanes whose next message has all the cold places it may have

    def __repr__(self) -> str:
        return f"<Places {self.busy} taken, {self.cold} cold, {self.waiting} lanes wait>"

    @property
    def waiting(self) -> int:
        """Lanes that wait for a place."""
        return sum(map(len, self._lines.values())) + sum(map(len, self._behind.values()))

    def is_cold(self, key: str, now: float) -> bool:
        """The destination has no recent success."""
        return self._warm_until.get(key, 0.0) <= now

    def note_success(self, key: str, now: float) -> None:
        """The destination talked to us of mail."""
        self._warm_until[key] = now + RECENT
        self._warm_until.move_to_end(key)
        if len(self._warm_until) > MAX_WARM:
            self._warm_until.popitem(last=False)

    def note_trouble(self, key: str) -> None:
        """The destination failed several times in a row, or its sessions stall: its successes count no more."""
        self._warm_until.pop(key, None)

    def cold_limit(self, failures: int) -> int:
        """Attempts at once to one cold destination, by its failures in a row."""
        return 1 if failures or self.cold >= MAX_COLD // 2 else COLD_ATTEMPTS

    def take(self, key: str, message_id: MessageId, *, is_cold: bool, is_idle: bool, turn: Turn = EVERYBODY) -> bool:
        """Takes a place for an attempt. False: there is none, and the lane waits in line. `is_idle`: it has no other attempt under way."""
        if is_cold and self._of_message.get(message_id, 0) >= COLD_PER_MESSAGE:
            self._behind.setdefault(message_id, OrderedDict())[key] = turn
            return False
        if not self._has_room(is_cold=is_cold, is_idle=is_idle):
            self.wait(key, is_cold=is_cold, is_idle=is_idle, turn=turn)
            return False
        self.busy += 1
        if is_cold:
            self.cold += 1
            self._of_message[message_id] = self._of_message.get(message_id, 0) + 1
        return True

    def wait(self, key: str, *, is_cold: bool, is_idle: bool, turn: Turn = EVERYBODY) -> None:
        """Puts a lane at the end of its line, unless it is in it. `turn`: whose mail is next in it."""
        self._has_line = True
        for which, line in self._lines.items():
            if which == (is_cold, is_idle):
                line.put(key, turn)
            else:
                line.remove(key)

    def give_back(self, message_id: MessageId, *, is_cold: bool) -> None:
        """Ends the use of a place."""
        self.busy -= 1
        if not is_cold:
            return
        self.cold -= 1
        left = self._of_message.pop(message_id) - 1
        if left:
            self._of_message[message_id] = left
        behind = self._behind.get(message_id)
        while behind:
            key, turn = behind.popitem(last=False)
            self.wait(key, is_cold=True, is_idle=True, turn=turn)  # if it is not, it changes lines in its turn
            if left:
                break
        if behind is not None and not behind:
            del self._behind[message_id]

    def next_lane(self) -> str | None:
        """Takes the lane whose turn it is out of its line; None: none waits, or there is no place for it."""
        if not self._has_line:  # as nearly always, and asked twice for each attempt
            return None
        for which, line in self._lines.items():
            is_cold, is_idle = which
            if line and self._has_room(is_cold=is_cold, is_idle=is_idle):
                self._lines.move_to_end(which)
                return line.take()
        self._has_line = any(self._lines.values())
        return None

    def _has_room(self, *, is_cold: bool, is_idle: bool) -> bool:
        most = MAX_ATTEMPTS if is_idle else MAX_ATTEMPTS - LAST_PLACES
        return self.busy < most and (not is_cold or self.cold < MAX_COLD)
