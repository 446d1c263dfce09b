"""Counts that the processes of a cluster keep together: what quotas allow, and what keys have used of their rate limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, ApiKeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How many messages of one mode an account, or one of its keys, may send in a period. Periods begin at multiples of their length."""

    account_id: AccountId
    api_key_id: ApiKeyId | None  # None: the whole account
    mode: KeyMode
    count: int
    period: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaTake:
    """Messages that are to be counted for several allowances: for all or for none."""

    number: int
    allowances: tuple[Allowance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaReturn:
    """Messages that were counted and not accepted. They are uncounted if the period in which they were made goes on."""

    number: int
    allowance: Allowance
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedUp:
    """Why messages were not counted."""

    allowance: Allowance
    seconds: float  # until its period ends


class SharedCounts(Protocol):
    """The operations of a cluster's counts. The server's clock alone says which period it is."""

    async def take_quotas(self, takes: Sequence[QuotaTake], returned: Sequence[QuotaReturn]) -> list[UsedUp | None]:
        """Uncounts what was returned, then counts each of the takes if all its allowances have room. None: it was counted.

        An allowance that was not counted before begins with what was accepted in its period so far. Raises `StoreUnavailable`.
        """
        ...

    async def share_rates(self, used: Mapping[int, int], *, count: int, period: float) -> dict[int, float]:
        """Takes what keys have used from their buckets, of `count` tokens that fill in `period` seconds. Returns what is in these buckets, and in those
        that others have used lately; less than nothing where more was used than there was. Raises `StoreUnavailable`.
        """
        ...

    async def forget_counts(self) -> None:
        """Deletes counts of periods that are over and of keys that are not used any more. Raises `StoreUnavailable`."""
        ...
