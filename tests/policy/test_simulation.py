"""Addresses of the test domain play out what their names say."""

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.policy.simulation import CAPTURED, SCENARIOS, scenario_for
from sendryd.testing.cases import cases


@cases("name", SCENARIOS)
@cases("form", ["{}@sendryd.test", "{}+order-7@sendryd.test", "{}@SENDRYD.Test"])
def test_the_local_part_selects_the_scenario(name: str, form: str) -> None:
    assert scenario_for(form.format(name)) is SCENARIOS[name]
    assert scenario_for(form.format(name.upper())) is SCENARIOS[name]


@cases(
    "address",
    ["bounced@example.org", "someone@sendryd.test", "bounced@mail.sendryd.test", "x+bounced@sendryd.test", '"bounced "@sendryd.test', ""],
)
def test_other_addresses_are_captured_as_delivered(address: str) -> None:
    assert scenario_for(address) is CAPTURED


@cases(
    ("name", "state", "last"),
    [
        ("delivered", DeliveryState.DELIVERED, EventType.DELIVERED),
        ("bounced", DeliveryState.BOUNCED, EventType.BOUNCED),
        ("deferred", DeliveryState.DELIVERED, EventType.DELIVERED),
        ("complained", DeliveryState.DELIVERED, EventType.COMPLAINED),
        ("opened", DeliveryState.DELIVERED, EventType.OPENED),
        ("clicked", DeliveryState.DELIVERED, EventType.CLICKED),
        ("unsubscribed", DeliveryState.DELIVERED, EventType.UNSUBSCRIBED),
        ("suppressed", DeliveryState.SUPPRESSED, EventType.SUPPRESSED),
        ("failed", DeliveryState.EXPIRED, EventType.FAILED),
    ],
)
def test_what_a_scenario_ends_with(name: str, state: DeliveryState, last: EventType) -> None:
    scenario = SCENARIOS[name]
    assert (scenario.state, scenario.events[-1][0]) == (state, last)
    assert all(metadata["captured"] is True for _, metadata in scenario.events)
