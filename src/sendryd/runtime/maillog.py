"""The mail log: one line for each acceptance, each refusal at a door, and each outcome of each recipient.

Lines are gathered and written once in each turn of the event loop: under load one write carries many. As JSON they are encoded by msgspec,
which takes a microsecond where the general log takes fifty; as text, for a person at a terminal, they go through the general log.
Fields and their names are those of the operator interface. No line has content, a subject or a secret.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec

from sendryd.message.authordomain import author_domain
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import API_KEY_PREFIX, MESSAGE_PREFIX, ApiKeyId, format_id
from sendryd.model.message import Message
from sendryd.policy.credentials import without_keys
from sendryd.policy.refusal import Refusal
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import LogOutput, get_logger
from sendryd.smtp.reply import Reply

MAX_REPLY: Final = 1000  # characters of a reply in a line: the length that the queue keeps

TEST_INBOX: Final = "test inbox"  # the `relay` of a test key's mail
# The event of a recipient's line without a server: suppressed at the door, or captured in the Test Inbox.
CAPTURED: Final[Mapping[DeliveryState, str]] = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.BOUNCED: "bounced",
    DeliveryState.EXPIRED: "expired",
    DeliveryState.SUPPRESSED: "suppressed",
}

# The fields of every outcome line, whatever the outcome, so that readers need not test for them.
_OUTCOME_FIELDS: Final[Mapping[str, object]] = dict.fromkeys(
    ("relay", "tls", "attempt", "delay", "delays", "code", "enhanced", "reply", "next_attempt_at")
)

_encoder = msgspec.json.Encoder()
_text = get_logger("mail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """Delays of a delivery in seconds, in the form of Postfix's `delays`."""

    queue: float  # from acceptance, or from the scheduled time, to the start of the attempt
    connect: float = 0.0  # until TCP was connected; 0 for a reused connection
    handshake: float = 0.0  # greeting, EHLO, TLS, AUTH
    transmission: float = 0.0  # from MAIL to the last reply

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.queue + self.connect + self.handshake + self.transmission


class MailLog:
    """Writes the lines. Without an output, as in commands, it is silent."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._output: LogOutput | None = None
        self._entries: list[dict[str, object]] = []  # of this turn
        self._common: dict[str, object] = {}  # fields of all of them

    def send_to(self, output: LogOutput) -> None:
        """Sets stream, format and level."""
        self.flush()
        self._output = output if output.level <= logging.INFO else None

    @property
    def is_on(self) -> bool:
        """Whether lines are written at this level."""
        return self._output is not None

    def accepted(self, message: Message, *, recipients: int, client: str, tls: str | None, door: str) -> None:
        """Logs an accepted message: it is stored; its 250 or 200 follows."""
        if self._output is None:
            return
        entry = {"event": "accepted", **_fields_of(message), "mode": str(message.mode), "recipients": recipients}
        self._write(entry | {"client": client, "tls": tls, "door": door})

    def refused(self, refusal: Refusal | Reply, *, door: str, client: str | None, **fields: object) -> None:
        """Logs a refusal of a client, sender, recipient or message; `fields` name it."""
        if self._output is None:
            return
        known: dict[str, object] = {"door": door, "client": client}
        if isinstance(refusal, Refusal):
            known["reason"] = refusal.key.value
        reply = refusal if isinstance(refusal, Reply) else refusal.smtp
        if door == "rest" and isinstance(refusal, Refusal):
            known |= {"code": refusal.http_status, "reply": refusal.sentence[:MAX_REPLY]}
        else:
            known |= reply_fields(reply)
        self._write({"event": "refused", **known, **fields})

    def outcome(self, event: str, message: Message, recipient: str, fields: Mapping[str, object]) -> None:
        """Logs the outcome of one recipient: `delivered`, `deferred`, `bounced`, `expired`, `suppressed` or `cancelled`."""
        if self._output is None:
            return
        self._write({"event": event, "recipient": recipient, **_fields_of(message), **_OUTCOME_FIELDS, **fields})

    def flush(self) -> None:
        """Writes the gathered lines."""
        entries, self._entries = self._entries, []
        if entries and self._output is not None and self._output.stream is not None:
            self._output.stream.write_lines(_to_json(entries))

    def _write(self, entry: dict[str, Any]) -> None:
        output = self._output
        if output is None:
            return
        if not output.is_json or output.stream is None:
            _text.info(entry.pop("event"), **entry)
            return
        if not self._entries:  # the first one of this turn of the loop
            asyncio.get_running_loop().call_soon(self.flush)
            timestamp = self._clock.now().isoformat().replace("+00:00", "Z")
            self._common = {"part": "mail", "level": "info", "timestamp": timestamp}
        entry |= self._common
        self._entries.append(entry)


def reply_fields(reply: Reply) -> dict[str, object]:
    """`code`, `enhanced` and `reply` of a line."""
    return {"code": reply.code, "enhanced": str(reply.enhanced) if reply.enhanced else None, "reply": str(reply)[:MAX_REPLY]}


def outcome_fields(metadata: Mapping[str, object]) -> dict[str, object]:
    """Fields of an outcome from the metadata of its event."""
    host, port = metadata.get("host"), metadata.get("port")
    return {
        "relay": (f"{host}[{metadata.get('address')}]" + (f":{port}" if port else "")) if host else None,
        "tls": metadata.get("tls"),
        "attempt": metadata.get("attempt"),
        "code": metadata.get("code"),
        "enhanced": metadata.get("enhanced_code"),
        "reply": metadata.get("reply") or metadata.get("last_reason") or metadata.get("reason"),
        "next_attempt_at": metadata.get("retry_at"),
    }


def _fields_of(message: Message) -> dict[str, object]:
    return {
        "id": format_id(MESSAGE_PREFIX, message.id),
        "key": _key_text(message.api_key_id),
        "domain": author_domain(message.author),
        "size": message.size,
    }


@lru_cache(1024)  # an installation has few keys
def _key_text(key_id: ApiKeyId | None) -> str | None:
    return None if key_id is None else format_id(API_KEY_PREFIX, key_id)


def _to_json(entries: list[dict[str, object]]) -> list[bytes]:
    """A line for each entry. All are encoded and searched for secrets in one call each, which costs far less than one for each line."""
    try:
        text = _encoder.encode_lines(entries).decode("utf-8")
    except UnicodeEncodeError:  # a peer's octets that are not UTF-8
        text = "".join(f"{json.dumps(entry)}\n" for entry in entries)
    return without_keys(text).encode("utf-8").splitlines()
