"""Replies of a session of port 25. Pure. Each is generic: the log has the reason."""

from typing import Final

from sendryd.smtp.reply import Reply, make_reply

READY_FOR_TLS: Final = make_reply(220, "2.0.0", "Ready to start TLS")
SENDER_OK: Final = make_reply(250, "2.1.0", "Sender ok")
RECIPIENT_OK: Final = make_reply(250, "2.1.5", "Recipient ok")
START_INPUT: Final = Reply(354, "Start mail input; end with <CRLF>.<CRLF>")
RECEIVED: Final = make_reply(250, "2.0.0", "Ok: received")
UNKNOWN_RECIPIENT: Final = make_reply(550, "5.1.1", "No such address here")
TOO_MANY_UNKNOWN: Final = make_reply(421, "4.7.0", "Too many unknown recipients; closing")
REPORTS_ONLY: Final = make_reply(550, "5.7.1", "This address takes reports about mail only; write to the sender of the mail")
UNREADABLE: Final = make_reply(554, "5.6.0", "The message cannot be read: make it shorter or simpler")
TOO_MANY_HOPS: Final = make_reply(554, "5.4.6", "Too many Received fields: the message goes round in a loop")
TOO_MANY_MESSAGES: Final = make_reply(451, "4.7.1", "Too many messages from your network; try again later")
TOO_MANY_CONNECTIONS: Final = make_reply(421, "4.7.0", "Too many connections from your network; try again later")
BUSY: Final = make_reply(452, "4.3.1", "Too much mail is being received at once; try again later")
TRY_LATER: Final = make_reply(451, "4.3.0", "The message cannot be taken now; try again later")
SHUTTING_DOWN: Final = make_reply(421, "4.3.2", "The service is shutting down; connect again")
TIMED_OUT: Final = make_reply(421, "4.4.2", "Timed out waiting for the client")
FAILED: Final = make_reply(421, "4.3.0", "Internal error; try again later")


def greeting(hostname: str) -> Reply:
    """The first line of a session (RFC 5321 §4.3.1)."""
    return Reply(220, f"{hostname} ESMTP sendryd")
