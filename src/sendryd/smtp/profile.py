"""Profiles of ports, with the extensions and requirements of each: submission (RFC 6409), and reception of mail from other servers (RFC 5321)."""

from dataclasses import dataclass
from typing import Final

from sendryd.smtp.reply import Reply, make_reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of port."""

    has_auth: bool  # AUTH is offered inside TLS, and MAIL waits for it (RFC 6409 §4.3), so that all mail comes over TLS
    has_dsn: bool  # the parameters of RFC 3461 are honoured; a server that only stores mail does not need them
    help: Reply

    def takes_requiretls(self, *, is_encrypted: bool) -> bool:
        """Whether MAIL may ask for TLS all the way (RFC 8689 §2): inside TLS, and where mail is passed on."""
        return is_encrypted and self.has_auth

    def keywords(self, *, max_message_size: int, is_encrypted: bool) -> tuple[str, ...]:
        """The extensions of the EHLO reply: STARTTLS before it was used, REQUIRETLS and AUTH only after."""
        return (
            f"SIZE {max_message_size}",
            "8BITMIME",
            "SMTPUTF8",
            "PIPELINING",
            "ENHANCEDSTATUSCODES",
            *(("DSN",) if self.has_dsn else ()),
            "CHUNKING",
            *(() if is_encrypted else ("STARTTLS",)),
            *(("REQUIRETLS",) if self.takes_requiretls(is_encrypted=is_encrypted) else ()),
            *(("AUTH PLAIN LOGIN",) if is_encrypted and self.has_auth else ()),
        )


SUBMISSION: Final = Profile(
    has_auth=True, has_dsn=True, help=make_reply(214, "2.0.0", "See RFC 5321; log in with an API key as the password")
)
RECEPTION: Final = Profile(
    has_auth=False, has_dsn=False, help=make_reply(214, "2.0.0", "See RFC 5321; mail for addresses of this server only")
)
