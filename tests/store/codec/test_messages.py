"""Messages as rows, and back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.ids import DomainId, TemplateId
from sendryd.model.message import Message, MessageType
from sendryd.store.codec.messages import message_row, read_claimable, read_message, show_message
from sendryd.store.errors import RowUnreadable
from sendryd.testing.samples import NOW, Samples

PLAIN = Samples().message().message
FULL = replace(
    PLAIN,
    to=("a@one.test", "ä@two.test"),
    cc=("c@one.test",),
    signing_domain_id=DomainId(7),
    needs_smtputf8=True,
    is_8bit=True,
    ret="HDRS",
    envid="QQ314159",
    type=MessageType.MARKETING,
    tags=(("campaign", "may"), ("campaign", "june")),
    scheduled_at=NOW + timedelta(days=1),
    track_opens=True,
    track_clicks=True,
    template_id=TemplateId(8),
    list_id="news",
    unsubscribe_url="https://example.org/u",
)


@pytest.mark.parametrize("message", [PLAIN, FULL, replace(PLAIN, track_clicks=True), replace(PLAIN, api_key_id=None)])
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    row = message_row(message)
    assert read_message(row) == read_claimable(row) == show_message(row) == message


def test_lone_surrogates_are_replaced() -> None:
    row = message_row(replace(PLAIN, subject="a\ud800b", author="\udfff", list_id="\ud800"))
    assert (row["subject"], row["author"], row["list_id"]) == ("a?b", "?", "?")


def test_what_cannot_be_read_is_shown_without_it_and_not_sent() -> None:
    row = {**message_row(FULL), "recipients": "[", "tags": "{"}
    assert show_message(row) == replace(FULL, to=(), cc=(), tags=())
    for read in (read_message, read_claimable):
        with pytest.raises(RowUnreadable):
            read(row)


def test_a_value_of_a_wrong_type_is_not_sent() -> None:
    row = {**message_row(PLAIN), "size": "12"}
    with pytest.raises(RowUnreadable, match="wrong type"):
        read_claimable(row)
