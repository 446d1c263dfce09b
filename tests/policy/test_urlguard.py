"""URLs that webhooks may have, and those by which somebody would reach what only we can reach."""

from urllib.parse import urlsplit

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.provisional import domains

from sendryd.policy.destinations import is_public
from sendryd.policy.urlguard import MAX_URL, UrlRefused, check_url
from sendryd.testing.cases import cases


@cases(
    ("given_url", "expected"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com/"),
        ("HTTPS://Example.COM./Hook", "https://example.com/Hook"),
        ("http://example.com:80/a?b=c&d=%2F", "http://example.com/a?b=c&d=%2F"),
        ("https://example.com:0443/", "https://example.com/"),
        ("https://example.com:8443/a//b/../c", "https://example.com:8443/a//b/../c"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://1.1.1.1/", "https://1.1.1.1/"),
        ("https://[2606:4700:4700:0:0:0:0:1111]:8080/x", "https://[2606:4700:4700::1111]:8080/x"),
        ("https://hooks_in.example.com/a'b(c)", "https://hooks_in.example.com/a'b(c)"),
        ('https://example.com/"<>^`{|}', "https://example.com/%22%3C%3E%5E%60%7B%7C%7D"),
        ("https://203-0-113-5.example.com/", "https://203-0-113-5.example.com/"),
        ("https://app.8.8.8.8.nip.io/", "https://app.8.8.8.8.nip.io/"),
        ("https://app.8-8-8-8.sslip.io/", "https://app.8-8-8-8.sslip.io/"),
    ],
)
def test_urls_come_out_in_one_form(given_url: str, expected: str) -> None:
    assert check_url(given_url, allow_private=False) == expected


PRIVATE = [
    "http://127.0.0.1/", "http://0.0.0.0/", "http://localhost/", "http://LOCALHOST./", "http://a.localhost/", "http://１２７.0.0.1/", "http://127。0。0。1/",
    "http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::FFFF:7f00:1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::a00:1]/", "http://[64:ff9b:1:7f00:0:108:808:808]/", "http://[2002:7f00:1::]/", "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[fe80::1]/", "http://[fc00::1]/", "http://[fec0::1]/", "http://[ff02::1]/", "http://10.0.0.1/", "http://172.16.0.1:8080/", "http://192.168.1.1/",
    "http://100.64.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://100.100.100.200/", "http://168.63.129.16/",
    "http://192.0.0.1/", "http://198.18.0.1/", "http://224.0.0.1/", "http://240.0.0.1/", "http://255.255.255.255/", "http://metadata.google.internal/",
    "http://metadata/", "http://db/", "http://printer.local/", "http://x.home.arpa/", "http://127.0.0.1.nip.io/", "http://a.10-0-0-1.sslip.io/",
    "http://7f000001.nip.io/", "http://app-c0a80101.nip.io/", "http://hooks.default.svc/",
]  # fmt: skip


@cases("url", PRIVATE)
def test_what_only_we_can_reach_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused, match="SENDRYD_ALLOW_PRIVATE_NETWORKS"):
        check_url(url, allow_private=False)


@cases("url", PRIVATE)
def test_and_reached_where_that_is_allowed(url: str) -> None:
    assert check_url(url, allow_private=True).startswith("http://")


