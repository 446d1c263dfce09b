"""DMARC and TLS reports in the packings and the styles that receivers send."""

import base64
import gzip
import io
import json
import time
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.message.reports.counted import MAX_NUMBER, MAX_OCTETS, MAX_ROWS, MAX_VALUE
from sendryd.message.reports.dmarcreport import NoReport, read_dmarc
from sendryd.message.reports.domainreports import MAX_OF_MAIL, read_domain_reports
from sendryd.message.reports.tlsreports import read_tls
from sendryd.message.reports.unpacking import MAX_UNPACKED, unpack


def record(address: str, number: int, dkim: str = "pass", spf: str = "fail") -> str:
    return (
        f"<record><row><source_ip>{address}</source_ip><count>{number}</count><policy_evaluated><disposition>none</disposition>"
        f"<dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row><identifiers><header_from>example.test</header_from></identifiers>"
        "<auth_results><dkim><domain>example.test</domain><selector>s</selector><result>pass</result></dkim><spf><domain>b.test</domain>"
        "<result>pass</result></spf></auth_results></record>"
    )


def dmarc(*records: str, head: str = '<?xml version="1.0" encoding="UTF-8" ?>', root: str = "feedback") -> bytes:
    return (
        f"{head}<{root}><version>1.0</version><report_metadata><org_name>google.com</org_name><email>noreply@google.com</email>"
        "<report_id>1234</report_id><date_range><begin>1774915200</begin><end>1775001599</end></date_range></report_metadata>"
        "<policy_published><domain>Example.test</domain><adkim>r</adkim><p>none</p><pct>100</pct></policy_published>"
        f"{''.join(records)}</{root.split(maxsplit=1)[0]}>"
    ).encode()


TLS = {
    "organization-name": "Microsoft Corporation",
    "date-range": {"start-datetime": "2026-03-31T00:00:00Z", "end-datetime": "2026-03-31T23:59:59Z"},
    "contact-info": "tlsrpt-noreply@microsoft.com",
    "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "policies": [
        {
            "policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": "example.test", "mx-host": ["mx.test"]},
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8::1",
                    "receiving-mx-hostname": "mx.test",
                    "failed-session-count": 100,
                },
                {"result-type": "starttls-not-supported", "receiving-mx-hostname": "mx.test", "failed-session-count": 200},
            ],
        }
    ],
}


