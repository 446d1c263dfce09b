"""Claims as transactions: what goes to a receiving server at once, and is recorded at once. Pure.

A message whose recipients get copies of their own takes a transaction for each of them. Whatever is cut is recorded as soon as its own
transaction has ended, so a kill repeats that one and no other, and no lease has to outlast a thousand of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from sendryd.policy.smarthost import lane_of
from sendryd.store.base import Claim

MAX_RECIPIENTS: Final = 50  # of one transaction: what Postfix sends (default_destination_recipient_limit)


def group_claims(claims: Sequence[Claim], *, is_one_hop: bool) -> list[Claim]:
    """The claims, each for one transaction. With `is_one_hop` all of them go to the same server, so domains are no reason to part; lanes of
    sending domains' own smart hosts are.
    """
    if len(claims) == 1 and len(claims[0].deliveries) == 1:  # most mail
        return list(claims)
    joined = _join(claims) if is_one_hop and len(claims) > 1 else claims
    return [part for claim in joined for part in _cut(claim)]


def _join(claims: Sequence[Claim]) -> Iterable[Claim]:
    by_hop: dict[tuple[int, int, str, str], Claim] = {}
    for claim in claims:
        key = claim.message.id, claim.lease.token, lane_of(claim.domain), claim.detour
        first = by_hop.get(key)
        by_hop[key] = claim if first is None else replace(first, deliveries=first.deliveries + claim.deliveries)
    return by_hop.values()


def _cut(claim: Claim) -> Iterable[Claim]:
    size = 1 if claim.message.is_personal else MAX_RECIPIENTS
    if len(claim.deliveries) <= size:
        return (claim,)
    starts = range(0, len(claim.deliveries), size)
    return (replace(claim, deliveries=claim.deliveries[start : start + size]) for start in starts)
