"""Sessions at the door as the dashboard reads them."""

from datetime import timedelta

import pytest

from sendryd.accounts.smtp_sessions import HOURS, MAX_KNOWN, MAX_STRANGERS, SmtpSession, SmtpSessions
from sendryd.model.apikey import ApiKey
from sendryd.model.ids import API_KEY_PREFIX, AccountId, format_id
from sendryd.runtime.stream import TlsInfo
from sendryd.smtp.reply import make_reply
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import Samples

TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")
SECRET = "sn_live_" + "x" * 43


class Door:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.book = SmtpSessions(self.clock)
        self.samples = Samples()

    def key(self) -> ApiKey:
        return self.samples.api_key().key

    def visit(self, address: str = "192.0.2.7", *, helo: str = "shop.test", key: ApiKey | None = None, mails: int = 0) -> SmtpSession:
        session = self.book.begin(address)
        if helo:
            self.book.note_hello(session, helo, TLS)
        if key is not None:
            self.book.note_login(session, key)
        for _ in range(mails):
            self.book.note_mail(session, 2)
        return session

    def addresses(self, account_id: AccountId | None = None, text: str = "", limit: int = 100_000) -> list[str]:
        return [each.address for each in self.book.list_sessions(account_id, text=text, limit=limit)]


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_session_has_who_came_and_what_was_done(door: Door) -> None:
    key = door.key()
    session = door.visit(key=key, mails=3)
    door.book.note_refusal(session, make_reply(550, "5.7.1", f"The domain is not verified {SECRET}"))
    (found,) = door.book.list_sessions(None, limit=9)
    assert (found.address, found.helo, found.tls) == ("192.0.2.7", "shop.test", "TLSv1.3, TLS_AES_256_GCM_SHA384")
    assert (found.account_id, found.api_key_id, found.mails, found.recipients, found.refusals) == (key.account_id, key.id, 3, 6, 1)
    assert found.last_refusal.startswith("550 5.7.1 The domain is not verified sn_live_")
    assert SECRET not in found.last_refusal
    assert found.ended_at is None


def test_open_sessions_come_first_then_the_latest_that_ended(door: Door) -> None:
    key = door.key()
    sessions = [door.visit(f"192.0.2.{number}", key=key if number % 2 else None) for number in range(5)]
    for number in (3, 0, 1):
        door.clock.advance(timedelta(seconds=1))
        door.book.end(sessions[number])
    assert door.addresses() == [f"192.0.2.{number}" for number in (4, 2, 1, 0, 3)]
    assert door.addresses(limit=2) == ["192.0.2.4", "192.0.2.2"]


def test_an_account_sees_the_sessions_of_its_keys(door: Door) -> None:
    key = door.key()
    door.visit("192.0.2.1", key=key)
    door.visit("192.0.2.2")
    assert door.addresses(key.account_id) == ["192.0.2.1"]
    assert door.addresses(AccountId(99)) == []
    assert [each for each, _ in door.book.sums(AccountId(99))] == []


def test_text_is_found_in_address_name_key_and_reply(door: Door) -> None:
    key = door.key()
    session = door.visit("2001:db8::1", helo="Shop.Test", key=key)
    door.book.note_refusal(session, make_reply(451, "4.3.0", "Later"))
    for text in ("2001:DB8", "shop", format_id(API_KEY_PREFIX, key.id), "4.3.0 later"):
        assert door.addresses(text=text) == ["2001:db8::1"]
    assert door.addresses(text="nowhere") == []


def test_connections_without_a_word_are_forgotten_and_keys_in_the_wrong_place_are_hidden(door: Door) -> None:
    door.book.end(door.visit(helo=""))
    assert door.addresses() == []
    assert SECRET not in door.visit(helo=SECRET).helo


def test_strangers_do_not_push_out_those_with_a_key(door: Door) -> None:
    door.book.end(door.visit("192.0.2.1", key=door.key()))
    for _ in range(MAX_KNOWN + 5):
        door.book.end(door.visit("198.51.100.1"))
    found = door.addresses()
    assert (found.count("192.0.2.1"), found.count("198.51.100.1")) == (1, MAX_STRANGERS)


def test_the_latest_sessions_of_keys_are_kept(door: Door) -> None:
    key = door.key()
    for number in range(MAX_KNOWN + 5):
        door.book.end(door.visit(str(number), key=key))
    found = door.addresses()
    assert (len(found), found[0], found[-1]) == (MAX_KNOWN, str(MAX_KNOWN + 4), "5")


def test_sums_are_by_key_and_end_after_a_day(door: Door) -> None:
    busy, calm = door.key(), door.key()
    door.visit(key=calm, mails=1)
    for _ in range(3):
        door.clock.advance(timedelta(hours=1))
        door.visit(key=busy, mails=2)
    sums = door.book.sums(None)
    assert [key for key, _ in sums] == [busy.id, calm.id]
    assert (sums[0][1].sessions, sums[0][1].mails, sums[0][1].recipients, sums[0][1].refusals) == (3, 6, 12, 0)
    door.clock.advance(timedelta(hours=HOURS - 2))
    assert [(key, each.mails) for key, each in door.book.sums(None)] == [(busy.id, 4)]
    door.clock.advance(timedelta(hours=HOURS))
    assert door.book.sums(None) == []
