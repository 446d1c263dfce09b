"""The mail servers of providers that work."""

from sendryd.delivery.goodhosts import MAX_HOSTS, MAX_SITES, RECENT, GoodHosts


def test_a_failure_tells_of_a_provider_if_the_server_has_worked_or_none_has() -> None:
    good = GoodHosts()
    assert good.speak_for("big", ["www.big.test"], 0.0)
    good.note_success("big", ["mx.big.test"], 0.0)
    assert not good.speak_for("big", ["www.big.test"], RECENT)
    assert good.speak_for("big", ["www.big.test", "mx.big.test"], RECENT)
    assert good.speak_for("other", ["www.big.test"], RECENT)
    good.note_success("big", ["mx2.big.test"], RECENT)
    assert not good.speak_for("big", ["mx.big.test"], RECENT + 1.0)
    assert good.speak_for("big", ["www.big.test"], 2 * RECENT + 1.0)


def test_so_many_are_remembered() -> None:
    good = GoodHosts()
    for number in range(MAX_HOSTS + 1):
        good.note_success("big", [f"mx{number}.big.test"], 0.0)
    assert not good.speak_for("big", ["mx0.big.test"], 0.0)
    assert good.speak_for("big", ["mx1.big.test"], 0.0)
    for number in range(MAX_SITES):
        good.note_success(f"site{number}", ["mx.test"], 0.0)
    assert good.speak_for("big", ["mx0.big.test"], 0.0)
