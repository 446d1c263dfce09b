"""A mail that a person sends to try out a domain: through the door like any other."""

from sendryd.intake.accept import Intake
from sendryd.intake.obey import BOUNDARY_LENGTH
from sendryd.intake.submission import Options, Origin, Receipt, Recipient, Submission
from sendryd.message.compose import Composition, compose
from sendryd.message.mailbox import Mailbox, parse_mailbox
from sendryd.model.actor import Actor
from sendryd.policy.refusal import Refusal
from sendryd.runtime.rand import Rand

LOCAL_PART = "hello"


async def send_test_mail(intake: Intake, rand: Rand, actor: Actor, *, domain: str, to: str, address: str) -> Receipt | Refusal:
    """Sends a mail from a domain; `address` is the client's. Raises `MalformedMessage` if `to` is no address."""
    mailbox = parse_mailbox(to)
    author = Mailbox("", LOCAL_PART, domain)
    text = f"This mail was sent to try out {domain}.\n\nLook at its Authentication-Results field: SPF, DKIM and DMARC should say pass.\n"
    what = Composition(author=author, to=(mailbox,), subject=f"A test from {domain}", text=text)
    content = compose(what, boundary=rand.secret(BOUNDARY_LENGTH))
    submission = Submission(
        actor=actor,
        reverse_path=author.address,
        recipients=(Recipient(mailbox.address, mailbox.domain, is_ascii=mailbox.is_ascii),),
        content=content,
        is_8bit=not content.isascii(),
        origin=Origin(hello="dashboard", address=address, tls=None, is_smtputf8=False, is_http=True),
        options=Options(track_opens=False, track_clicks=False, is_straight=True),
    )
    return await intake.accept(submission)
