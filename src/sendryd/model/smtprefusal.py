"""Submissions that were refused at the SMTP door, for the people who look for them."""

from dataclasses import dataclass
from datetime import datetime

from sendryd.model.ids import AccountId, ApiKeyId, SmtpRefusalId


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpRefusal:
    """One refused command or message, with the reply to the client."""

    id: SmtpRefusalId
    account_id: AccountId | None  # with `api_key_id`: None if no key was logged in
    api_key_id: ApiKeyId | None
    address: str  # of the client
    helo: str  # the name that it gave
    is_encrypted: bool
    step: str  # the command that was refused, in upper case, or `content`
    cause: str  # a word of `policy.refusal.RefusalKey`; empty: a reply of the protocol
    reply: str  # as the client got it, in one line
    sender: str  # the reverse-path; empty if none was given
    recipients: tuple[str, ...]  # forward-paths, the first ones if they are many
    created_at: datetime
    more: int = 0  # refusals of the same address after this one that were counted alone