def zipped(octets: bytes, *names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("report.xml",):
            archive.writestr(name, octets)
    return file.getvalue()


def mail(octets: bytes, kind: str, *, filename: str = "", is_whole: bool = False) -> bytes:
    """A mail with this part, or of nothing else."""
    part = f'Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="{filename}"\r\n\r\n'.encode()
    part += base64.encodebytes(octets).replace(b"\n", b"\r\n")
    head = b"From: reports@google.com\r\nSubject: Report domain: example.test\r\n"
    if is_whole:
        return head + part
    text = b"Content-Type: text/plain\r\n\r\nThis is a report.\r\n"
    return head + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + text + b"--b\r\n" + part + b"\r\n--b--\r\n"


XML = dmarc(record("192.0.2.1", 4), record("192.0.2.1", 2), record("203.0.113.9", 3, "fail", "fail"))
MAILS = {
    "zip, as Google": mail(zipped(XML), "application/zip", is_whole=True),
    "gzip, as Yahoo": mail(gzip.compress(XML), "application/gzip"),
    "an old type": mail(gzip.compress(XML), "application/x-gzip"),
    "octets with a name": mail(gzip.compress(XML), "application/octet-stream", filename="r!example.test!1!2.xml.gz"),
    "a text with a name": mail(XML, "text/plain", filename="r.xml"),
    "XML": mail(XML, "text/xml"),
}


ENCODINGS = (
    "utf-8",
    "us-ascii",
    "shift_jis",
    "utf-7",
    "idna",
    "zlib",
    "foo",
    "big5",
    "utf-32",
    "hex",
    "rot13",
    "undefined",
    "utf-16",
    "ISO-8859-15",
)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_report_is_read_whatever_encoding_it_says(encoding: str) -> None:
    octets = dmarc(record("192.0.2.1", 2), head=f'<?xml version="1.0" encoding="{encoding}"?>')
    assert read_dmarc(octets) == read_dmarc(dmarc(record("192.0.2.1", 2)))


def test_a_report_in_octets_that_are_not_utf_8_is_read() -> None:
    text = dmarc(record("192.0.2.1", 2), head="<?xml version='1.0'?>").decode().replace("google.com</org", "gr\xfcn.example</org")
    assert read_dmarc(text.encode("windows-1252")) == read_dmarc(text.encode()) == read_dmarc(text.encode("utf-16"))


@pytest.mark.parametrize("style", MAILS)
def test_a_dmarc_report_is_read_in_each_packing(style: str) -> None:
    (found,) = read_domain_reports(MAILS[style])
    assert (found["topic"], found["domain"], found["reporter"], found["report_key"]) == ("dmarc", "example.test", "google.com", "1234")
    assert (found["begins_at"], found["ends_at"], found["policy"]) == (1774915200, 1775001599, "p=none adkim=r pct=100")
    assert (found["good"], found["bad"]) == (6, 3)
    assert [(row["number"], row["is_good"], row["source"]) for row in found["rows"]] == [(6, True, "192.0.2.1"), (3, False, "203.0.113.9")]
    assert found["rows"][0]["details"]["header_from"] == "example.test"


@pytest.mark.parametrize("kind", ["application/tlsrpt+gzip", "application/gzip", "application/tlsrpt+json"])
def test_a_tls_report_is_read(kind: str) -> None:
    octets = json.dumps(TLS).encode()
    (found,) = read_domain_reports(mail(octets if "json" in kind else gzip.compress(octets), kind))
    assert (found["topic"], found["domain"], found["reporter"], found["policy"]) == ("tls", "example.test", "Microsoft Corporation", "sts")
    assert (found["good"], found["bad"]) == (5326, 303)
    bad = [(row["number"], row["source"], row["details"].get("result")) for row in found["rows"] if not row["is_good"]]
    assert bad == [(200, "mx.test", "starttls-not-supported"), (100, "mx.test", "certificate-expired"), (3, "", None)]


def test_the_namespace_of_rfc_9990_is_read() -> None:
    assert read_dmarc(dmarc(record("192.0.2.1", 1), root='feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"')).good == 1
    prefixed = dmarc(record("192.0.2.1", 1)).replace(b"<", b"<d:").replace(b"<d:/", b"</d:").replace(b"<d:?", b"<?")
    assert read_dmarc(prefixed.replace(b"<d:feedback>", b'<d:feedback xmlns:d="urn:x">', 1)).good == 1


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "octets",
    [
        dmarc(head=BOMB),
        dmarc(head='<!DOCTYPE x SYSTEM "file:///etc/passwd">'),
        dmarc(root="html"),
        dmarc("<a>" * 1000),
        dmarc()[:-5],
        dmarc().replace(b"1774915200", b"-1"),
        dmarc().replace(b"google.com</org_name>", b"</org_name>", 1),
        b"",
        b"\x00\xff",
    ],
)
def test_hostile_and_broken_xml_is_no_report(octets: bytes) -> None:
    with pytest.raises(NoReport):
        read_dmarc(octets)


@pytest.mark.parametrize(
    "octets", [b"{", b"[" * 100_000, b'{"policies": {}}', b'{"policies": [], "organization-name": "x"}', b"{" + b'"a":{' * 50_000]
)
def test_hostile_and_broken_json_is_no_report(octets: bytes) -> None:
    with pytest.raises(NoReport):
        read_tls(octets)


