"""How long a session waits for its client: for a command, and for content, which has to come at a least rate. Pure."""

from typing import Final

COMMAND_TIMEOUT: Final = 300.0  # seconds for a whole command line: RFC 5321 §4.5.3.2.7
UNAUTHENTICATED_TIMEOUT: Final = 60.0  # for a command before AUTH: strangers get less patience
UNAUTHENTICATED_SESSION: Final = 300.0  # from the greeting to a successful AUTH, whatever is said meanwhile
DATA_BLOCK_TIMEOUT: Final = 180.0  # between two reads of content: RFC 5321 §4.5.3.2.5
# Octets a second over a whole content or chunk, after DATA_BLOCK_TIMEOUT of grace (Postfix: smtpd_min_data_rate). What is refused at its
# end counts too, or a client with a slow line would never get to see why.
MIN_DATA_RATE: Final = 500


class Deadlines:
    """Those of one session. All times are monotonic seconds."""

    __slots__ = ("_content_due", "_progressed", "_started")

    def __init__(self, now: float) -> None:
        self._started = now
        self._progressed = now  # when a command was last answered
        self._content_due: float | None = None  # when the content under way must have come; each octet puts that off

    def progress(self, now: float) -> None:
        """A command has come, or its reply was sent."""
        self._progressed = now

    def begin_content(self) -> None:
        """A content is due from now on."""
        self._content_due = None

    def credit(self, octets: int, now: float) -> None:
        """`octets` octets have come."""
        if self._content_due is not None:
            # The credit is bounded: a fast beginning must not buy hours for the rest.
            self._content_due = min(self._content_due + octets / MIN_DATA_RATE, now + DATA_BLOCK_TIMEOUT)

    def put_off(self, seconds: float) -> None:
        """The client could send no content for this time."""
        if self._content_due is not None:
            self._content_due += seconds

    def seconds(self, now: float, *, is_content: bool, is_stranger: bool) -> float:
        """For how many seconds the client is waited for; none is left where they are not positive."""
        if is_content:
            if self._content_due is None:
                self._content_due = now + DATA_BLOCK_TIMEOUT
            return min(DATA_BLOCK_TIMEOUT, self._content_due - now)
        self._content_due = None
        if is_stranger:
            return min(self._progressed + UNAUTHENTICATED_TIMEOUT, self._started + UNAUTHENTICATED_SESSION) - now
        return self._progressed + COMMAND_TIMEOUT - now
