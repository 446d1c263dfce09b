"""Records as text to paste."""

import json

import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.zonelines import RecordEdit, note, terraform, zone_file, zone_line

SPF = RecordEdit(label="SPF", name="acme.example", adds="v=spf1 a:relay.example ~all", deletes=("v=spf1 mx ~all", "v=spf1 -all"))
DKIM = RecordEdit(label="DKIM", name="s._domainkey.acme.example", adds=f"v=DKIM1; k=rsa; p={'A' * 400}")


def read(text: str, name: str) -> bytes:
    """The value that a name server would serve for a zone file's line."""
    head = "@ 3600 IN SOA ns.acme.example. root.acme.example. 1 2 3 4 5\n@ 3600 IN NS ns.acme.example.\n"
    zone = dns.zone.from_text(head + text, origin="acme.example.", relativize=False)
    found = zone.get_rdataset(f"{name}.", dns.rdatatype.TXT)
    assert found is not None
    (record,) = found
    return b"".join(record.strings)


def test_a_zone_file_has_lines_to_add_and_lines_to_delete_as_comments() -> None:
    text = zone_file("acme.example", [SPF, DKIM])
    assert '; delete: acme.example. 3600 IN TXT "v=spf1 mx ~all"\n' in text
    assert read(text, "acme.example") == SPF.adds.encode()
    assert read(text, "s._domainkey.acme.example") == DKIM.adds.encode()


@given(st.text(max_size=700))
def test_every_value_is_read_back_from_its_line(value: str) -> None:
    assert read(zone_line("x.acme.example", value), "x.acme.example") == value.encode("utf-8", "replace")


@pytest.mark.parametrize("hostile", ["v=spf1 ${file(1)} ~all", 'v=spf1 "\n}\nresource', "v=spf1 %{ for x in y } ~all"])
def test_terraform_keeps_hostile_values_in_their_string(hostile: str) -> None:
    text = terraform("acme.example", [RecordEdit(label="SPF", name="acme.example", adds=hostile)])
    (line,) = [each for each in text.splitlines() if each.startswith("  txt")]
    quoted = line.partition("[")[2].removesuffix("]")
    assert json.loads(quoted.replace("$${", "${").replace("%%{", "%{")) == hostile
    assert not any(mark in quoted.replace("$${", "").replace("%%{", "") for mark in ("${", "%{"))


def test_terraform_names_records_within_their_zone() -> None:
    text = terraform("acme.example", [SPF, DKIM])
    assert 'resource "dns_txt_record_set" "dkim_acme_example" {' in text
    assert '  name = "s._domainkey"' in text
    assert text.count("  name =") == 1  # SPF stands at the zone itself
    assert '  # delete: "v=spf1 -all"' in text


def test_a_note_says_what_to_delete_and_to_add_on_one_line_each() -> None:
    text = note(
        "acme.example", [SPF, RecordEdit(label="DMARC", name="_dmarc.acme.example", adds="v=DMARC1;\np=none")], reply_to="a@b.example"
    )
    assert "  delete: v=spf1 mx ~all\n  delete: v=spf1 -all\n  add:    v=spf1 a:relay.example ~all\n" in text
    assert "  add:    v=DMARC1;?p=none\n" in text
    assert text.endswith("Questions go to a@b.example.\n")


def test_names_of_hosts_and_keys_of_servers_have_lines_too() -> None:
    assert zone_line("mta-sts.acme.example", "links.example", "CNAME") == "mta-sts.acme.example. 3600 IN CNAME links.example."
    assert zone_line("_25._tcp.acme.example", "3 1 1 ab", "TLSA") == "_25._tcp.acme.example. 3600 IN TLSA 3 1 1 ab"
    host = RecordEdit(label="host", name="mta-sts.acme.example", adds="links.example", type="CNAME")
    assert 'resource "dns_cname_record" ' in terraform("acme.example", [host])
    assert '  cname = "links.example."' in terraform("acme.example", [host])