@cases("allow_private", [False, True])
@cases(
    ("url", "reason"),
    [
        ("http://127.1/", "four numbers"),
        ("http://0/", "four numbers"),
        ("http://2130706433/", "four numbers"),
        ("http://0x7f.1/", "four numbers"),
        ("http://0x7f000001/", "four numbers"),
        ("http://0177.0.0.1/", "four numbers"),
        ("http://1.2.3.4.5/", "four numbers"),
        ("http://1.1.1.256/", "four numbers"),
        ("http://example.0x/", "four numbers"),
        ("http://[fe80::1%25lo]/", "host and port"),
        ("http://[fe80::1%lo]/", "host and port"),
        ("http://[::1]evil/", "host and port"),
        ("http://[::1/", "host and port"),
        ("http://::1/", "host and port"),
        ("http://[:::]/", "IPv6"),
        ("http://[127.0.0.1]/", "IPv6"),
        ("http://acme.com@127.0.0.1/", "user name"),
        ("http://user:pass@example.com/", "user name"),
        ("http://example.com@/", "user name"),
        ("http://acme.com\\@127.0.0.1/", "backslashes"),
        ("http://acme.com\t@127.0.0.1/", "control characters"),
        ("http://exa\tmple.com/", "control characters"),
        ("http://example.com/a b", "spaces"),
        (" http://example.com/", "spaces"),
        ("http://example.com/\r\nX: y", "control characters"),
        ("http://example.com/\0", "control characters"),
        ("http://example.com/\u2028", "control characters"),
        ("http://example.com/\ud800", "control characters"),
        ("http://exam\u00adple.com/", "control characters"),
        ("http://example.com/#part", "fragment"),
        ("http://example.com#@127.0.0.1/", "fragment"),
        ("ftp://example.com/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://example.com/", "https://"),
        ("unix:/run/x", "https://"),
        ("ws://example.com/", "https://"),
        ("http\u017f://example.com/", "https://"),
        ("http:/example.com/", "https://"),
        ("//example.com/", "https://"),
        ("example.com", "https://"),
        ("", "https://"),
        ("http://", "host and port"),
        ("http:///path", "host and port"),
        ("http://:80/", "host and port"),
        ("http://example.com:/", "host and port"),
        ("http://example.com:80:80/", "host and port"),
        ("http://example.com:-1/", "host and port"),
        ("http://example.com:٣/", "host and port"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:22/", "port 22"),
        ("http://example.com:25/", "port 25"),
        ("http://example.com:587/", "port 587"),
        ("http://example.com:6379/", "well-known"),
        ("http://example.com:65536/", "port 65536"),
        ("http://example.com:99999/", "port 99999"),
        ("http://example.com:" + "9" * 500 + "/", "port 65536"),
        ("http://exa_mple-.com/", "host name"),
        ("http://-a.com/", "host name"),
        ("http://a..com/", "host name"),
        ("http://.com/", "host name"),
        ("http://example.com../", "host name"),
        ("http://a%2eb.com/", "host name"),
        ("http://127.0.0.1%23.example.com/", "host name"),
        ("http://" + "a" * 64 + ".com/", "host name"),
        ("http://" + "a." * 127 + "com/", "host name"),
        ("http://xn--99999999.com/", "international"),
        ("http://\u2603\u200d.com/", "control|international"),
        ("http://example.com/" + "a" * MAX_URL, "too long"),
    ],
)
def test_what_has_to_be_guessed_at_is_refused_in_any_case(url: str, reason: str, allow_private: bool) -> None:
    with pytest.raises(UrlRefused, match=reason):
        check_url(url, allow_private=allow_private)


def test_a_refusal_is_one_sentence_without_line_breaks() -> None:
    for url in ("http://b\u0338d_.com/", "http://127.1/", "http://example.com:22/"):
        with pytest.raises(UrlRefused) as refused:
            check_url(url, allow_private=False)
        assert "\n" not in str(refused.value)
        assert not str(refused.value).endswith(".")


HOSTS = st.one_of(st.sampled_from([url.split("/")[2] for url in PRIVATE]), domains(), st.text(max_size=30), st.ip_addresses().map(str))


@given(
    st.sampled_from(["http://", "https://", "HTTPS://", "https:/", ""]),
    st.sampled_from(["", "user@", "a:b@"]),
    HOSTS,
    st.sampled_from(["", ":80", ":8080", ":22", ":x"]),
    st.text(max_size=30).map(lambda text: "/" + text),
    st.booleans(),
)
def test_what_passes_is_read_alike_by_all(scheme: str, user: str, host: str, port: str, path: str, allow_private: bool) -> None:
    try:
        url = check_url(scheme + user + host + port + path, allow_private=allow_private)
    except UrlRefused:
        return
    assert check_url(url, allow_private=allow_private) == url
    assert url.isascii()
    assert url.isprintable()
    ours = url.split("/")[2].rpartition(":")[0] if url.split("/")[2].rpartition(":")[2].isdigit() else url.split("/")[2]
    standard, other = urlsplit(url), httptools.parse_url(url.encode())
    assert standard.hostname == other.host.decode() == ours.strip("[]")
    assert not standard.username
    assert not other.userinfo
    if not allow_private and standard.hostname[:1].isdigit() and standard.hostname.replace(".", "").isdigit():
        assert is_public(standard.hostname)
