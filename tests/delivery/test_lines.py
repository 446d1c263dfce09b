"""The line of lanes that wait for a place."""

from sendryd.delivery.lines import Line
from sendryd.model.ids import AccountId
from sendryd.model.message import MessageClass

BULK, OTP = (AccountId(1), MessageClass.BULK), (AccountId(1), MessageClass.OTP)
OTHER = (AccountId(2), MessageClass.TRANSACTIONAL)


def test_accounts_and_classes_take_turns_and_lanes_in_the_order_of_their_coming() -> None:
    line = Line()
    for number in range(3):
        line.put(f"b{number}", BULK)
    line.put("other", OTHER)
    line.put("code", OTP)
    line.put("b0", BULK)
    assert [line.take() for _ in range(len(line))] == ["b0", "other", "code", "b1", "b2"]


def test_a_lane_whose_next_mail_is_another_accounts_changes_turns() -> None:
    line = Line()
    line.put("a", BULK)
    line.put("b", BULK)
    line.put("a", OTHER)
    line.remove("nowhere")
    assert [line.take(), line.take()] == ["b", "a"]
    line.put("a", OTHER)
    line.remove("a")
    assert len(line) == 0
