"""Messages made of what requests ask for: the template rendered, the attachments decoded, the content composed."""

import json
from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request

from sendryd.api.framework.requests import Refused, encode, invalid
from sendryd.api.sending.outgoing import Outgoing
from sendryd.api.sending.schema import AttachmentBody
from sendryd.intake.accept import Intake
from sendryd.intake.assemble import Prepared
from sendryd.intake.obey import BOUNDARY_LENGTH, TemplateRenderer
from sendryd.intake.submission import Origin, Recipient, Submission
from sendryd.message.compose import Attachment, Composition, compose
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import Mailbox
from sendryd.message.template import TemplateError
from sendryd.model.actor import Actor
from sendryd.model.ids import TEMPLATE_PREFIX, MessageId, TemplateId, parse_id
from sendryd.policy.permissions import NotForLiveMail
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime import offload
from sendryd.runtime.rand import Rand
from sendryd.store.errors import NotFound


class Composer:
    """Makes messages, and hands them to the door up to the commit."""

    def __init__(self, intake: Intake, templates: TemplateRenderer, rand: Rand, *, max_size: int) -> None:
        self._intake = intake
        self._templates = templates
        self._rand = rand
        self._max_size = max_size

    async def prepare(
        self, actor: Actor, request: Request, outgoing: Outgoing, *, message_id: MessageId | None = None
    ) -> Prepared | Refusal:
        """The message of a request, ready to be committed. `message_id` is the id of a scheduled message that this one replaces. Raises `Refused`."""
        outgoing = await self._render(actor, outgoing)
        if not outgoing.subject:
            raise invalid("subject", "subject: it is required")
        if outgoing.html is None and outgoing.text is None:
            raise invalid("html", "html: give html or text, or both")
        attachments = await _read_attachments(outgoing.attachments)
        what = Composition(
            author=outgoing.sender,
            to=tuple(outgoing.to),
            cc=tuple(outgoing.cc),
            reply_to=tuple(outgoing.reply_to),
            subject=outgoing.subject,
            html=outgoing.html,
            text=outgoing.text,
            headers=tuple(outgoing.headers.items()),
            attachments=attachments,
        )
        try:
            content = await _compose(what, self._rand.secret(BOUNDARY_LENGTH))
        except MalformedMessage as error:
            raise Refused(Refusal(RefusalKey.VALIDATION_ERROR, error.reason), details={"field": error.field}) from None
        if len(content) > self._max_size:
            raise Refused(Refusal(RefusalKey.MESSAGE_TOO_BIG), details={"limit": self._max_size})
        submission = Submission(
            actor=actor,
            reverse_path=outgoing.sender.address,
            recipients=_recipients((*outgoing.to, *outgoing.cc, *outgoing.bcc)),
            content=content,
            is_8bit=not content.isascii(),
            origin=_origin(request),
            options=outgoing.options,
        )
        return await self._intake.prepare(submission, message_id=message_id)

    async def _render(self, actor: Actor, outgoing: Outgoing) -> Outgoing:
        """With a template's subject and bodies in place of its own."""
        if outgoing.template_id is None:
            return outgoing
        number = parse_id(outgoing.template_id, TEMPLATE_PREFIX)
        if number is None:
            raise invalid("template_id", "template_id: there is no such template")
        is_large = sum(len(each.content) for each in outgoing.attachments) > offload.LARGE
        try:
            rendered = await self._templates.render(actor, TemplateId(number), outgoing.variables, is_large=is_large)
        except NotForLiveMail as error:
            raise invalid("template_id", f"template_id: {error}") from None
        except NotFound:
            raise invalid("template_id", "template_id: there is no such template") from None
        except TemplateError as error:
            raise invalid("variables", f"variables: {error}") from None
        options = replace(outgoing.options, template_id=TemplateId(number))
        made = replace(
            outgoing,
            subject=outgoing.subject or rendered.subject,
            html=rendered.html,
            text=rendered.text,
            options=options,
            template_id=None,
        )
        source = options.source_request
        if source is not None:  # a change later is one of this mail, whatever becomes of the template
            source = await offload.compute(len(source), _with_bodies, source, made)
        return replace(made, options=replace(options, source_request=source))


def _with_bodies(source: bytes, made: Outgoing) -> bytes:
    """The JSON of a request with the subject and the bodies of the message that a template made of it."""
    request = {name: value for name, value in json.loads(source).items() if name not in {"template_id", "variables"}}
    return encode({**request, "subject": made.subject, "html": made.html, "text": made.text})


def _recipients(mailboxes: Sequence[Mailbox]) -> tuple[Recipient, ...]:
    """The envelope: each address once."""
    found = {mailbox.address: Recipient(mailbox.address, mailbox.domain, is_ascii=mailbox.is_ascii) for mailbox in mailboxes}
    return tuple(found.values())


def _origin(request: Request) -> Origin:
    client = request.client
    return Origin(hello="api", address=client.host if client else "unknown", tls=None, is_smtputf8=False, is_http=True)


async def _read_attachments(bodies: Sequence[AttachmentBody]) -> tuple[Attachment, ...]:
    return await offload.compute(sum(len(body.content) for body in bodies), _decode_attachments, bodies)


def _decode_attachments(bodies: Sequence[AttachmentBody]) -> tuple[Attachment, ...]:
    found = []
    for index, body in enumerate(bodies):
        try:
            found.append(body.read())
        except ValueError as error:
            field = f"attachments.{index}.content"
            raise invalid(field, f"{field}: {error}") from None
    return tuple(found)


async def _compose(what: Composition, boundary: str) -> bytes:
    size = len(what.html or "") + len(what.text or "") + sum(len(each.content) for each in what.attachments)
    return await offload.compute(size, compose, what, boundary=boundary)
