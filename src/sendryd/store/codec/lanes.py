"""Lanes and rows of `lane`: what is not a key is one JSON object, written and read as a whole."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sendryd.model.lane import LaneSnapshot, LimitCause, LimitChange, TriedServer
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import clean, from_ms, from_ms_or_none, read_object, to_json, to_ms, to_ms_or_none


def lane_row(lane: LaneSnapshot) -> dict[str, Any]:
    """The columns of a lane."""
    state = {
        "sending": lane.sending,
        "limit": lane.limit,
        "cause": lane.cause.value,
        "per_minute": lane.per_minute,
        "suspended_until": to_ms_or_none(lane.suspended_until),
        "last_success": to_ms_or_none(lane.last_success),
        "last_reply": clean(lane.last_reply),
        "servers": [[each.host, each.address, each.port, each.tls, clean(each.fault), to_ms(each.at)] for each in lane.servers],
        **({"site": lane.site} if lane.site else {}),
        **({"rule": [lane.rule, to_ms_or_none(lane.rule_until), clean(lane.rule_reply)]} if lane.rule else {}),
    }
    return {"next_hop": lane.next_hop, "updated_at": to_ms(lane.at), "state": to_json(state)}


def limit_row(lane: LaneSnapshot) -> dict[str, Any]:
    """The columns of its limit as a change. Nothing is sent to a suspended lane."""
    is_suspended = lane.suspended_until is not None
    cause = LimitCause.SUSPENDED if is_suspended else lane.cause
    return {"next_hop": lane.next_hop, "at": to_ms(lane.at), "sessions": 0 if is_suspended else lane.limit, "cause": cause.value}


@row_of("lane")
def read_lane(row: Row) -> LaneSnapshot:
    """A lane. Raises `RowUnreadable`."""
    state = read_object(row["state"])
    rule = state.get("rule", ("", None, ""))
    return LaneSnapshot(
        next_hop=row["next_hop"],
        at=from_ms(row["updated_at"]),
        sending=int(state["sending"]),
        limit=int(state["limit"]),
        cause=LimitCause(state.get("cause", LimitCause.WINDOW)),  # rows of earlier versions have none
        per_minute=int(state["per_minute"]),
        suspended_until=_moment(state, "suspended_until"),
        last_success=_moment(state, "last_success"),
        last_reply=str(state["last_reply"]),
        servers=tuple(_server(*each) for each in state["servers"]),
        site=str(state.get("site", "")),
        rule=str(rule[0]),
        rule_until=from_ms_or_none(rule[1]),
        rule_reply=str(rule[2]),
    )


@row_of("lane_limit")
def read_limit_change(row: Row) -> LimitChange:
    """A change of a limit. Raises `RowUnreadable`."""
    return LimitChange(at=from_ms(row["at"]), sessions=int(row["sessions"]), cause=LimitCause(row["cause"]))


def _moment(state: Mapping[str, Any], name: str) -> datetime | None:
    return from_ms_or_none(state[name])


def _server(host: str, address: str, port: int, tls: str, fault: str, at: int) -> TriedServer:
    return TriedServer(host=host, address=address, port=port, tls=tls, fault=fault, at=from_ms(at))
