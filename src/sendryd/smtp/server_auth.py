"""STARTTLS and AUTH at the server (RFC 3207, RFC 4954)."""

from collections.abc import Callable

from sendryd.smtp import server_replies as replies
from sendryd.smtp.command import CommandRefused, parse_auth
from sendryd.smtp.events import CredentialsOffered, ServerEvent, StartTLSRequested
from sendryd.smtp.reply import ReplyClass
from sendryd.smtp.sasl import MECHANISMS, Credentials, Exchange, UndecodableResponse
from sendryd.smtp.server_session import ServerSession
from sendryd.smtp.states import Verb


class AuthCommands(ServerSession):
    """The commands of a session before its mail."""

    __slots__ = ()

    def _on_starttls(self, argument: bytes) -> ServerEvent | None:
        if argument:
            raise CommandRefused(replies.NO_ARGUMENTS)
        if self._dialogue.is_encrypted:
            raise CommandRefused(replies.ALREADY_ENCRYPTED)
        if not self._dialogue.is_in_order(Verb.STARTTLS):
            raise self._out_of_order()
        if not self._dialogue.is_extended:
            raise CommandRefused(replies.HELLO_FIRST)
        if self._input.left:  # commands slipped in before the handshake would else seem to come from inside it (CVE-2011-0411)
            self._hang_up(replies.INJECTED, "something followed STARTTLS before the handshake")
            return None
        self._dialogue.ask(Verb.STARTTLS)
        return StartTLSRequested()

    def _on_auth(self, argument: bytes) -> ServerEvent | None:
        if not self._profile.has_auth:
            raise CommandRefused(replies.NOT_IMPLEMENTED)
        if not self._dialogue.is_encrypted:
            raise CommandRefused(replies.TLS_REQUIRED)
        if self._dialogue.is_authenticated:
            raise CommandRefused(replies.ALREADY_AUTHENTICATED)
        if not self._dialogue.is_in_order(Verb.AUTH):
            raise self._out_of_order()
        if not self._dialogue.is_extended:  # RFC 4954 §3: an extension needs EHLO
            raise CommandRefused(replies.HELLO_FIRST)
        auth = parse_auth(argument)
        if auth.mechanism not in MECHANISMS:
            raise CommandRefused(replies.UNKNOWN_MECHANISM)
        self._exchange = exchange = Exchange(auth.mechanism)
        self._dialogue.move(Verb.AUTH, ReplyClass.MORE)
        return self._step_auth(exchange, lambda: exchange.start(auth.initial))

    def _read_auth_response(self, line: bytes) -> ServerEvent | None:
        exchange = self._exchange
        assert exchange is not None  # the state is AUTH
        if line == b"*":  # RFC 4954 §4
            self._end_exchange()
            raise CommandRefused(replies.AUTH_CANCELLED)
        return self._step_auth(exchange, lambda: exchange.step(line))

    def _step_auth(self, exchange: Exchange, step: Callable[[], bytes | Credentials]) -> ServerEvent | None:
        try:
            result = step()
        except UndecodableResponse:
            self._end_exchange()
            raise CommandRefused(replies.UNDECODABLE) from None
        if isinstance(result, Credentials):
            self._exchange = None
            self._dialogue.ask(Verb.AUTH)
            return CredentialsOffered(exchange.mechanism, result.username, result.password)
        self._output.append(result)
        return None

    def _end_exchange(self) -> None:
        self._exchange = None
        self._dialogue.move(Verb.AUTH, ReplyClass.PERMANENT)
