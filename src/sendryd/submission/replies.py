"""Replies of a submission session itself. The refusals of `policy.refusal` render themselves. Pure."""

from typing import Final

from sendryd.smtp.reply import EnhancedStatusCode, Reply


def _reply(code: int, enhanced: str, text: str) -> Reply:
    return Reply(code, text, EnhancedStatusCode.parse(enhanced))


READY_FOR_TLS: Final = _reply(220, "2.0.0", "Ready to start TLS")
TLS_UNAVAILABLE: Final = _reply(454, "4.7.0", "TLS not available due to a temporary reason")
LOGIN_UNAVAILABLE: Final = _reply(454, "4.7.0", "Temporary authentication failure: try again later")  # RFC 4954 §6
AUTHENTICATED: Final = _reply(235, "2.7.0", "Authentication successful")
SENDER_OK: Final = _reply(250, "2.1.0", "Sender ok")
RECIPIENT_OK: Final = _reply(250, "2.1.5", "Recipient ok")
START_INPUT: Final = Reply(354, "Start mail input; end with <CRLF>.<CRLF>")
SHUTTING_DOWN: Final = _reply(421, "4.3.2", "The service is shutting down; connect again")
BLOCKED: Final = _reply(554, "5.7.1", "Connections from your address are blocked here: ask the operator of this server")
TIMED_OUT: Final = _reply(421, "4.4.2", "Timed out waiting for the client")
_STORED: Final = EnhancedStatusCode(2, 0, 0)
INTERNAL_ERROR: Final = _reply(451, "4.3.0", "Internal error; try again later")
TRY_LATER: Final = _reply(421, "4.3.0", "Internal error; try again later")
BUSY: Final = _reply(452, "4.3.1", "Too much mail is being received at once; try again later")


def greeting(hostname: str) -> Reply:
    """The first line of a session (RFC 5321 §4.3.1)."""
    return Reply(220, f"{hostname} ESMTP sendryd")


def queued(message_id: str) -> Reply:
    """The reply to an accepted message (RFC 5321 §4.2.5): sent only once the message is on disk."""
    return Reply(250, f"Ok: queued as {message_id}", _STORED)
