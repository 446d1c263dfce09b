"""One mail transaction as a client: the next commands for an envelope, and the outcome of their replies. Pure.

With PIPELINING the commands MAIL, RCPT … and DATA go out together (RFC 2920), so replies can contradict one another: RCPT accepted after MAIL
was refused, 354 without an accepted recipient. Every reply is waited for, so that the dialogue stays in step; a 354 that is of no use is
answered with a lone dot, and what comes back is ignored.

A message that the peer's EHLO says it will not take is refused here, before anything is said.
"""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from sendryd.smtp import client_commands
from sendryd.smtp.client_commands import Command
from sendryd.smtp.extensions import Extensions
from sendryd.smtp.reply import SERVICE_CLOSING, EnhancedStatusCode, Reply
from sendryd.smtp.states import Verb
from sendryd.smtp.timeouts import Step
from sendryd.valuetype import valuetype

TOO_BIG: Final = Reply(552, "The message is larger than the receiving server takes", EnhancedStatusCode(5, 3, 4))  # RFC 1870 §6.1
NO_SMTPUTF8: Final = Reply(
    553,
    "An address or header needs SMTPUTF8, which the receiving server does not offer",
    EnhancedStatusCode(5, 6, 7),
)  # RFC 6531 §3.5
NO_8BITMIME: Final = Reply(
    554, "The message has 8-bit content, which the receiving server does not take", EnhancedStatusCode(5, 6, 3)
)  # RFC 6152 §3

NO_REQUIRETLS: Final = Reply(
    554, "The message must be encrypted all the way, and the receiving server does not offer REQUIRETLS", EnhancedStatusCode(5, 7, 30)
)  # RFC 8689 §4.2.1

_VALUE: Final = re.compile(r"[!-<>-~]+")  # RFC 5321 §4.1.2: esmtp-value, in ASCII


@valuetype(frozen=True, slots=True, kw_only=True)
class OutboundEnvelope:
    """The envelope of a message to send. Addresses are in their wire form: quoted local parts quoted, domains as A-labels."""

    reverse_path: str  # empty: the null reverse-path
    forward_paths: tuple[str, ...]  # no duplicates
    size: int  # octets of the content as it will be sent, without the dots that are stuffed in
    needs_smtputf8: bool = False
    is_8bit: bool = False  # the content has octets above 127
    ret: str | None = None  # RFC 3461 §4.3: FULL or HDRS
    envid: str | None = None  # RFC 3461 §4.4, as given: xtext
    requires_tls: bool = False  # RFC 8689: the receiving server must pass the demand on
    notify: Mapping[str, str] = field(default_factory=dict)  # RFC 3461 §4.1 by forward-path: NEVER or a list such as FAILURE,DELAY
    orcpt: Mapping[str, str] = field(default_factory=dict)  # RFC 3461 §4.2 by forward-path, as given: type;xtext


def needs_7bit(*, is_8bit: bool, extensions: Extensions) -> bool:
    """Whether the content must be converted to 7-bit (and signed after that) before it can go to such a peer. RFC 6152 §3."""
    return is_8bit and not extensions.eightbitmime


@valuetype(frozen=True, slots=True, kw_only=True)
class TransactionResult:
    """The outcome of a transaction: for every forward-path the decisive reply and its step."""

    per_recipient: Mapping[str, Reply]
    steps: Mapping[str, Step]  # RCPT for a recipient refused there; MAIL, DATA or FINAL_DOT for a reply that concerns all
    failed_at: Step | None  # None: at least one recipient has the message
    was_sent: bool = True  # False: decided by the peer's EHLO reply alone, no command was sent


