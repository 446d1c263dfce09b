"""Step 3 of a session: TLS, as much of it as the target's requirement says. What follows when it fails is `delivery.tls_fallback`.

When things fail: a requirement that cannot be met ends the session before anything of the mail or a password is said, and so does one that
cannot be checked here.
Standards: RFC 3207, RFC 7435, RFC 7672, RFC 8314.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from sendryd.delivery.dialogue import Dialogue
from sendryd.delivery.faults import DeliveryFault, tls_fault
from sendryd.delivery.target import Target
from sendryd.policy.tls import TlsMode, TlsTrouble
from sendryd.runtime.dane import mismatch
from sendryd.runtime.faults import TLSFailed
from sendryd.smtp import client_commands
from sendryd.smtp.errors import RemoteProtocolError
from sendryd.smtp.events import NEED_DATA
from sendryd.smtp.reply import SERVICE_CLOSING
from sendryd.smtp.timeouts import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsContexts:
    """Made once by `runtime.tls`, because making one is slow."""

    verified: Callable[[], ssl.SSLContext]  # PKIX; the slowest: it is made when the first server is to be verified
    unverified: ssl.SSLContext
    weak: ssl.SSLContext  # unverified, and with parameters that count as broken


async def start_tls(dialogue: Dialogue, target: Target, contexts: TlsContexts) -> bool:
    """STARTTLS and the handshake. False: the session goes on in clear text, which the requirement allows."""
    must_encrypt = target.tls.mode is TlsMode.REQUIRED
    if not dialogue.machine.extensions.starttls:
        if must_encrypt:
            raise tls_fault("the server does not offer STARTTLS", TlsTrouble.REFUSED)
        return False
    reply = await dialogue.ask(client_commands.STARTTLS)
    if not reply.is_positive:
        if must_encrypt or reply.code == SERVICE_CLOSING:
            raise DeliveryFault(Step.STARTTLS, reply, trouble=TlsTrouble.REFUSED)
        return False  # RFC 3207 §4.1: the dialogue goes on in clear text
    try:
        is_silent = dialogue.machine.next_event() is NEED_DATA
    except RemoteProtocolError as error:  # never read as replies from inside the encryption
        raise tls_fault("clear text followed the go-ahead to STARTTLS", TlsTrouble.FAILED) from error
    if not is_silent:
        raise tls_fault("the server closed after the go-ahead to STARTTLS", TlsTrouble.CLOSED)
    await shake_hands(dialogue, target, contexts)
    dialogue.machine.tls_established()
    return True


async def shake_hands(dialogue: Dialogue, target: Target, contexts: TlsContexts) -> None:
    """The handshake, and the check of the certificate."""
    requirement, host = target.tls, target.host.rstrip(".")
    if requirement.dane:
        context = contexts.unverified  # it is checked below
    elif not set(requirement.names) <= {target.host}:
        raise tls_fault("the certificate would have to be checked in a way that is not supported", None)
    else:
        context = contexts.verified() if requirement.is_authenticated else contexts.weak if requirement.allows_weak else contexts.unverified
    timeout = dialogue.time_left(Step.HANDSHAKE)
    try:
        await dialogue.stream.start_tls(context, server_side=False, server_hostname=host or None, timeout=timeout)
    except ValueError as error:  # a host name out of the DNS that is none
        raise TLSFailed(f"{host!r} cannot be named in a TLS handshake") from error
    if dialogue.stream.tls is not None and dialogue.notes is not None:
        dialogue.notes.note_tls(dialogue.stream.tls)
    if requirement.dane:
        chain = dialogue.stream.tls.certificates() if dialogue.stream.tls is not None else ()
        reason = mismatch(chain, requirement.dane, (name.rstrip(".") for name in requirement.names), dialogue.now())
        if reason:
            raise tls_fault(reason, TlsTrouble.FAILED)
