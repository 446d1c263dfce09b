"""Whose claims wait in memory."""

from dataclasses import replace

from sendryd.delivery.crowd import FEW, MANY_WAITING, MAX_WAITING, Crowd
from sendryd.model.ids import AccountId
from sendryd.model.message import MessageClass
from sendryd.store.base import Claim
from sendryd.testing.samples import Samples, claim_of

BULK, OTP = MessageClass.BULK, MessageClass.OTP


def claim(account: int, priority: MessageClass) -> Claim:
    samples = Samples()
    made = claim_of(samples.message(["u@one.test"], account_id=AccountId(account)), samples.lease())
    return replace(made, deliveries=tuple(replace(each, priority=priority) for each in made.deliveries))


def test_who_has_half_of_the_room_gets_no_more_and_others_do() -> None:
    crowd, bulk = Crowd(), claim(1, BULK)
    crowd.note(bulk, MAX_WAITING // 2 - 1)
    assert crowd.served() == frozenset()
    crowd.note(bulk, 1)
    assert crowd.served() == {(AccountId(1), BULK)}
    assert not crowd.has_room((AccountId(1), BULK))
    assert crowd.has_room((AccountId(1), OTP))
    crowd.note(claim(2, BULK), MANY_WAITING)
    assert crowd.served() == {(AccountId(1), BULK)}
    crowd.note(claim(2, BULK), MAX_WAITING // 3)
    assert crowd.served() == {(AccountId(1), BULK), (AccountId(2), BULK)}


def test_the_door_hands_over_a_few_while_there_is_no_room() -> None:
    crowd = Crowd()
    for account in range(1, 21):
        crowd.note(claim(account, BULK), MAX_WAITING // 20)
    code = AccountId(50), OTP
    assert crowd.has_room(code)
    assert not crowd.has_room((AccountId(1), BULK))
    crowd.note(claim(50, OTP), FEW)
    assert not crowd.has_room(code)
    crowd.note(claim(50, OTP), -FEW)
    assert crowd.has_room(code)
    crowd.note(claim(1, BULK), MAX_WAITING)
    assert not crowd.has_room(code)
