"""Contents as messages have them: read whole or in pieces."""

import pytest

from sendryd.model.ids import MessageId
from sendryd.store.base import MailStore
from sendryd.store.errors import NotFound
from sendryd.testing.samples import Samples


async def test_a_content_that_is_not_there(store: MailStore) -> None:
    with pytest.raises(NotFound):
        await store.read_content(MessageId(1))
    with pytest.raises(NotFound):
        await anext(store.stream_content(MessageId(1)))


@pytest.mark.parametrize("octets", [0, 1, 65_000, 65_536, 300_000])
async def test_a_content_can_be_read_piece_by_piece(store: MailStore, samples: Samples, octets: int) -> None:
    for content in (b"From: x\r\n\r\n" + b"a" * octets, b"From: y\r\n\r\n" + b"b" * octets):
        new = samples.message(content=content)
        await store.accept(new)
        pieces = [piece async for piece in store.stream_content(new.message.id)]
        assert b"".join(pieces) == content
        assert max(map(len, pieces)) <= 65_536
