"""The one error of the transport: at which step a connection or a transaction broke, and how."""

from collections.abc import Mapping
from types import MappingProxyType

from sendryd.policy.replies.classify import classify
from sendryd.policy.replies.verdict import NetworkFailure, Relay, Verdict
from sendryd.policy.tls import TlsTrouble
from sendryd.runtime.faults import NetworkFault, ReadTimedOut, TLSClosed, TLSFailed, TLSTimedOut, WriteTimedOut
from sendryd.smtp.errors import RemoteProtocolError
from sendryd.smtp.reply import Reply
from sendryd.smtp.timeouts import Step


class DeliveryFault(Exception):
    """A connection or a transaction broke. The connection cannot be used any more."""

    def __init__(
        self,
        step: Step,
        failure: NetworkFailure | Reply,
        *,
        detail: str = "",
        trouble: TlsTrouble | None = None,
        replies: Mapping[str, Reply] = MappingProxyType({}),
        may_retry: bool = False,
    ) -> None:
        super().__init__(f"{step.value}: {detail or failure}")
        self.step = step
        self.failure = failure
        self.detail = detail  # for the log
        self.trouble = trouble  # TLS failed: the same host may work with less of it
        self.replies = replies  # recipients refused at RCPT before it happened
        self.may_retry = may_retry  # an idle connection had died: a fresh one may do, nothing had been answered yet

    @property
    def is_in_doubt(self) -> bool:
        """The whole message was sent and no answer came: the server may have it."""
        return self.step is Step.FINAL_DOT and isinstance(self.failure, NetworkFailure)

    @property
    def is_of_tls(self) -> bool:
        """TLS did not come about, or did not prove who the server is."""
        return self.failure is NetworkFailure.TLS_FAILURE or self.step is Step.STARTTLS

    @property
    def explanation(self) -> str:
        """What happened, for people."""
        return self.detail or str(self.failure)

    def verdict(self, relay: Relay) -> Verdict:
        """The verdict on a recipient of the transaction that broke."""
        return classify(self.failure, step=self.step, relay=relay)

    def verdict_on_unsent(self, relay: Relay) -> Verdict:
        """The verdict on a recipient whose transaction was still to come: it cannot have the message."""
        return classify(self.failure, step=Step.MAIL if self.is_in_doubt else self.step, relay=relay)


def tls_fault(detail: str, trouble: TlsTrouble | None, *, step: Step = Step.STARTTLS) -> DeliveryFault:
    """TLS that failed, or is not there where it is required."""
    return DeliveryFault(step, NetworkFailure.TLS_FAILURE, detail=detail, trouble=trouble)


def fault_of(error: BaseException, step: Step, *, is_in_tls: bool) -> DeliveryFault | None:
    """The fault that an exception of the layers below is; None if it is none of theirs. `step` is what was awaited."""
    has_died_inside = step is Step.EHLO and is_in_tls
    trouble = TlsTrouble.SESSION if has_died_inside else TlsTrouble.REFUSED if step is Step.STARTTLS else None
    match error:
        case DeliveryFault():
            if error.step is Step.EHLO and is_in_tls:
                error.trouble = TlsTrouble.SESSION
            return error
        case TLSClosed():
            return tls_fault(str(error), TlsTrouble.CLOSED)
        case TLSTimedOut():
            return tls_fault(str(error), TlsTrouble.SILENT)
        case TLSFailed():
            return tls_fault(str(error), TlsTrouble.FAILED)
        case RemoteProtocolError():
            failure = NetworkFailure.PROTOCOL_ERROR
        case ReadTimedOut() | WriteTimedOut():
            failure = NetworkFailure.TIMEOUT
        case NetworkFault():
            failure = NetworkFailure.CLOSED
        case _:
            return None
    return DeliveryFault(step, failure, detail=str(error), trouble=trouble)
