"""What replies have brought to sites, and rows of `shaping_effect`."""

from collections.abc import Mapping
from typing import Any

from sendryd.policy.shaping.effects import Effect
from sendryd.policy.shaping.limits import Limits, Rate
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import clean, from_ms, read_object, to_json, to_ms


def effect_row(effect: Effect) -> dict[str, Any]:
    """The columns of an effect."""
    limits = effect.limits
    said = {
        "reply": clean(effect.reply),
        "began_at": to_ms(effect.began_at),
        "ends_at": to_ms(effect.ends_at),
        "suspends": effect.suspends,
        "connections": limits.connections,
        "connection_rate": _pair(limits.connection_rate),
        "message_rate": _pair(limits.message_rate),
    }
    return {"site": effect.site, "rule": effect.rule, "effect": to_json(said)}


@row_of("shaping_effect")
def read_effect(row: Row) -> Effect:
    """An effect. Raises `RowUnreadable`."""
    said = read_object(row["effect"])
    return Effect(
        site=row["site"],
        rule=row["rule"],
        reply=str(said["reply"]),
        began_at=from_ms(said["began_at"]),
        ends_at=from_ms(said["ends_at"]),
        suspends=bool(said["suspends"]),
        limits=Limits(
            connections=None if said["connections"] is None else int(said["connections"]),
            connection_rate=_rate(said, "connection_rate"),
            message_rate=_rate(said, "message_rate"),
        ),
    )


def _pair(rate: Rate | None) -> list[float] | None:
    return [rate.count, rate.seconds] if rate is not None else None


def _rate(said: Mapping[str, Any], name: str) -> Rate | None:
    return Rate(int(said[name][0]), float(said[name][1])) if said[name] is not None else None
