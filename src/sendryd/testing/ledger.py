"""The ledger of a load: what was acknowledged, what arrived, and what arrived twice with and without a mark."""

import http.client
import re
from collections import Counter
from collections.abc import Iterable

from sendryd.testing.load import Load
from sendryd.testing.mailhost import ReceivedMail
from sendryd.testing.process import RelayProcess
from sendryd.testing.world import World

_ID = re.compile(rb" id (em_\w{13})")  # in our Received field


def id_of(mail: ReceivedMail) -> str:
    """The message that an arrival is of; empty for one of another program."""
    match = _ID.search(mail.content)
    return match[1].decode() if match else ""


def arrived_twice(mails: Iterable[ReceivedMail]) -> list[str]:
    """The ids of messages that arrived more than once."""
    times = Counter(map(id_of, mails))
    return [message_id for message_id, count in times.items() if message_id and count > 1]


def is_marked(relay: RelayProcess, message_id: str, key: str) -> bool:
    """Whether an event of a message says that it may have been delivered before."""
    status, page = relay.get(f"/v1/emails/{message_id}/events", key)
    return status == http.client.OK and any(event["metadata"].get("possibly_duplicate") for event in page["data"])


def unmarked(world: World) -> list[str]:
    """The messages that arrived twice of which no event says so."""
    return [each for each in arrived_twice(list(world.mailhost.mails)) if not is_marked(world.relay, each, world.live_key)]


def lost(load: Load) -> set[int]:
    """The numbers of messages that were acknowledged and have not arrived."""
    return set(load.acknowledged) - set(load.delivered())
