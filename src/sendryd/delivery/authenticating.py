"""Step 4 of a session: AUTH at a smart host. No other server gets a password.

Standards: RFC 4954.
"""

from typing import Final

from sendryd.delivery.dialogue import Dialogue
from sendryd.delivery.faults import DeliveryFault, tls_fault
from sendryd.delivery.target import Target
from sendryd.policy.replies.verdict import NetworkFailure
from sendryd.policy.tls import TlsMode
from sendryd.smtp import client_commands
from sendryd.smtp.errors import RemoteProtocolError
from sendryd.smtp.timeouts import Step

AUTH_CONTINUES: Final = 334


async def log_in(dialogue: Dialogue, target: Target) -> None:
    """Logs in if the target has credentials. The password goes over a connection that was asked to be secure, or is openly asked not to be."""
    if target.credentials is None:
        return
    user, password = target.credentials
    mode = target.tls.mode
    if mode is TlsMode.OPPORTUNISTIC or not (dialogue.machine.is_encrypted or mode is TlsMode.NEVER):
        raise tls_fault("a password is not sent unless TLS is required", None, step=Step.AUTH)
    mechanisms = dialogue.machine.extensions.auth
    if "PLAIN" in mechanisms:
        reply = await dialogue.ask(client_commands.auth_plain(user, password))
    elif "LOGIN" in mechanisms:
        reply = await dialogue.ask(client_commands.AUTH_LOGIN)
        for answer in (user, password):
            if reply.code == AUTH_CONTINUES:
                reply = await dialogue.ask(client_commands.auth_answer(answer))
    else:
        detail = "the server offers neither AUTH PLAIN nor AUTH LOGIN"
        raise DeliveryFault(Step.AUTH, NetworkFailure.PROTOCOL_ERROR, detail=detail)
    if reply.is_more:
        raise RemoteProtocolError("the server asks for more than AUTH has to say")
    if not reply.is_positive:
        raise DeliveryFault(Step.AUTH, reply)