def test_values_of_other_types_are_left_out() -> None:
    odd = {
        **TLS,
        "report-id": [1],
        "policies": [None, {"policy": {"policy-domain": "a.test"}, "summary": {"total-failure-session-count": "7"}}],
    }
    (found,) = read_tls(json.dumps(odd).encode())
    assert (found.domain, found.report_key, found.good, found.bad) == ("a.test", "", 0, 0)


def test_bombs_are_not_unpacked() -> None:
    zeros = b"\0" * (MAX_UNPACKED + 1)
    began = time.process_time()
    assert unpack(gzip.compress(zeros * 8)) is None
    assert unpack(zipped(zeros)) is None
    assert unpack(zipped(XML, "a.xml", "b.xml")) is None  # which of them counts?
    assert time.process_time() - began < 10
    assert unpack(gzip.compress(XML)[:-9]) is None
    lying = bytearray(zipped(XML))
    lying[22:26] = (1).to_bytes(4, "little")  # the size before the file
    assert unpack(bytes(lying)) in {None, XML}
    assert unpack(zlib.compress(XML)) == zlib.compress(XML)  # no archive that we know: left as it is


def test_a_large_report_keeps_its_largest_rows() -> None:
    found = read_dmarc(dmarc(*(record(f"198.51.{number // 250}.{number % 250}", number + 1) for number in range(1000)))).to_json()
    assert found["good"] == sum(range(1, 1001))
    assert [row["number"] for row in found["rows"]] == list(range(1000, 1000 - MAX_ROWS, -1))


@pytest.mark.parametrize("dkim", ["pass", "fail"])
def test_the_numbers_of_a_report_are_cut(dkim: str) -> None:
    found = read_dmarc(dmarc(*(record(f"192.0.2.{number % 2}", 10**12 - 1, dkim, "fail") for number in range(30)))).to_json()
    assert {found["good"], found["bad"]} == {0, MAX_NUMBER}
    assert [row["number"] for row in found["rows"]] == [MAX_NUMBER, MAX_NUMBER]


def kept_octets(rows: object) -> int:
    return len(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize("letter", ["\U00020000", "\u00e4", "&quot;"])
def test_a_small_mail_stores_no_large_report(letter: str) -> None:
    word = letter * 250
    octets = dmarc(*(record(f"{number}{word}", number, word, word).replace("b.test", word) for number in range(200, 0, -1)))
    content = mail(gzip.compress(octets), "application/gzip")
    assert len(content) < 64 * 1024
    (found,) = read_domain_reports(content)
    assert found["bad"] == sum(range(201))
    assert [row["number"] for row in found["rows"]] == list(range(200, 200 - len(found["rows"]), -1))
    assert MAX_OCTETS // 2 < kept_octets(found["rows"]) <= MAX_OCTETS
    assert max(len(text) for row in found["rows"] for text in (row["source"], *row["details"].values())) == MAX_VALUE


def test_a_report_about_many_domains_stores_no_more_than_a_mail_may() -> None:
    word = "\u4e00" * 100
    failures = [{"receiving-mx-hostname": f"{number}{word}", "result-type": word, "failed-session-count": 1} for number in range(40)]
    policies = [
        {
            "policy": {"policy-type": "sts", "policy-domain": f"d{number}.test"},
            "summary": {"total-failure-session-count": 40},
            "failure-details": failures,
        }
        for number in range(100)
    ]
    found = read_domain_reports(mail(gzip.compress(json.dumps({**TLS, "policies": policies}).encode()), "application/gzip"))
    assert len(found) == 100
    assert all(each["rows"] for each in found)
    assert sum(kept_octets(each["rows"]) for each in found) <= MAX_OF_MAIL


@given(st.binary(max_size=300))
def test_arbitrary_octets_raise_nothing(octets: bytes) -> None:
    assert read_domain_reports(octets) == read_domain_reports(mail(octets, "application/gzip")) == []
    unpack(b"\x1f\x8b" + octets)
    unpack(b"PK\x03\x04" + octets)
