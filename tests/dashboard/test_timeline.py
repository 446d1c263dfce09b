"""The timeline of a message."""

from collections.abc import Mapping
from datetime import timedelta

from sendryd.dashboard.timeline import MAX_DIALOGUES, MAX_ENTRIES, MAX_WAITING, Entry, moment_of, size_text, timeline
from sendryd.model.delivery import DeliveryState
from sendryd.model.dialogue import AttemptDialogue, DialogueSession, Speaker, Spoken
from sendryd.model.event import Event, EventType
from sendryd.model.ids import EventId
from sendryd.store.base import NewMessage, QueuedDelivery
from sendryd.testing.samples import NOW, Samples

LATER = NOW + timedelta(hours=1)


def entries(
    new: NewMessage,
    *happened: tuple[EventType, Mapping[str, object]],
    state: DeliveryState = DeliveryState.DELIVERED,
    dialogues: Mapping[str, AttemptDialogue] | None = None,
    attempts: int = 1,
    last_reply: str = "",
) -> list[Entry]:
    """The timeline of a message whose first recipient had these events."""
    events = [
        Event(
            id=EventId(number),
            message_id=new.message.id,
            delivery_id=new.deliveries[0].id,
            type=kind,
            recipient=new.deliveries[0].forward_path,
            created_at=NOW + timedelta(seconds=number),
            metadata=metadata,
        )
        for number, (kind, metadata) in enumerate(happened)
    ]
    deliveries = [
        QueuedDelivery(
            id=each.id,
            message=new.message,
            forward_path=each.forward_path,
            domain="example.org",
            state=state,
            attempts=attempts,
            due_at=LATER,
            created_at=NOW,
            last_reply=last_reply,
        )
        for each in new.deliveries
    ]
    return list(timeline(new.message, events, deliveries, [], accepted_with="key shop", now=NOW, dialogues=dialogues or {}))


def test_a_try_has_server_time_and_each_line_of_the_reply() -> None:
    reply = {
        "attempt": 2,
        "host": "mx.example.org",
        "address": "192.0.2.1",
        "tls": "TLSv1.3",
        "duration_ms": 1180,
        "reply": "451 4.7.1 Later\n451 please",
    }
    accepted, put_off, waiting = entries(Samples().message(["ann@example.org"]), (EventType.DEFERRED, reply), state=DeliveryState.QUEUED)
    assert (accepted.event, accepted.detail.startswith("Key shop, ")) == ("queued", True)
    assert (put_off.event, put_off.title, put_off.took) == ("deferred", "Try 2: put off", "1.18 s")
    assert put_off.detail == "mx.example.org (192.0.2.1), TLSv1.3"
    assert [(line.text, line.is_refusal) for line in put_off.talk] == [("451 4.7.1 Later", True), ("451 please", True)]
    assert (waiting.event, waiting.title, waiting.at) == ("waiting", "Next try", LATER)
    assert put_off.recipient == ""


def test_after_a_try_that_is_not_counted_the_next_one_is_not_called_the_first() -> None:
    new = Samples().message(["ann@example.org"])
    assert entries(new, state=DeliveryState.QUEUED, attempts=0)[-1].title == "First try"
    assert entries(new, state=DeliveryState.QUEUED, attempts=0, last_reply="421 4.7.28 Slow down")[-1].title == "Next try"


def said(*spoken: Spoken) -> AttemptDialogue:
    session = DialogueSession(host="mx.test", address="192.0.2.1", port=25, tls="", spoken=spoken)
    return AttemptDialogue(began_at=NOW, sessions=(session,))


def test_a_try_has_its_dialogue_and_an_absent_one_is_told() -> None:
    spoken = Spoken(3, Speaker.US, b"DATA\r\n"), Spoken(1180, Speaker.THEM, b"451 Later\r\n"), Spoken(1190, Speaker.NOTE, b"broken")
    tries = ((EventType.DEFERRED, {"attempt": number, "dialogue": f"place {number}"}) for number in (1, 2))
    _, first, second, _ = entries(Samples().message(["a@b.test"]), *tries, state=DeliveryState.QUEUED, dialogues={"place 1": said(*spoken)})
    assert first.dialogue[0].server == "mx.test (192.0.2.1), port 25"
    assert [(line.is_ours, line.is_note, line.text, line.took, line.is_refusal) for line in first.dialogue[0].lines] == [
        (True, False, "DATA", "3 ms", False),
        (False, False, "451 Later", "1,180 ms", True),
        (False, True, "broken", "1,190 ms", False),
    ]
    assert (first.no_dialogue, second.dialogue, second.no_dialogue) == ("", (), "The dialogue is not there any more.")


