"""Step 1 of the door: reads the header block, and refuses malformed messages."""

from dataclasses import replace
from typing import Final

from sendryd.intake.prepare import ParsedMessage, parse_message, without_mbox_line
from sendryd.intake.submission import Submission
from sendryd.policy.refusal import Refusal
from sendryd.runtime import offload
from sendryd.valuetype import valuetype

LARGE_HEADER: Final = 32 * 1024  # octets: decoding the displayed fields of a larger block takes milliseconds


@valuetype(frozen=True, slots=True)
class Read:
    """A submission with its parsed message."""

    submission: Submission
    parsed: ParsedMessage


async def read(submission: Submission, hostname: str) -> Read | Refusal:
    """Reads a submission. `hostname` is this server's name in trace fields. Raises `MalformedMessage`."""
    content = without_mbox_line(submission.content)
    if content is not submission.content:
        bare_lf, cut = submission.first_bare_lf, len(submission.content) - len(content)
        submission = replace(submission, content=content, first_bare_lf=None if bare_lf is None else bare_lf - cut)
    parsed = await read_header(content, submission.first_bare_lf, hostname)
    return parsed if isinstance(parsed, Refusal) else Read(submission, parsed)


async def read_header(content: bytes, first_bare_lf: int | None, hostname: str) -> ParsedMessage | Refusal:
    """The parsed message of a content."""
    if len(content) <= LARGE_HEADER or content.find(b"\r\n\r\n", 0, LARGE_HEADER) >= 0:
        return parse_message(content, first_bare_lf, hostname=hostname)
    return await offload.in_thread(parse_message, content, first_bare_lf, hostname=hostname)
