"""What attempts send: each message's content, signed, in the form that its receivers take, read when a receiver is ready for it.

Does: reads, personalises, converts and signs. Attempts for one message share what is made of it.
Reads: the store, the signing key.
Writes: forms of large contents that differ from what is stored, to files without a name.
Strategy: a small content is in memory from the first receiver that is ready to the end of the attempt. A large one is in memory only while it
is made ready, and is then sent piece by piece from the spool, or from its file: a slow receiver holds no memory.
When things fail: `Unsendable` says that no form of it can be made for a receiver; `BudgetExhausted`, that there was no room in time.
Limits: the shares `sending`, `sending_files` and `signing` of the budget.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Final

from sendryd.delivery.sending import SLICE, OutboundContent, StreamedContent
from sendryd.delivery.signer import Signer, SigningKey
from sendryd.intake.personal import Personaliser
from sendryd.message.asciiheader import EightBitAddress, to_ascii_header
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.transfer import to_7bit
from sendryd.model.ids import MessageId
from sendryd.model.message import Message
from sendryd.runtime import offload
from sendryd.runtime.budget import BudgetExhausted, ContentBudget
from sendryd.runtime.scratch import ScratchFile
from sendryd.smtp.extensions import Extensions
from sendryd.store.base import Claim, DeliveryStore
from sendryd.valuetype import valuetype

STREAMED: Final = SLICE  # octets of a content: more is sent piece by piece. All attempts together may hold as much at once
ROOM_TIMEOUT: Final = 60.0  # seconds to wait for memory; a receiver waits for minutes (RFC 5321 §4.5.3.2.7)
COPIES: Final = 3  # of a large content while another form of it is made: as stored, as changed, and what the change holds meanwhile
NO_SMTPUTF8: Final = "An address of the message needs SMTPUTF8, which the receiving server does not offer"


class FormKind(IntEnum):
    """How a message is written for a receiver."""

    AS_IT_CAME = 0  # but for 8-bit header fields that are not UTF-8
    SEVEN_BIT = 1
    ASCII_HEADER = 2


def choose_form(message: Message, extensions: Extensions) -> FormKind:
    """The form for a receiver that offers these extensions."""
    if not message.is_8bit:
        return FormKind.AS_IT_CAME
    if not extensions.eightbitmime:
        return FormKind.SEVEN_BIT
    return FormKind.AS_IT_CAME if extensions.smtputf8 else FormKind.ASCII_HEADER


@valuetype(frozen=True, slots=True)
class Form:
    """What goes out, and what is said of it in MAIL."""

    content: OutboundContent | StreamedContent
    is_8bit: bool = False  # it has octets above 127
    needs_smtputf8: bool = False  # its header has


class Unsendable(Exception):
    """The message cannot be brought into a form for a receiver."""

    def __init__(self, enhanced: str, sentence: str) -> None:
        super().__init__(sentence)
        self.enhanced = enhanced
        self.sentence = sentence


@dataclass(slots=True)
class _Ready:
    """What has been made ready, for all attempts that use it."""

    users: int = 0
    content: bytes | None = None  # as its recipients get it
    taken: int = 0  # octets of the share `sending`
    in_files: int = 0  # octets of the share `sending_files`
    forms: dict[FormKind, Form] = field(default_factory=dict)
    files: list[ScratchFile] = field(default_factory=list)
    lock: asyncio.Lock | None = None  # None: one attempt alone uses it


class Contents:
    """Those of all attempts under way."""

    def __init__(
        self,
        store: DeliveryStore,
        personaliser: Personaliser,
        signer: Signer,
        budget: ContentBudget,
        scratch_dir: Path,
        *,
        room_timeout: float = ROOM_TIMEOUT,
    ) -> None:
        """`room_timeout` is the seconds for which an attempt waits for memory."""
        self.store = store
        self.personaliser = personaliser
        self.signer = signer
        self.budget = budget
        self.scratch_dir = scratch_dir
        self.room_timeout = room_timeout
        self._shared: dict[MessageId, _Ready] = {}

    def __repr__(self) -> str:
        return f"<Contents {len(self._shared)} messages, {self.budget.sending.taken} octets>"

    def letter(self, claim: Claim, key: SigningKey, content: bytes | None) -> "Letter":
        """The content of one attempt. `content` is the stored one if it is in memory; its owner accounts for it."""
        return Letter(self, claim, key, content)

    def open(self, message: Message, *, is_shared: bool) -> _Ready:
        """What is ready of a message."""
        if is_shared:
            ready = self._shared.get(message.id) or _Ready(lock=asyncio.Lock())
            self._shared[message.id] = ready
        else:
            ready = _Ready()
        ready.users += 1
        return ready

    def close(self, message: Message, ready: _Ready) -> None:
        """One attempt needs it no more."""
        ready.users -= 1
        if ready.users:
            return
        if ready.taken:
            self.budget.sending.give_back(ready.taken)
        if ready.in_files:
            self.budget.sending_files.give_back(ready.in_files)
        for file in ready.files:
            file.close()
        if self._shared.get(message.id) is ready:
            del self._shared[message.id]


class Letter:
    """The content of one attempt, in the forms that its receivers have needed so far."""

    def __init__(self, contents: Contents, claim: Claim, key: SigningKey, content: bytes | None) -> None:
        self.message = claim.message
        self._contents = contents
        self._delivery = claim.deliveries[0]  # the only one if each recipient has a copy
        self._key = key
        self._stored = content
        self._ready: _Ready | None = None

    def __repr__(self) -> str:
        return f"<Letter {self.message.id} {'put down' if self._ready is None else 'at hand'}>"

    async def form(self, kind: FormKind) -> Form:
        """The signed content for a receiver that is ready for it. Raises `Unsendable`, `BudgetExhausted`, `OSError`, and what the store does."""
        ready = self._ready
        if ready is None:
            ready = self._ready = self._contents.open(self.message, is_shared=self._stored is None and not self.message.is_personal)
        found = ready.forms.get(kind)
        if found is not None:
            return found
        if ready.lock is None:
            found = ready.forms[kind] = await self._make(ready, kind)
            return found
        async with ready.lock:
            found = ready.forms[kind] = ready.forms.get(kind) or await self._make(ready, kind)
            return found

    def put_down(self) -> None:
        """Gives back what is held, until the next receiver is ready. May be called again."""
        if self._ready is not None:
            self._contents.close(self.message, self._ready)
            self._ready = None

    async def _make(self, ready: _Ready, kind: FormKind) -> Form:
        if self._stored is None and self.message.size > STREAMED:
            return await self._make_large(ready, kind)
        content = ready.content or (None if self.message.is_personal else self._stored)
        if content is None:
            content = ready.content = await self._load(ready)
        if not self.message.is_8bit or content.isascii():
            return Form(OutboundContent((await self._sign(content, FormKind.AS_IT_CAME), content)))
        if self._stored is None and _may_change(content, kind):
            await self._take(ready, len(content))
        converted = await _convert(content, kind)
        signature = await self._sign(converted, FormKind.AS_IT_CAME if converted is content else kind, is_changed=converted is not content)
        return Form(OutboundContent((signature, converted)), not converted.isascii(), HeaderBlock.parse(converted).has_8bit)

    async def _load(self, ready: _Ready) -> bytes:
        if self._stored is not None:
            return await self._copy(self._stored)
        size = self.message.size
        await self._take(ready, size)
        content = await self._contents.store.read_content(self.message.id)
        if not self.message.is_personal:
            return content
        copy = await self._copy(content)
        await self._take(ready, max(0, len(copy) - size))
        return copy

    async def _take(self, ready: _Ready, octets: int) -> None:
        await self._contents.budget.sending.take(octets, self._contents.room_timeout)
        ready.taken += octets

    async def _make_large(self, ready: _Ready, kind: FormKind) -> Form:
        contents, message = self._contents, self.message
        is_as_stored = not message.is_8bit and not message.is_personal
        stored = partial(contents.store.stream_content, message.id)
        signature = contents.signer.find((message.id, FormKind.AS_IT_CAME)) if is_as_stored else None
        if signature is not None:
            return Form(StreamedContent(signature, message.size, stored))
        async with contents.budget.signing.hold((1 if is_as_stored else COPIES) * message.size, contents.room_timeout):
            content = await self._copy(await contents.store.read_content(message.id))
            converted = content if not message.is_8bit or content.isascii() else await _convert(content, kind)
            is_changed = converted is not content
            signature = await self._sign(converted, kind if is_changed else FormKind.AS_IT_CAME, is_changed=is_changed)
            is_8bit = message.is_8bit and not converted.isascii()
            needs_smtputf8 = is_8bit and HeaderBlock.parse(converted).has_8bit
            if not is_changed and not message.is_personal:
                return Form(StreamedContent(signature, message.size, stored), is_8bit, needs_smtputf8)
            # Not waited for: others that send hold it for as long as their receivers like, and this attempt has room for work.
            if not contents.budget.sending_files.try_take(len(converted)):
                raise BudgetExhausted(f"contents that are being sent leave no room in files for {len(converted)} octets")
            ready.in_files += len(converted)
            file = await ScratchFile.holding(contents.scratch_dir, [converted])
            ready.files.append(file)
            return Form(StreamedContent(signature, file.size, file.chunks), is_8bit, needs_smtputf8)

    async def _copy(self, content: bytes) -> bytes:
        """The content as its recipients get it."""
        message, delivery = self.message, self._delivery
        if not message.is_personal:
            return content
        copy_for = self._contents.personaliser.copy_for
        try:
            return await offload.compute(len(content), copy_for, message, delivery.id, delivery.forward_path, content)
        except MalformedMessage as error:
            raise Unsendable("5.6.0", f"The recipient's copy of the message cannot be made: {error.reason}") from error

    def _sign(self, content: bytes, kind: FormKind, *, is_changed: bool = False) -> Awaitable[bytes]:
        form = None if self.message.is_personal else (self.message.id, kind + len(FormKind) * is_changed)
        return self._contents.signer.sign(self._key, content, form)


def _may_change(content: bytes, kind: FormKind) -> bool:
    return kind is FormKind.SEVEN_BIT or HeaderBlock.parse(content).has_8bit


async def _convert(content: bytes, kind: FormKind) -> bytes:
    """The content in a form. It is the same object if nothing has to be changed."""
    convert = to_7bit if kind is FormKind.SEVEN_BIT else partial(_convert_header, keeps_utf_8=kind is FormKind.AS_IT_CAME)
    try:
        return await offload.compute(len(content), convert, content)
    except EightBitAddress as error:
        raise Unsendable("5.6.7", NO_SMTPUTF8) from error
    except MalformedMessage as error:
        cause = (
            "The receiving server takes no 8-bit content, and the message" if kind is FormKind.SEVEN_BIT else "The header of the message"
        )
        sentence = f"{cause} cannot be converted: {error.reason}"
        raise Unsendable("5.6.3", sentence) from error


def _convert_header(content: bytes, *, keeps_utf_8: bool) -> bytes:
    return to_ascii_header(content, HeaderBlock.parse(content), keeps_utf_8=keeps_utf_8)