def test_a_dialogue_that_several_recipients_share_is_shown_once_and_the_newest_are_shown() -> None:
    shared = [(EventType.DEFERRED, {"attempt": 1, "dialogue": "shared"})] * 3
    found = entries(Samples().message(["a@b.test"]), *shared, dialogues={"shared": said()})
    assert [bool(entry.dialogue) for entry in found] == [False, False, False, True]
    many = [(EventType.DEFERRED, {"attempt": number, "dialogue": str(number)}) for number in range(MAX_DIALOGUES + 5)]
    found = entries(Samples().message(["a@b.test"]), *many, dialogues={str(number): said() for number in range(MAX_DIALOGUES + 5)})
    assert [bool(entry.dialogue) for entry in found] == [False] * 6 + [True] * MAX_DIALOGUES


def test_recipients_are_named_where_there_are_several() -> None:
    found = entries(Samples().message(["ann@example.org", "bob@example.org"]), (EventType.DELIVERED, {}))
    assert [entry.recipient for entry in found] == ["", "ann@example.org"]
    assert found[0].detail.startswith("For 2 recipients, key shop")


def test_machines_are_told_from_people() -> None:
    new = Samples().message(["ann@example.org"])
    _, opened, clicked = entries(
        new,
        (EventType.OPENED, {"opened_by": "privacy_proxy", "user_agent": "GoogleImageProxy"}),
        (EventType.CLICKED, {"clicked_by": "person", "link": "https://acme.example/", "user_agent": "Firefox"}),
    )
    assert opened.detail == "by the mailbox provider, perhaps for the reader, GoogleImageProxy"
    assert clicked.detail == "https://acme.example/, Firefox"


def test_endings_say_who_or_why() -> None:
    new = Samples().message(["ann@example.org"])
    found = entries(
        new,
        (EventType.CANCELLED, {"by": "mara@acme.example"}),
        (EventType.SUPPRESSED, {"reason": "hard_bounce"}),
        (EventType.FAILED, {"attempt": 3, "reason": "expired", "last_reason": "no server answered", "possibly_duplicate": True}),
    )
    assert [entry.detail for entry in found[1:]] == ["By mara@acme.example", "Hard bounce", "no server answered, may arrive twice"]


def test_values_of_the_wrong_kind_are_left_out() -> None:
    new = Samples().message(["ann@example.org"])
    _, bounced = entries(new, (EventType.BOUNCED, {"attempt": "x", "host": 5, "reply": ["a"], "duration_ms": None}))
    assert (bounced.title, bounced.detail, bounced.talk, bounced.took) == ("Bounced", "", (), "")


def test_a_bounce_that_was_reported_says_by_whom() -> None:
    new = Samples().message(["ann@example.org"])
    reported = {"reported": True, "reported_by": "mx.example.org", "reply": "550 5.1.1 User unknown", "reason": "mx.example.org reports"}
    _, bounced = entries(new, (EventType.BOUNCED, reported))
    assert (bounced.title, bounced.detail) == ("Bounced after it was delivered", "Reported by mx.example.org")
    assert [line.text for line in bounced.talk] == ["550 5.1.1 User unknown"]


def test_sizes_and_times() -> None:
    assert [size_text(size) for size in (0, 1023, 5325, 1363149)] == ["0 octets", "1023 octets", "5.2 KB", "1.3 MB"]
    assert moment_of(NOW).stamp.endswith("Z")


def test_a_mail_to_many_shows_the_newest_events_and_the_next_tries() -> None:
    new = Samples().message([f"user{number}@example.org" for number in range(100)])
    found = entries(new, *[(EventType.DEFERRED, {"attempt": number}) for number in range(400)], state=DeliveryState.QUEUED)
    assert len(found) == 1 + MAX_ENTRIES + MAX_WAITING
    assert found[0].event == "queued"
    assert found[MAX_ENTRIES].title == "Try 399: put off"
