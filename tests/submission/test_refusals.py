"""The log of the SMTP door: what of a refused session is stored."""

from datetime import timedelta
from pathlib import Path

from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.policy.refusal_sample import BURST
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.smtp.reply import Reply
from sendryd.submission.refusals import MAX_RECIPIENTS, Client, RefusalBook, RefusalWriter, path_in
from sendryd.testing.clock import ManualClock
from sendryd.testing.stores import open_new_store

APP = Client("192.0.2.7", "app.test", True, None)
BAD_SEQUENCE = Reply(503, "Bad sequence of commands")


def new_book() -> tuple[RefusalBook, ManualClock]:
    clock = ManualClock()
    return RefusalBook(clock, IdSource(clock, SeededRand(1))), clock


def test_recipients_pipelined_after_a_refused_sender_belong_to_its_refusal() -> None:
    book, _ = new_book()
    book.add(Refusal(RefusalKey.DOMAIN_NOT_VERIFIED, "acme.test"), "MAIL", APP, ("shop@acme.test", ()))
    book.add(BAD_SEQUENCE, "RCPT", APP, ("", ["ann@example.org"]))
    book.add(BAD_SEQUENCE, "DATA", APP, ("", ()))
    book.add(BAD_SEQUENCE, "RCPT", Client("192.0.2.8", "other.test", True, None), ("", ["bob@example.org"]))
    (sender, other), _ = book.take()
    assert (sender.step, sender.sender, sender.recipients) == ("MAIL", "shop@acme.test", ("ann@example.org",))
    assert (sender.cause, sender.reply[:9]) == ("domain_not_verified", "550 5.7.1")
    assert (other.step, other.cause, other.recipients) == ("RCPT", "", ("bob@example.org",))


def test_a_flood_of_an_address_is_counted() -> None:
    book, clock = new_book()
    for number in range(BURST + 3):
        book.add(BAD_SEQUENCE, "content", APP, (f"u{number}@acme.test", ()))
    stored, more = book.take()
    assert len(stored) == BURST
    assert more == {stored[-1].id: 3}
    assert book.take() == ([], {})
    clock.advance(timedelta(seconds=1))
    book.add(BAD_SEQUENCE, "content", APP, ("later@acme.test", ()))
    assert [each.sender for each in book.take()[0]] == ["later@acme.test"]


def test_what_is_kept_of_one_is_bounded_and_has_no_key() -> None:
    book, _ = new_book()
    secret = "sn_live_" + "x" * 43
    book.add(BAD_SEQUENCE, "content", Client("192.0.2.7", secret, False, None), ("s" * 999, ["r" * 999] * 99))
    ((stored,), _) = book.take()
    assert secret not in stored.helo
    assert (len(stored.sender), len(stored.recipients), len(stored.recipients[0])) == (320, MAX_RECIPIENTS, 320)


def test_the_address_in_a_command() -> None:
    assert path_in("RCPT TO:<ann@example.org> SIZE=1") == "ann@example.org"
    assert path_in("RCPT TO:") == ""


async def test_refusals_are_stored_and_old_ones_deleted(tmp_path: Path) -> None:
    book, clock = new_book()
    store = open_new_store(tmp_path)
    writer = RefusalWriter(book, store, clock)
    book.add(BAD_SEQUENCE, "content", APP, ("old@acme.test", ()))
    await writer.flush()
    clock.advance(timedelta(days=8))
    book.add(BAD_SEQUENCE, "content", APP, ("new@acme.test", ()))
    await writer.stop()
    found = await store.page_smtp_refusals(None, limit=9)
    assert [each.sender for each in found.items] == ["new@acme.test"]
    clock.advance(timedelta(days=8))
    await writer.prune()
    assert (await store.page_smtp_refusals(None, limit=9)).items == ()
    await store.aclose()
