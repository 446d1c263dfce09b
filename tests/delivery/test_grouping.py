"""Claims as transactions."""

from dataclasses import replace

from sendryd.delivery.grouping import MAX_RECIPIENTS, group_claims
from sendryd.model.message import MessageType
from sendryd.store.base import Claim, ClaimedDelivery
from sendryd.testing.samples import Samples


def claim(domain: str, count: int, *, samples: Samples, is_marketing: bool = False) -> Claim:
    new = samples.message([f"u{number}@{domain}" for number in range(count)])
    message = replace(new.message, type=MessageType.MARKETING if is_marketing else MessageType.TRANSACTIONAL)
    deliveries = tuple(
        ClaimedDelivery(id=each.id, forward_path=each.forward_path, domain=domain, attempts=0, is_in_doubt=False, notify=None, orcpt=None)
        for each in new.deliveries
    )
    return Claim(message=message, domain=domain, deliveries=deliveries, lease=samples.lease())


def test_recipients_share_a_transaction_up_to_its_limit() -> None:
    whole = claim("one.test", 2 * MAX_RECIPIENTS + 1, samples=Samples())
    groups = group_claims([whole], is_one_hop=False)
    assert [len(each.deliveries) for each in groups] == [MAX_RECIPIENTS, MAX_RECIPIENTS, 1]
    assert sum((each.deliveries for each in groups), ()) == whole.deliveries


def test_who_gets_a_copy_of_his_own_has_a_transaction_of_his_own() -> None:
    groups = group_claims([claim("one.test", 3, samples=Samples(), is_marketing=True)], is_one_hop=False)
    assert [len(each.deliveries) for each in groups] == [1, 1, 1]


def test_domains_part_a_message_unless_all_of_it_goes_to_one_server() -> None:
    samples = Samples()
    first, other = claim("one.test", 2, samples=samples), claim("three.test", 1, samples=samples)
    second = replace(claim("two.test", 1, samples=samples), message=first.message, lease=first.lease)
    claims = [first, other, second]
    assert group_claims(claims, is_one_hop=False) == claims
    joined = group_claims(claims, is_one_hop=True)
    assert [[each.domain for each in group.deliveries] for group in joined] == [["one.test", "one.test", "two.test"], ["three.test"]]


def test_a_sending_domains_own_smart_host_parts_a_message_from_the_smart_host_of_all_mail() -> None:
    samples = Samples()
    first = claim("one.test", 1, samples=samples)
    own = replace(claim("relay.test:587", 1, samples=samples), message=first.message, lease=first.lease)
    assert group_claims([first, own], is_one_hop=True) == [first, own]
