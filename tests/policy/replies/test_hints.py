"""When a reply wants to be asked again."""

from datetime import timedelta

from sendryd.policy.replies.hints import LONGEST, SHORTEST, retry_hint
from sendryd.testing.cases import cases


@cases(
    ("reply", "seconds"),
    [
        ("450 4.7.1 Too many messages, try again in 300 seconds", 300),
        ("421 4.7.0 Rate limit exceeded. Please retry after 10 min", 600),
        ("450 4.2.0 Greylisted, see you in 120s", 120),
        ("451 come back in 1 hour please", 3600),
        ("451 4.7.1 Greylisting in action, please come back later", None),
        ("450 4.7.1 Wait 90 seconds", 90),
        ("450 4.7.1 slow down", None),
        ("450 4.7.1 You have sent 500 messages; try again later. The limit is 20 minutes", None),
        ("450 try again in 1 second", SHORTEST.total_seconds()),
        ("450 try again in 999999 hours", LONGEST.total_seconds()),
        ("450 try again in 12345678901234567890 seconds", None),
        ("450 4.1.1 mailbox 300 sold", None),
    ],
)
def test_hints_of_time(reply: str, seconds: float | None) -> None:
    assert retry_hint(reply) == (timedelta(seconds=seconds) if seconds is not None else None)
