"""Records of a sending domain as people and their DNS panels publish them, checked by the real program against a real name server."""

from typing import Any

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.world import World

OURS = "192.0.2.25"  # the address of the program's host name
SPF = {
    f"v=spf1 ip4:{OURS} -all": "",
    "v=spf1 ip4:192.0.2.0/24 -all": "",
    "v=spf1 mx -all": "",
    "v=spf1 include:passes.test ~all": "",
    "v=spf1 redirect=passes.test": "",
    "v=spf1 -all": "does not authorise this server, relay.example.test",
    "v=spf1 include:fails.test -all": "does not authorise",
    f"v=spf1 ipv4:{OURS} ~all": "permanent error, as the term",
    "v=spf1 include:nowhere.test a:relay.example.test ~all": "permanent error, as it includes nowhere.test, which has no SPF record",
    f"v=spf1 {' '.join(f'include:fails{number}.test' for number in range(11))} a:relay.example.test ~all": "more than 10 look-ups",
}


class Panel:
    """Sending domains of the program, with the records that they are to have."""

    def __init__(self, world: World) -> None:
        self.names = world.nameserver
        self._rest = RestClient(world.relay, world.live_key)
        self.names.set("relay.example.test", "A", OURS)

    def add(self, name: str) -> dict[str, Any]:
        added: dict[str, Any] = self._rest.post("/v1/domains", {"name": name})
        return added

    def verify(self, domain: dict[str, Any], name: str) -> tuple[bool, str]:
        """Checks a domain: whether the record at this name holds, and what is wrong with it."""
        self._rest.post(f"/v1/domains/{domain['id']}/verify")
        found = self._rest.get(f"/v1/domains/{domain['id']}")
        (record,) = (each for each in found["dns_records"] if each["name"] == name)
        return record["verified"], record.get("reason", "")


@pytest.fixture
def panel(world: World) -> Panel:
    return Panel(world)


def test_an_spf_record_is_judged_as_receivers_evaluate_it(panel: Panel) -> None:
    domain = panel.add("spf.test")
    panel.names.set("spf.test", "MX", "10 relay.example.test.")
    panel.names.set_text("passes.test", f"v=spf1 ip4:{OURS} -all")
    for name in ("fails.test", *(f"fails{number}.test" for number in range(11))):
        panel.names.set_text(name, "v=spf1 ip4:198.51.100.1 -all")
    for record, says in SPF.items():
        panel.names.set_text("spf.test", "google-site-verification=1", record)
        is_right, reason = panel.verify(domain, "spf.test")
        assert (says in reason, is_right) == (True, not says), record


def test_a_record_at_its_doubled_name_is_found_and_the_check_says_what_to_enter(panel: Panel) -> None:
    domain = panel.add("doubled.test")
    for record in domain["dns_records"]:
        panel.names.set_text(f"{record['name']}.doubled.test", record["value"])
    is_right, reason = panel.verify(domain, "sendry._domainkey.doubled.test")
    assert not is_right
    assert "your DNS panel appends doubled.test to names, so enter sendry._domainkey as the name." in reason
    for record in domain["dns_records"]:
        panel.names.set_text(record["name"], record["value"])
    assert panel.verify(domain, "sendry._domainkey.doubled.test") == (True, "")


def test_the_dmarc_record_of_the_organisational_domain_holds_for_its_subdomain(panel: Panel) -> None:
    domain, name = panel.add("mail.org.test"), "_dmarc.mail.org.test"
    assert "No DMARC record" in panel.verify(domain, name)[1]
    panel.names.set_text("_dmarc.org.test", "v=DMARC1; p=reject")
    assert panel.verify(domain, name) == (True, "")
    panel.names.set_text(name, "v=DMARC1; p=maybe")
    assert not panel.verify(domain, name)[0]
