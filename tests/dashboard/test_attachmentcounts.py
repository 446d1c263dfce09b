"""Numbers of attachments."""

from pathlib import Path

from sendryd.dashboard.attachmentcounts import MAX_READ, AttachmentCounts
from sendryd.model.message import Message
from sendryd.runtime.answers import Answers
from sendryd.runtime.budget import ContentBudget
from sendryd.store.memory import MemoryStore
from sendryd.testing.samples import Samples

PLAIN = b"From: a@example.test\r\n\r\nbody\r\n"
MIXED = (
    b"From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/plain\r\n\r\nbody\r\n"
    b"--x\r\nContent-Type: application/pdf\r\n\r\none\r\n--x\r\nContent-Type: text/plain\r\n\r\ntwo\r\n--x--\r\n"
)


async def stored(store: MemoryStore, samples: Samples, content: bytes) -> Message:
    new = samples.message(content=content)
    await store.accept(new)
    return new.message


def counts_of(store: MemoryStore, tmp_path: Path) -> AttachmentCounts:
    budget = ContentBudget(memory=200_000_000)
    return AttachmentCounts(store, Answers(budget.showing, budget.page_files, budget.turns, tmp_path))


async def test_all_but_the_bodies_count(tmp_path: Path) -> None:
    store, samples = MemoryStore(), Samples()
    plain, mixed = [await stored(store, samples, content) for content in (PLAIN, MIXED)]
    counts = counts_of(store, tmp_path)
    assert await counts.of([plain, mixed]) == {plain.id: 0, mixed.id: 2}


async def test_a_lost_content_has_no_number_and_hides_no_other(tmp_path: Path) -> None:
    store, samples = MemoryStore(), Samples()
    lost = samples.message(content=PLAIN).message
    plain = await stored(store, samples, PLAIN)
    counts = counts_of(store, tmp_path)
    for _ in range(2):
        assert await counts.of([lost, plain]) == {plain.id: 0}


async def test_large_contents_are_counted_at_the_next_look(tmp_path: Path) -> None:
    store, samples = MemoryStore(), Samples()
    line = b"x" * 70 + b"\r\n"
    large = [await stored(store, samples, PLAIN + line * (MAX_READ // len(line) + 1)) for _ in range(2)]
    counts = counts_of(store, tmp_path)
    assert list(await counts.of(large)) == [large[0].id]
    assert list(await counts.of(large)) == [each.id for each in large]
