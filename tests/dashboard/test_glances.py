"""What a list shows of contents."""

from pathlib import Path

from sendryd.dashboard.glances import MAX_LINE, MAX_READ, Glances
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


def glances_of(store: MemoryStore, tmp_path: Path) -> Glances:
    budget = ContentBudget(memory=200_000_000)
    return Glances(store, Answers(budget.showing, budget.page_files, budget.turns, tmp_path))


async def test_all_but_the_bodies_count_as_attachments(tmp_path: Path) -> None:
    store, samples = MemoryStore(), Samples()
    plain, mixed = [await stored(store, samples, content) for content in (PLAIN, MIXED)]
    seen = await glances_of(store, tmp_path).of([plain, mixed])
    assert {number: glance.attachments for number, glance in seen.items() if glance} == {plain.id: 0, mixed.id: 2}


async def test_the_first_line_is_of_the_text_or_else_of_the_html(tmp_path: Path) -> None:
    store, samples = MemoryStore(), Samples()
    head = b"From: a@example.test\r\nX-Campaign: Spring Sale\r\nMIME-Version: 1.0\r\n"
    text = await stored(store, samples, head + b"\r\n\r\n  Dear\r\n  Ann,\r\n" + b"word " * 100)
    html = await stored(store, samples, head + b"Content-Type: text/html\r\n\r\n<style>p{}</style><p>Dear <b>Ann</b></p>")
    seen = await glances_of(store, tmp_path).of([text, html])
    first, second = seen[text.id], seen[html.id]
    assert first
    assert second
    assert first.line.startswith("Dear Ann, word word")
    assert len(first.line) <= MAX_LINE
    assert second.line == "Dear Ann"
    assert "x-campaign: spring sale" in first.words
    assert text.to[0] in first.words


async def test_a_lost_content_has_no_glance_and_hides_no_other(tmp_path: Path) -> None:
    store, samples = MemoryStore(), Samples()
    lost = samples.message(content=PLAIN).message
    plain = await stored(store, samples, PLAIN)
    glances = glances_of(store, tmp_path)
    for _ in range(2):
        seen = await glances.of([lost, plain])
        assert seen[lost.id] is None
        assert seen[plain.id]


async def test_large_contents_are_read_at_the_next_look(tmp_path: Path) -> None:
    store, samples = MemoryStore(), Samples()
    line = b"x" * 70 + b"\r\n"
    large = [await stored(store, samples, PLAIN + line * (MAX_READ // len(line) + 1)) for _ in range(2)]
    glances = glances_of(store, tmp_path)
    assert list(await glances.of(large)) == [large[0].id]
    assert list(await glances.of(large)) == [each.id for each in large]
