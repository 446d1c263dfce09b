"""The steps that a side waits for, and the client's minimum time-outs (RFC 5321 §4.5.3.2)."""

from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """A step of a session, at either side."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DATA_BLOCK = "data_block"
    FINAL_DOT = "final_dot"
    RSET = "rset"
    QUIT = "quit"
    COMMAND = "command"  # a server waits for the next one
    HANDSHAKE = "handshake"


# Seconds that a client waits. Those of RFC 5321 are its minima.
CLIENT_TIMEOUTS: Final[dict[Step, float]] = {
    Step.CONNECT: 20.0,  # for each address; the RFC has none, and there are other addresses to try
    Step.GREETING: 300.0,  # RFC 5321 §4.5.3.2.1; delivery.patience ends it earlier
    Step.EHLO: 300.0,
    Step.STARTTLS: 60.0,
    Step.HANDSHAKE: 60.0,
    Step.AUTH: 60.0,
    Step.MAIL: 300.0,  # RFC 5321 §4.5.3.2.2
    Step.RCPT: 300.0,  # RFC 5321 §4.5.3.2.3
    Step.DATA: 120.0,  # RFC 5321 §4.5.3.2.4
    Step.DATA_BLOCK: 180.0,  # RFC 5321 §4.5.3.2.5
    Step.FINAL_DOT: 600.0,  # RFC 5321 §4.5.3.2.6: giving up earlier makes duplicates (RFC 1047)
    Step.RSET: 60.0,
    Step.QUIT: 5.0,  # nothing depends on its answer
}
