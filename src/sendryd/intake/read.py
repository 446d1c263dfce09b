"""Step 1 of the door: the header block is read, and what no message may have is refused."""

from dataclasses import replace
from typing import Final

from sendryd.intake.prepare import Draft, read_draft, without_mbox_line
from sendryd.intake.submission import Submission
from sendryd.policy.refusal import Refusal
from sendryd.runtime import offload
from sendryd.valuetype import valuetype

LARGE_HEADER: Final = 32 * 1024  # octets: what people are shown of a header block is decoded word by word, which takes milliseconds then


@valuetype(frozen=True, slots=True)
class Read:
    """A message whose header block has passed."""

    submission: Submission
    draft: Draft


async def read(submission: Submission, hostname: str) -> Read | Refusal:
    """Reads a submission. `hostname`: ours, in trace fields that we wrote before. Raises `MalformedMessage`."""
    content = without_mbox_line(submission.content)
    if content is not submission.content:
        bare_lf, cut = submission.first_bare_lf, len(submission.content) - len(content)
        submission = replace(submission, content=content, first_bare_lf=None if bare_lf is None else bare_lf - cut)
    draft = await read_header(content, submission.first_bare_lf, hostname)
    return draft if isinstance(draft, Refusal) else Read(submission, draft)


async def read_header(content: bytes, first_bare_lf: int | None, hostname: str) -> Draft | Refusal:
    """The draft of a content."""
    if len(content) <= LARGE_HEADER or content.find(b"\r\n\r\n", 0, LARGE_HEADER) >= 0:
        return read_draft(content, first_bare_lf, hostname=hostname)
    return await offload.in_thread(read_draft, content, first_bare_lf, hostname=hostname)