class Transaction:
    """One transaction. Send its `commands` and `receive` each reply; send the content if `wants_content`; until `is_done`."""

    __slots__ = (
        "_accepted",
        "_envelope",
        "_extensions",
        "_failed_at",
        "_is_mail_accepted",
        "_needs_smtputf8",
        "_replies",
        "_said",
        "_steps",
        "_unanswered",
        "_undecided",
        "is_done",
        "is_mail_answered",
        "is_text_due",
        "needs_reset",
        "was_sent",
    )

    def __init__(self, envelope: OutboundEnvelope, extensions: Extensions) -> None:
        self._envelope = envelope
        self._extensions = extensions
        self._replies: dict[str, Reply] = {}
        self._steps: dict[str, Step] = {}
        self._undecided = list(envelope.forward_paths)
        self._accepted: list[str] = []
        self._failed_at: Step | None = None
        self._is_mail_accepted = False
        self._needs_smtputf8 = needs_smtputf8(envelope)
        self._said = 0  # commands returned so far: MAIL is the first, DATA the last
        self._unanswered = 0
        self.is_done = False
        self.is_mail_answered = False
        self.is_text_due = False  # 354 came: send the content if `wants_content`, then the lone dot
        self.needs_reset = False  # the peer may still hold an open transaction
        self.was_sent = True
        if not envelope.forward_paths:
            raise ValueError("a transaction needs a recipient")
        problem = self._find_problem()
        if problem is not None:
            self.was_sent = False
            self._decide_all(problem, Step.MAIL)
            self.is_done = True

    @property
    def wants_content(self) -> bool:
        """Whether at least one recipient was accepted. If not, only the lone dot is sent."""
        return bool(self._accepted)

    @property
    def is_decided(self) -> bool:
        """Whether no further reply can change the result."""
        return not self._undecided

    def commands(self) -> list[Command]:
        """The commands to send now; empty while replies are awaited."""
        if self.is_done or self.is_text_due or self._unanswered:
            return []
        paths = self._envelope.forward_paths
        if self._extensions.pipelining:
            said = [self._mail(), *[self._rcpt(path) for path in paths], client_commands.DATA] if not self._said else []
        elif not self._said:
            said = [self._mail()]
        elif self._said <= len(paths):
            said = [self._rcpt(paths[self._said - 1])]
        else:
            said = [client_commands.DATA]
        self._said += len(said)
        self._unanswered = len(said)
        return said

    def receive(self, command: Command, reply: Reply) -> None:
        """Takes the reply to a command, or to the end of the text."""
        self._unanswered -= 1
        self.is_mail_answered = True
        if reply.code == SERVICE_CLOSING:  # RFC 5321 §3.8: whatever it answers, the session is over
            self._decide_all(reply, _STEP_OF[command.verb])
            self.is_done = True
            return
        match command.verb:
            case Verb.MAIL:
                self._on_mail(reply)
            case Verb.RCPT:
                self._on_rcpt(command.recipient, reply)
            case Verb.DATA:
                self._on_data(reply)
            case Verb.CONTENT:
                self._on_text(reply)
            case _:
                raise ValueError(f"{command.verb} is no part of a transaction")

    def result(self) -> TransactionResult:
        """The outcome. Complete once `is_decided`; before that it has the recipients decided so far."""
        failed_at = self._failed_at
        return TransactionResult(per_recipient=self._replies, steps=self._steps, failed_at=failed_at, was_sent=self.was_sent)

    def _on_mail(self, reply: Reply) -> None:
        if reply.is_positive:
            self._is_mail_accepted = self.needs_reset = True
            return
        self._decide_all(reply, Step.MAIL)
        self._finish_if_answered()

    def _on_rcpt(self, path: str, reply: Reply) -> None:
        if not self._is_mail_accepted:
            self._finish_if_answered()
            return
        if reply.is_positive:
            self._accepted.append(path)
        else:
            self._undecided.remove(path)
            self._replies[path] = reply
            self._steps[path] = Step.RCPT
        if not self._undecided and self._said > len(self._envelope.forward_paths):
            self._failed_at = Step.RCPT
            self._finish_if_answered()

    def _on_data(self, reply: Reply) -> None:
        if reply.is_more:
            self.is_text_due = True
            self._unanswered = 1
            return
        if self._undecided:
            self._decide_all(reply, Step.DATA)
        self.is_done = True

    def _on_text(self, reply: Reply) -> None:
        self.needs_reset = False
        self.is_done = True
        if self._undecided:
            self._decide_all(reply, Step.FINAL_DOT)

    def _finish_if_answered(self) -> None:
        """Ends a transaction without recipients once all pipelined commands have been answered."""
        if not self._unanswered:
            self.is_done = True

    def _decide_all(self, reply: Reply, step: Step) -> None:
        for path in self._undecided:
            self._replies[path] = reply
            self._steps[path] = step
        if self._undecided and not reply.is_positive:
            self._failed_at = step
        self._undecided = []
        if step is not Step.FINAL_DOT:
            self._accepted = []

    def _find_problem(self) -> Reply | None:
        extensions = self._extensions
        if extensions.size and self._envelope.size > extensions.size:  # RFC 1870 §4: 0 means no limit is known
            return TOO_BIG
        if self._needs_smtputf8 and not (extensions.smtputf8 and extensions.eightbitmime):  # RFC 6531 §3.1
            return NO_SMTPUTF8
        if self._envelope.requires_tls and not extensions.requiretls:
            return NO_REQUIRETLS
        if needs_7bit(is_8bit=self._envelope.is_8bit, extensions=extensions):
            return NO_8BITMIME
        return None

    def _mail(self) -> Command:
        envelope, extensions = self._envelope, self._extensions
        parameters = []
        if extensions.size is not None:
            parameters.append(f"SIZE={envelope.size}")  # RFC 1870 §6
        if envelope.is_8bit:
            parameters.append("BODY=8BITMIME")  # RFC 6152 §3
        if self._needs_smtputf8:
            parameters.append("SMTPUTF8")  # RFC 6531 §3.4
        if envelope.requires_tls:
            parameters.append("REQUIRETLS")  # RFC 8689 §2
        if extensions.dsn:  # RFC 3461 §4.3, §4.4
            parameters += _parameter("RET", envelope.ret) + _parameter("ENVID", envelope.envid)
        return client_commands.mail(envelope.reverse_path, parameters)

    def _rcpt(self, path: str) -> Command:
        if not self._extensions.dsn:
            return client_commands.rcpt(path)
        envelope = self._envelope  # RFC 3461 §4.1, §4.2
        parameters = _parameter("NOTIFY", envelope.notify.get(path)) + _parameter("ORCPT", envelope.orcpt.get(path))
        return client_commands.rcpt(path, parameters)


def needs_smtputf8(envelope: OutboundEnvelope) -> bool:
    """Whether the transaction needs SMTPUTF8: for the header, or for an address. RFC 6531 §3.2."""
    return envelope.needs_smtputf8 or not envelope.reverse_path.isascii() or not all(map(str.isascii, envelope.forward_paths))


def _parameter(name: str, value: str | None) -> list[str]:
    """The parameter if its value is valid: a value must not begin another parameter."""
    return [f"{name}={value}"] if value and _VALUE.fullmatch(value) else []


_STEP_OF: Final = {Verb.MAIL: Step.MAIL, Verb.RCPT: Step.RCPT, Verb.DATA: Step.DATA, Verb.CONTENT: Step.FINAL_DOT}
