"""What a mail's page says of its domain's way out."""

from dataclasses import replace
from typing import Any

import pytest

from sendryd.dashboard.wayview import way_of
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import Event, EventType
from sendryd.model.ids import DeliveryId, EventId
from sendryd.store.base import QueuedDelivery
from sendryd.testing.samples import NOW, Samples

MESSAGE = Samples().message().message


def delivery(address: str, *, is_copy: bool = False) -> QueuedDelivery:
    return QueuedDelivery(
        id=DeliveryId(1),
        message=MESSAGE,
        forward_path=address,
        domain="x.test",
        state=DeliveryState.QUEUED,
        attempts=0,
        due_at=NOW,
        created_at=NOW,
        last_reply="",
        is_copy=is_copy,
    )


def queued(**metadata: Any) -> Event:
    return Event(
        id=EventId(1),
        message_id=MESSAGE.id,
        delivery_id=DeliveryId(1),
        type=EventType.QUEUED,
        recipient="dev@team.test",
        metadata=metadata,
        created_at=NOW,
    )


def test_mail_that_goes_its_way_says_nothing() -> None:
    assert way_of(MESSAGE, KeyMode.LIVE, [queued()], [delivery("ann@x.test")]) == ("", "")


def test_redirected_mail_names_both_sides() -> None:
    name, text = way_of(MESSAGE, KeyMode.LIVE, [queued(redirected_from=["ann@x.test", "bob@x.test", 5])], [delivery("dev@team.test")])
    assert name == "Redirected"
    assert text == "To dev@team.test, as the setting of its domain says. It was meant for ann@x.test, bob@x.test."
    many = way_of(MESSAGE, None, [queued(redirected_from=[f"{number}@x.test" for number in range(9)])], [delivery("dev@team.test")])
    assert "4@x.test and 4 more" in many[1]


def test_copied_mail_names_the_archive() -> None:
    found = way_of(MESSAGE, KeyMode.LIVE, [queued(copy=True)], [delivery("ann@x.test"), delivery("archive@x.test", is_copy=True)])
    assert found == ("Copied", "Also to archive@x.test, as the setting of its domain says.")


@pytest.mark.parametrize(("key_mode", "name"), [(KeyMode.LIVE, "Captured"), (KeyMode.TEST, ""), (None, "")])
def test_mail_of_a_live_key_in_the_test_inbox_was_captured(key_mode: KeyMode | None, name: str) -> None:
    assert way_of(replace(MESSAGE, mode=KeyMode.TEST), key_mode, [queued()], [])[0] == name
