"""A mail transaction at the server: MAIL, RCPT, then the content by DATA or in chunks by BDAT (RFC 5321 §3.3, RFC 3030)."""

from sendryd.smtp import server_replies as replies
from sendryd.smtp.command import CommandRefused, parse_bdat, parse_mail, parse_rcpt
from sendryd.smtp.events import ContentRefused, DataRequested, Fault, MailFrom, ServerEvent
from sendryd.smtp.reply import ReplyClass
from sendryd.smtp.server_session import ServerSession
from sendryd.smtp.states import State, Verb


class TransactionCommands(ServerSession):
    """The commands of a transaction, and its content."""

    __slots__ = ()

    def _on_mail(self, line: bytes) -> ServerEvent:
        if self._is_stranger and self._dialogue.state is not State.START:
            raise CommandRefused(self._who_are_you)
        if not self._dialogue.is_in_order(Verb.MAIL):
            raise self._out_of_order()
        mail: MailFrom = parse_mail(line)
        if mail.requires_tls and not self._profile.takes_requiretls(is_encrypted=self._dialogue.is_encrypted):
            raise CommandRefused(replies.NO_REQUIRETLS)
        if mail.size is not None and mail.size > self._limits.max_message_size:  # RFC 1870 §6.1
            raise CommandRefused(replies.TOO_BIG, is_fault=False)
        self._is_smtputf8 = mail.is_smtputf8
        self._dialogue.ask(Verb.MAIL)
        return mail

    def _on_rcpt(self, line: bytes) -> ServerEvent:
        if not self._dialogue.is_in_order(Verb.RCPT):
            raise self._out_of_order()
        rcpt = parse_rcpt(line, is_smtputf8=self._is_smtputf8)
        self._recipient = rcpt.path.text
        if len(self._recipients) >= self._limits.max_recipients and self._recipient not in self._recipients:
            raise CommandRefused(replies.TOO_MANY_RECIPIENTS, is_fault=False)
        self._dialogue.ask(Verb.RCPT)
        return rcpt

    # Content.

    def _on_data(self, argument: bytes) -> ServerEvent | None:
        if argument.strip():
            raise CommandRefused(replies.NO_ARGUMENTS)
        if self._dialogue.state is State.MAIL:
            self._dialogue.detour()
            self._send(replies.NO_RECIPIENTS_YET)
            self._content.begin_data()
            self._content.refuse(replies.NO_RECIPIENTS)
            return None
        if not self._dialogue.is_in_order(Verb.DATA):
            if self._input.left:
                self._hang_up(self._out_of_order().reply, "content followed a refused DATA")
                return None
            raise self._out_of_order()
        self._dialogue.ask(Verb.DATA)
        return DataRequested()

    def _read_data(self) -> ServerEvent | None:
        content = self._content
        has_ended = content.read_data(self._input)
        if content.is_endless:
            self._hang_up(replies.FAR_TOO_BIG, "a content went on and on")
            return None
        return self._content_ended() if has_ended else None

    def _content_ended(self) -> ServerEvent:
        refusal = self._content.refusal
        if refusal is not None:
            self._send(refusal)
            self._dialogue.move(Verb.CONTENT, refusal.reply_class)
            self._end_transaction()
            return ContentRefused(refusal)
        self._dialogue.ask(Verb.CONTENT)
        return self._content.take()

    def _on_bdat(self, line: bytes) -> ServerEvent | None:
        if self._is_stranger:  # whose chunk is not waited for
            self._hang_up(self._who_are_you, "a chunk came before authentication")
            return None
        bdat = parse_bdat(line)
        if bdat is None:
            self._hang_up(replies.BAD_BDAT, "a BDAT command without a usable size")
            return None
        if self._dialogue.is_in_order(Verb.BDAT):
            self._dialogue.move(Verb.BDAT, ReplyClass.POSITIVE)
            is_bearable = self._content.begin_chunk(bdat.size, is_last=bdat.is_last)
        else:
            reply = replies.NO_RECIPIENTS if self._dialogue.state is State.MAIL else self._out_of_order().reply
            is_bearable = self._content.begin_stray_chunk(bdat.size, reply)
        if not is_bearable:
            self._hang_up(replies.TOO_BIG, "a chunk of far too many octets was announced")
            return None
        return None if bdat.size else self._chunk_ended()

    def _read_chunk(self) -> ServerEvent | None:
        return self._chunk_ended() if self._content.read_chunk(self._input) else None

    def _chunk_ended(self) -> ServerEvent | None:
        content = self._content
        if content.is_last_chunk and not content.is_stray_chunk:
            content.finish()
            return self._content_ended()
        refusal = content.chunk_refusal
        if refusal is None:
            self._send(replies.OK)
            return None
        self._send(refusal)
        self._events.append(Fault(refusal, "BDAT"))
        self._count_fault()
        return None
