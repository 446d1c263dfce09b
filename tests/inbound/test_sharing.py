"""The shares of port 25."""

from sendryd.inbound.sharing import MAX_NETWORKS, ContentShares, MessageRates


def test_one_network_cannot_take_all_the_memory() -> None:
    shares = ContentShares(total=100, per_network=60)
    assert shares.change("a", 0, 60)
    assert not shares.change("a", 0, 1)
    assert shares.change("b", 0, 39)
    assert not shares.change("c", 0, 1)
    assert shares.change("a", 60, 0)
    assert shares.change("a", 1, 0)
    assert shares.change("c", 1, 50)
    assert shares.held == 89


def test_a_network_sends_a_burst_and_then_at_a_rate() -> None:
    rates = MessageRates(rate=2.0, burst=3.0)
    assert [rates.take("a", 10.0) for _ in range(4)] == [True, True, True, False]
    assert rates.take("b", 10.0)
    assert [rates.take("a", 11.0) for _ in range(3)] == [True, True, False]
    assert [rates.take("a", 100.0) for _ in range(4)] == [True, True, True, False]


def test_strangers_do_not_fill_the_memory() -> None:
    rates = MessageRates(rate=1.0, burst=1.0)
    for number in range(MAX_NETWORKS + 5):
        rates.take(str(number), 1.0)
    assert repr(rates) == f"<MessageRates {MAX_NETWORKS} networks>"
