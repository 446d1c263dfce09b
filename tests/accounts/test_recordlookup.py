"""Whose answer a check judges by, and what it keeps of the others."""

from sendryd.accounts.recordlookup import RecordLookup
from sendryd.model.domain import RESOLVER, RecordPurpose
from sendryd.policy.dnsrecords import Unknown

from .test_domains import Zone

NAME = "acme.example"
OLD, NEW = "v=spf1 mx ~all", "v=spf1 a:relay.example ~all"


class Servers:
    """Authoritative servers with an answer each; None: silent."""

    def __init__(self, **answers: tuple[str, ...] | None) -> None:
        self.answers = answers

    async def list_servers(self, _domain: str) -> tuple[str, ...]:
        return tuple(self.answers)

    async def texts(self, server: str, _name: str) -> tuple[str, ...] | None:
        return self.answers[server]


async def look(resolver: tuple[str, ...] | None, **answers: tuple[str, ...] | None) -> tuple[object, list[tuple[object, tuple[str, ...]]]]:
    zone = Zone()
    if resolver is None:
        zone.silent.add(NAME)
    else:
        zone.texts[NAME] = resolver
    found = await RecordLookup(zone, Servers(**answers)).find(NAME, RecordPurpose.SPF, NAME)
    texts = None if isinstance(found.texts, Unknown) else found.texts
    return texts, [(each.texts, each.servers) for each in found.sightings]


async def test_all_that_agree_are_one_sighting() -> None:
    texts, sightings = await look((NEW, "other=1"), ns1=(NEW,), ns2=(NEW,))
    assert texts == (NEW,)
    assert sightings == [((NEW,), ("ns1", "ns2", RESOLVER))]


async def test_the_authoritative_servers_know_before_the_resolver() -> None:
    texts, sightings = await look((OLD,), ns1=(NEW,), ns2=None)
    assert texts == (NEW,)
    assert sightings == [((NEW,), ("ns1",)), (None, ("ns2",)), ((OLD,), (RESOLVER,))]


async def test_the_resolver_decides_where_servers_differ_or_are_silent() -> None:
    texts, sightings = await look((OLD,), ns1=(NEW,), ns2=(OLD,))
    assert texts == (OLD,)
    assert sightings == [((OLD,), ("ns2", RESOLVER)), ((NEW,), ("ns1",))]
    assert (await look((OLD,), ns1=None))[0] == (OLD,)
    assert await look((OLD,)) == ((OLD,), [((OLD,), (RESOLVER,))])


async def test_without_an_answer_of_the_resolver_nothing_is_known() -> None:
    texts, sightings = await look(None, ns1=(NEW,))
    assert texts is None
    assert sightings == [(None, (RESOLVER,)), ((NEW,), ("ns1",))]
