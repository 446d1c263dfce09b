"""Replies of the server machine itself, encoded once (RFC 5321 §4.2.3, RFC 3463)."""

from typing import Final

from sendryd.smtp.datastream import Flaw
from sendryd.smtp.reply import Reply, make_reply

OK: Final = make_reply(250, "2.0.0", "Ok")
BYE: Final = make_reply(221, "2.0.0", "Bye")
CANNOT_VERIFY: Final = make_reply(252, "2.5.0", "Send some mail, I will try my best")
NOT_IMPLEMENTED: Final = make_reply(502, "5.5.1", "Command not implemented")
UNKNOWN_COMMAND: Final = make_reply(500, "5.5.2", "Command not recognized")
BAD_LINE_END: Final = make_reply(500, "5.5.2", "End each command with CR LF")
WRONG_PROTOCOL: Final = make_reply(500, "5.5.1", "This is an SMTP server; for encryption use STARTTLS")
LINE_TOO_LONG: Final = make_reply(500, "5.5.2", "Line too long")
AUTH_TOO_LONG: Final = make_reply(500, "5.5.6", "Authentication exchange line too long")
BAD_SEQUENCE: Final = make_reply(503, "5.5.1", "Bad sequence of commands")
HELLO_FIRST: Final = make_reply(503, "5.5.1", "Send EHLO first")
NO_RECIPIENTS: Final = make_reply(554, "5.5.1", "No valid recipients")
NO_RECIPIENTS_YET: Final = Reply(354, "No valid recipients; the message will be refused")
NO_ARGUMENTS: Final = make_reply(501, "5.5.4", "This command takes no arguments")
TLS_REQUIRED: Final = make_reply(530, "5.7.0", "Must issue a STARTTLS command first")
AUTH_REQUIRED: Final = make_reply(530, "5.7.0", "Authentication required: log in with an API key as the password")
ALREADY_ENCRYPTED: Final = make_reply(503, "5.5.1", "TLS is already in use")
ALREADY_AUTHENTICATED: Final = make_reply(503, "5.5.1", "Already authenticated")
UNKNOWN_MECHANISM: Final = make_reply(504, "5.5.4", "Unrecognized authentication type; use PLAIN or LOGIN")
UNDECODABLE: Final = make_reply(501, "5.5.2", "Cannot decode the response")
AUTH_CANCELLED: Final = make_reply(501, "5.7.0", "Authentication cancelled")
INJECTED: Final = make_reply(501, "5.5.1", "Nothing may follow STARTTLS before the handshake")
TOO_BIG: Final = make_reply(552, "5.3.4", "The message is larger than this server takes")
NO_REQUIRETLS: Final = make_reply(555, "5.5.4", "The parameter REQUIRETLS is not supported")
FAR_TOO_BIG: Final = make_reply(421, "4.3.4", "The message is far larger than this server takes; closing")
TOO_MANY_RECIPIENTS: Final = make_reply(452, "4.5.3", "Too many recipients: send to the others in another message")
TOO_MANY_FAULTS: Final = make_reply(421, "4.7.0", "Too many errors; closing")
TOO_MANY_IDLE_COMMANDS: Final = make_reply(421, "4.7.0", "Too many commands without mail; closing")
BAD_BDAT: Final = make_reply(501, "5.5.4", "Syntax: BDAT size [LAST]; closing")

FLAWED: Final[dict[Flaw, Reply]] = {
    Flaw.BARE_CR: make_reply(554, "5.6.0", "Message refused: it has a bare CR; end each line with CR LF"),
    Flaw.NUL: make_reply(554, "5.6.0", "Message refused: it has a NUL character; encode binary content"),
    Flaw.FALSE_END: make_reply(550, "5.6.0", "Message refused: it has a lone dot beside a bare CR or LF"),
    Flaw.TOO_BIG: TOO_BIG,
}
