"""What the way out of its domain did with a mail, as the mail's page says it. Pure."""

from collections.abc import Sequence

from sendryd.model.apikey import KeyMode
from sendryd.model.event import Event, EventType
from sendryd.model.message import Message
from sendryd.store.base import QueuedDelivery

MAX_NAMED = 5  # addresses in one line


def way_of(message: Message, key_mode: KeyMode | None, events: Sequence[Event], deliveries: Sequence[QueuedDelivery]) -> tuple[str, str]:
    """The name of what was done and to whom the mail goes instead or too; empty if it went its usual way. `key_mode`: of the key that sent it;
    None if it is not known.
    """
    if message.mode is KeyMode.TEST:
        is_captured = key_mode is KeyMode.LIVE
        return ("Captured", "It stays in the Test Inbox, as the setting of its domain says.") if is_captured else ("", "")
    originals = next((each for each in map(_redirected_from, events) if each), [])
    copies = [each.forward_path for each in deliveries if each.is_copy]
    if originals:
        gone_to = _named([each.forward_path for each in deliveries if not each.is_copy])
        return "Redirected", f"To {gone_to}, as the setting of its domain says. It was meant for {_named(originals)}."
    return ("Copied", f"Also to {_named(copies)}, as the setting of its domain says.") if copies else ("", "")


def _redirected_from(event: Event) -> list[str]:
    found = event.metadata.get("redirected_from") if event.type is EventType.QUEUED else None
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _named(addresses: Sequence[str]) -> str:
    shown = list(dict.fromkeys(addresses))
    more = len(shown) - MAX_NAMED
    return ", ".join(shown[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
