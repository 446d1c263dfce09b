"""Whether no mail server at all can be reached, which is then no fault of any of them. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.lane import NOT_CONNECTED, LaneSnapshot

LATELY: Final = timedelta(minutes=10)  # what was tried before says little about now
ENOUGH: Final = 3  # next hops: two silent ones are a coincidence


def nothing_reachable(lanes: Iterable[LaneSnapshot], now: datetime) -> bool:
    """Several next hops were tried lately, and no server of any of them took a connection."""
    tried = [[server for server in lane.servers if now - server.at <= LATELY] for lane in lanes]
    tried = [servers for servers in tried if servers]
    return len(tried) >= ENOUGH and all(server.fault.startswith(NOT_CONNECTED) for servers in tried for server in servers)
