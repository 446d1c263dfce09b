"""Step 3 of the door: applies control headers, template and tracking, and skips suppressed and unsubscribed recipients.

A message without any of these passes unchanged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from sendryd.intake.directory import Directory
from sendryd.intake.prepare import ParsedMessage, parse_message
from sendryd.intake.rebuild import replace_bodies
from sendryd.intake.redirect import recipients_of, redirect
from sendryd.intake.submission import Admitted, Options, Recipient, Submission
from sendryd.message.control import NO_ORDERS, Orders
from sendryd.message.personalise import NO_HTML, why_untracked
from sendryd.message.template import Rendered, TemplateError
from sendryd.message.transfer import is_too_long, shorten_lines
from sendryd.model.actor import Actor
from sendryd.model.apikey import KeyMode
from sendryd.model.domain import SendingDomain
from sendryd.model.ids import TEMPLATE_PREFIX, TemplateId, format_id, parse_id
from sendryd.model.message import MessageClass, MessageType
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.address_key import normalise_address
from sendryd.policy.permissions import NotForLiveMail
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.policy.send_time import ScheduleError, parse_scheduled_at
from sendryd.policy.wayout import WayKind
from sendryd.runtime import offload
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import FenceUnavailable
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.base import AcceptStore
from sendryd.store.errors import NotFound
from sendryd.valuetype import valuetype

BOUNDARY_LENGTH: Final = 24  # letters and digits: 142 bits, which no content contains by chance
_TEMPLATE: Final = "X-Sendry-Template-Id"
_NO_TEMPLATE: Final = Refusal(RefusalKey.CONTROL_HEADER, f"{_TEMPLATE} (there is no such template)")

log = get_logger("intake")


@valuetype(frozen=True, slots=True)
class Obeyed:
    """A message with its options applied."""

    submission: Submission  # with final options
    parsed: ParsedMessage
    domain: SendingDomain | None
    skipped: Mapping[str, SuppressionReason | None]  # forward-paths to skip; None: suppressed
    not_tracked: str | None  # why the message is not tracked although tracking was asked for
    mode: KeyMode  # TEST: it is captured
    added: bytes = b""  # header fields to add
    redirected_from: tuple[str, ...] = ()  # the recipients that it would have gone to
    copies: tuple[Recipient, ...] = ()  # archives that get a copy


class TemplateRenderer(Protocol):
    """Stored templates: the interface for the door."""

    async def render(self, actor: Actor, template_id: TemplateId, variables: Mapping[str, object], *, is_large: bool = False) -> Rendered:
        """A template with its variables in place, for mail of the actor. Raises `NotFound`, `TemplateError`, `NotForLiveMail`."""
        ...


class Obeyer:
    """Applies the options of messages; reads templates and suppressed addresses."""

    def __init__(
        self, store: AcceptStore, directory: Directory, templates: TemplateRenderer | None, *, hostname: str, clock: Clock, rand: Rand
    ) -> None:
        self._store = store
        self._directory = directory
        self._templates = templates
        self._hostname = hostname
        self._clock = clock
        self._rand = rand

    async def obey(self, admitted: Admitted) -> Obeyed | Refusal:
        """The message with its options applied, or the refusal. Raises `MalformedMessage`, `StoreError`."""
        submission, parsed, domain = admitted.submission, admitted.parsed, admitted.domain
        if parsed.orders is not NO_ORDERS:
            ordered = await self._carry_out(submission, parsed)
            if isinstance(ordered, Refusal):
                return ordered
            submission, parsed = ordered
        if submission.has_long_lines:
            shortened = await offload.compute(len(submission.content), shorten_lines, submission.content)
            submission = replace(submission, content=shortened, is_8bit=not shortened.isascii())
            parsed = replace(parsed, headers=parsed.headers.parse(shortened))
        submission = await self._with_tracking(submission, parsed, domain)
        added, redirected_from = b"", tuple[str, ...]()
        if admitted.way.kind is WayKind.REDIRECT:
            redirected_from = tuple([each.forward_path for each in submission.recipients])
            submission, added = redirect(submission, parsed, admitted.way)
        copies: tuple[Recipient, ...] = ()
        if admitted.way.kind is WayKind.COPY:
            named = {each.forward_path for each in submission.recipients}
            copies = tuple([each for each in recipients_of(admitted.way) if each.forward_path not in named])
        options = submission.options
        skipped = await self._find_skipped(submission, copies)
        not_tracked = await _find_untracked(submission, parsed) if options.track_opens or options.track_clicks else None
        return Obeyed(submission, parsed, domain, skipped, not_tracked, admitted.mode, added, redirected_from, copies)

    # Control headers.

    async def _carry_out(self, submission: Submission, parsed: ParsedMessage) -> tuple[Submission, ParsedMessage] | Refusal:
        options = self._options(submission.options, parsed.orders)
        if isinstance(options, Refusal):
            return options
        submission = replace(submission, options=options)
        return await self._from_template(submission, parsed) if parsed.orders.template_id is not None else (submission, parsed)

    def _options(self, given: Options, orders: Orders) -> Options | Refusal:
        scheduled_at = given.scheduled_at
        if orders.scheduled_at is not None:
            try:
                scheduled_at = parse_scheduled_at(orders.scheduled_at, self._clock.now())
            except ScheduleError as error:
                return Refusal(RefusalKey.CONTROL_HEADER, f"X-Sendry-Scheduled-At ({error})")
        options = replace(
            given,
            tags=given.tags + orders.tags,
            scheduled_at=scheduled_at,
            track_opens=orders.track_opens,
            track_clicks=orders.track_clicks,
            priority=MessageClass(orders.priority) if orders.priority is not None else given.priority,
        )
        if orders.unsubscribe_url is None:
            return options
        return replace(options, type=MessageType.MARKETING, unsubscribe_url=orders.unsubscribe_url)

    async def _from_template(self, submission: Submission, parsed: ParsedMessage) -> tuple[Submission, ParsedMessage] | Refusal:
        """The message with a stored template's subject and bodies in place of its own."""
        rendered = await self._render(submission, parsed.orders)
        if isinstance(rendered, Refusal):
            return rendered
        template_id, parts = rendered
        boundary = self._rand.secret(BOUNDARY_LENGTH)
        content = await offload.in_thread(replace_bodies, submission.content, parsed.headers, parts, boundary)
        again = await offload.in_thread(parse_message, content, None, hostname=self._hostname)
        if isinstance(again, Refusal):
            return again
        options = replace(submission.options, template_id=template_id)
        made = replace(submission, content=content, is_8bit=not content.isascii(), has_long_lines=is_too_long(content), options=options)
        return made, replace(again, orders=parsed.orders)

    async def _render(self, submission: Submission, orders: Orders) -> tuple[TemplateId, Rendered] | Refusal:
        number = parse_id(orders.template_id or "", TEMPLATE_PREFIX)
        if number is None or self._templates is None:
            return _NO_TEMPLATE
        template_id = TemplateId(number)
        is_large = len(submission.content) > offload.LARGE
        try:
            return template_id, await self._templates.render(submission.actor, template_id, orders.variables, is_large=is_large)
        except NotForLiveMail as error:
            return Refusal(RefusalKey.CONTROL_HEADER, f"{_TEMPLATE} ({error})")
        except NotFound:
            return _NO_TEMPLATE
        except TemplateError as error:
            return Refusal(RefusalKey.CONTROL_HEADER, f"X-Sendry-Variables ({error})")
        except FenceUnavailable as error:
            log.warning("template_not_rendered", template_id=format_id(TEMPLATE_PREFIX, template_id), reason=str(error))
            return Refusal(RefusalKey.TEMPORARILY_UNAVAILABLE)

    # Tracking, and skipped recipients.

    async def _with_tracking(self, submission: Submission, parsed: ParsedMessage, domain: SendingDomain | None) -> Submission:
        """The options with tracking decided: by the message's request, else by the domain's settings."""
        options = submission.options
        if options.track_opens is not None and options.track_clicks is not None:
            return submission
        if domain is None:
            covering = await self._directory.covering_domains(submission.actor.account_id, parsed.author.domain)
            if not covering:
                return submission
            domain = covering[0]
        does_track_opens = options.track_opens is None and domain.settings.track_opens
        # Links of SMTP mail are rewritten only if a control header asks for it: the contract.
        does_track_clicks = options.track_clicks is None and options.is_rest and domain.settings.track_clicks
        if not does_track_opens and not does_track_clicks:
            return submission
        tracked = replace(
            options,
            track_opens=does_track_opens or options.track_opens,
            track_clicks=does_track_clicks or options.track_clicks,
        )
        return replace(submission, options=tracked)

    async def _find_skipped(self, submission: Submission, copies: Sequence[Recipient]) -> Mapping[str, SuppressionReason | None]:
        """The recipients to skip, and why: suppressed, or, for marketing, unsubscribed."""
        account_id, options = submission.actor.account_id, submission.options
        recipients = (*submission.recipients, *copies) if copies else submission.recipients
        emails = [normalise_address(recipient.forward_path) for recipient in recipients]
        suppressed = await self._store.find_suppressed(account_id, emails)
        unsubscribed: frozenset[str] = frozenset()
        if options.type is MessageType.MARKETING:
            unsubscribed = await self._store.find_unsubscribed(account_id, options.list_id, emails) - suppressed
        if not suppressed and not unsubscribed:
            return {}
        return {
            recipient.forward_path: None if email in suppressed else SuppressionReason.UNSUBSCRIBE
            for recipient, email in zip(recipients, emails, strict=True)
            if email in suppressed or email in unsubscribed
        }


async def _find_untracked(submission: Submission, parsed: ParsedMessage) -> str | None:
    """Why the message cannot be tracked, or None. Messages composed by REST always can."""
    if submission.options.is_rest:
        return None
    reason = await offload.compute(len(submission.content), why_untracked, submission.content)
    is_ordered = parsed.orders.track_opens or parsed.orders.track_clicks
    return None if reason == NO_HTML and not is_ordered else reason
