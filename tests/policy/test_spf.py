"""What receivers make of an SPF record (RFC 7208). The whole of the OpenSPF test suite has passed; these cases have its kinds, written anew."""

import ipaddress
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.spf import MAX_LOOKUP_TERMS, SpfAnswer, SpfQuery, SpfResult, SpfVerdict, check_host
from sendryd.policy.spfrecord import BadRecord, parse_record
from sendryd.testing.cases import cases

FOUR, SIX = "192.0.2.25", "2001:db8::25"
Zone = Mapping[tuple[str, str], SpfAnswer]


class Asked:
    """Evaluates with the answers of a zone, and remembers what was asked."""

    def __init__(self, zone: Zone) -> None:
        self.zone = {(name.lower(), kind): answer for (name, kind), answer in zone.items()}
        self.queries: list[SpfQuery] = []

    def check(self, address: str, domain: str = "d.test", sender: str = "ann.b@d.test", helo: str = "mail.d.test") -> SpfVerdict:
        evaluation = check_host(ipaddress.ip_address(address), domain, sender=sender, helo=helo)
        try:
            query = next(evaluation)
            while True:
                self.queries.append(query)
                query = evaluation.send(self.zone.get((query.name.lower(), query.kind), ()))
        except StopIteration as done:
            verdict: SpfVerdict = done.value
            return verdict


def result(record: str, zone: Zone | None = None, address: str = FOUR) -> str:
    return Asked({("d.test", "TXT"): (record,), **(zone or {})}).check(address).result.value


HOSTS: Zone = {
    ("h.test", "A"): ("198.51.100.1", FOUR),
    ("h.test", "AAAA"): (SIX,),
    ("near.test", "A"): ("192.0.2.1",),
    ("near.test", "AAAA"): ("2001:db8::1",),
    ("d.test", "A"): (FOUR,),
    ("d.test", "MX"): ("far.test", "h.test"),
    ("far.test", "A"): ("198.51.100.9",),
    ("p.test", "TXT"): (f"v=spf1 ip4:{FOUR} -all",),
    ("f.test", "TXT"): ("v=spf1 -all",),
    ("s.test", "TXT"): ("v=spf1 ~all",),
    ("n.test", "TXT"): ("unrelated",),
    ("bad.test", "TXT"): ("v=spf1 moo",),
    ("away.test", "TXT"): None,
    ("away.test", "A"): None,
    ("25.2.0.192.in-addr.arpa", "PTR"): ("h.test", "x.h.test", "liar.test"),
    ("x.h.test", "A"): (FOUR,),
    ("liar.test", "A"): ("198.51.100.1",),
}


@cases(
    ("record", "expected"),
    [
        ("v=spf1 ?all", "neutral"),
        ("v=spf1 ~all", "softfail"),
        ("v=spf1", "neutral"),
        ("V=SPF1  ALL  ", "pass"),
        ("v=spf1 -all +all", "fail"),
        (f"v=spf1 ip4:{FOUR} -all", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
        ("v=spf1 ip4:192.0.2.99/0 -all", "pass"),
        ("v=spf1 ip4:192.0.2.0/28 -all", "fail"),
        ("v=spf1 ip6:::ffff:192.0.2.25 -all", "fail"),
        ("v=spf1 ip6:2001:db8::/32 -all", "fail"),
        ("v=spf1 a -all", "pass"),
        ("v=spf1 a:h.test -all", "pass"),
        ("v=spf1 a:near.test -all", "fail"),
        ("v=spf1 a:near.test/24 -all", "pass"),
        ("v=spf1 a:near.test/24//64 -all", "pass"),
        ("v=spf1 a:near.test//0 -all", "fail"),
        ("v=spf1 mx -all", "pass"),
        ("v=spf1 mx:near.test -all", "fail"),
        ("v=spf1 ptr:h.test -all", "pass"),
        ("v=spf1 ptr:liar.test -all", "fail"),
        ("v=spf1 ptr -all", "fail"),
        ("v=spf1 exists:h.test -all", "pass"),
        ("v=spf1 exists:gone.test -all", "fail"),
        ("v=spf1 include:p.test -all", "pass"),
        ("v=spf1 include:f.test ~all", "softfail"),
        ("v=spf1 include:s.test ?all", "neutral"),
        ("v=spf1 -include:p.test +all", "fail"),
        ("v=spf1 include:n.test +all", "permerror"),
        ("v=spf1 include:gone.test +all", "permerror"),
        ("v=spf1 include:bad.test +all", "permerror"),
        ("v=spf1 include:away.test +all", "temperror"),
        ("v=spf1 a:away.test +all", "temperror"),
        ("v=spf1 redirect=p.test", "pass"),
        ("v=spf1 redirect=f.test ?all", "neutral"),
        ("v=spf1 redirect=n.test", "permerror"),
        ("v=spf1 redirect=away.test", "temperror"),
        ("v=spf1 moo=%{d}/and:more exp=e.test -all", "fail"),
    ],
)
def test_a_record_is_evaluated_term_by_term(record: str, expected: str) -> None:
    assert result(record, HOSTS) == expected


@cases(
    "term",
    [
        *(
            "ipv4:192.0.2.25",
            "include",
            "include:",
            "include:x.test,",
            "~",
            "all:",
            "all/8",
            "+",
            "-",
            "a:",
            "a/",
            "a/33",
            "a/08",
            "a//129",
        ),
        *(
            "ip4",
            "ip4:192.0.2",
            "ip4:192.0.2.25/",
            "ip4:192.0.2.25/33",
            "ip4:h.test",
            "ip6:192.0.2.25",
            "ip6:2001:db8::/129",
            "ip6:fe80::1%1",
        ),
        *("a:h", "a:h.test/24/64", "mx:h.1", "exists", "exists:%{x}.test", "exists:%{d0}.test", "exists:%{d}", "a:%{c}.test", "a:50%.test"),
        *(
            "redirect=",
            "redirect=h",
            "redirect=a.test redirect=b.test",
            "exp=x.test exp=y.test",
            "moo=%",
            "a:h..",
            "++all",
            "-:all",
            "ptr:",
        ),
        *("a:h.test\t", "\u00e4:h.test", "a:h.test-", "include:h._test", "all=x y="),
    ],
)
def test_one_wrong_term_anywhere_is_a_permanent_error(term: str) -> None:
    if term in {"exists:%{d}", "all=x y="}:  # right after all: a macro may end a name, and modifiers may be unknown
        assert result(f"v=spf1 +all {term}") == "pass"
    else:
        assert result(f"v=spf1 +all {term}") == "permerror"


@cases(
    ("record", "asked"),
    [
        ("exists:%{i}.%{v}.test", "192.0.2.25.in-addr.test"),
        ("exists:%{ir}.%{d}", "25.2.0.192.d.test"),
        ("exists:%{l}.%{o}", "ann.b.d.test"),
        ("exists:%{l1r.}.%{d1}.test", "ann.test.test"),
        ("exists:%{lr}.%{s}.test", "b.ann.ann.b@d.test.test"),
        ("exists:%{S}.test", "ann.b%40d.test.test"),
        ("exists:%{h2}.x.test", "d.test.x.test"),
        ("exists:%%%_%-.test", "% %20.test"),
        ("exists:%{d-.}.test", "d.test.test"),
        ("exists:%{p}.x.test", "h.test.x.test"),
    ],
)
def test_macros_make_names(record: str, asked: str) -> None:
    world = Asked({**HOSTS, ("d.test", "TXT"): (f"v=spf1 {record} -all",)})
    world.check(FOUR)
    assert world.queries[-1] == SpfQuery(asked, "A")


def test_an_ipv6_address_is_spelled_out_in_a_macro() -> None:
    world = Asked({("d.test", "TXT"): ("v=spf1 exists:%{ir}.%{v}._spf.test -all",)})
    world.check(SIX)
    assert world.queries[-1].name == "5.2.0.0." + "0." * 20 + "8.b.d.0.1.0.0.2.ip6._spf.test"


@cases(
    ("record", "expected"),
    [
        ("a:h.test", "pass"),
        ("a:near.test", "fail"),
        ("a:near.test//64", "pass"),
        ("mx", "pass"),
        ("ip6:2001:db8::/32", "pass"),
        ("ip4:0.0.0.0/0", "fail"),
    ],
)
def test_ipv6_is_evaluated_for_itself(record: str, expected: str) -> None:
    assert result(f"v=spf1 {record} -all", HOSTS, SIX) == expected


def test_a_mapped_address_is_ipv4() -> None:
    assert result(f"v=spf1 ip4:{FOUR} -all", address=f"::ffff:{FOUR}") == "pass"


@pytest.mark.parametrize("term", ["include:f.test", "a:far.test", "mx:e.test", "ptr:far.test"])
def test_ten_terms_may_look_something_up(term: str) -> None:
    zone = {**HOSTS, ("e.test", "MX"): ("far.test",)}
    ten = " ".join([term] * MAX_LOOKUP_TERMS)
    assert result(f"v=spf1 {ten} ip4:{FOUR} -all", zone) == "pass"
    assert result(f"v=spf1 {ten} a:far.test ip4:{FOUR} -all", zone) == "permerror"


def test_terms_of_included_records_count_and_a_circle_ends() -> None:
    assert result("v=spf1 include:d.test -all") == "permerror"
    assert result("v=spf1 redirect=d.test") == "permerror"
    chain: Zone = {(f"c{number}.test", "TXT"): (f"v=spf1 include:c{number + 1}.test -all",) for number in range(9)}
    assert result("v=spf1 include:c0.test ~all", {**chain, ("c9.test", "TXT"): ("v=spf1 +all",)}) == "pass"
    assert result("v=spf1 include:c0.test ~all", {**chain, ("c9.test", "TXT"): ("v=spf1 a:h.test +all",)}) == "permerror"


def test_two_void_look_ups_are_allowed() -> None:
    assert result("v=spf1 a:x.test mx:y.test +all") == "pass"
    assert result("v=spf1 a:x.test mx:y.test exists:z.test +all") == "permerror"
    assert result("v=spf1 a:" + "x" * 64 + ".test +all") == "pass"  # what cannot be looked up is not there


def test_a_name_has_ten_exchangers_and_ten_pointers_count() -> None:
    hosts = tuple(f"m{number}.test" for number in range(11))
    zone: Zone = {("d.test", "MX"): hosts, **{(host, "A"): ("198.51.100.1",) for host in hosts}}
    assert result("v=spf1 mx -all", zone) == "permerror"
    assert result("v=spf1 mx -all", {**zone, ("d.test", "MX"): hosts[:10]}) == "fail"
    pointers = (*(f"x{number}.test" for number in range(10)), "p.d.test")
    assert result("v=spf1 ptr -all", {("25.2.0.192.in-addr.arpa", "PTR"): pointers, ("p.d.test", "A"): (FOUR,)}) == "fail"


def test_dns_that_fails_makes_no_pointer() -> None:
    assert result("v=spf1 ptr ~all", {("25.2.0.192.in-addr.arpa", "PTR"): None}) == "softfail"
    assert result("v=spf1 ptr:d.test ~all", {("25.2.0.192.in-addr.arpa", "PTR"): ("d.test",), ("d.test", "A"): None}) == "softfail"


@cases(
    ("domain", "texts", "expected"),
    [
        ("d.test", (), "none"),
        ("d.test", ("unrelated", "v=spf10 -all"), "none"),
        ("d.test", ("v=spf1 -all", "v=spf1 -all"), "permerror"),
        ("d.test", None, "temperror"),
        ("localhost", ("v=spf1 -all",), "none"),
        ("a..test", ("v=spf1 -all",), "none"),
        ("x" * 64 + ".test", ("v=spf1 -all",), "none"),
    ],
)
def test_what_is_no_record_is_none(domain: str, texts: SpfAnswer, expected: str) -> None:
    assert Asked({(domain, "TXT"): texts}).check(FOUR, domain).result.value == expected


def test_a_long_name_loses_its_first_labels() -> None:
    world = Asked({("d.test", "TXT"): ("v=spf1 exists:" + "%{l}." * 40 + "x.test -all",)})
    assert world.check(FOUR, sender="longlocalpart@d.test").result is SpfResult.FAIL
    assert len(world.queries[-1].name) <= 253
    assert world.queries[-1].name.endswith(".longlocalpart.x.test")


TERMS = st.sampled_from(
    [
        "a",
        "mx",
        "ptr",
        "all",
        "-all",
        "include:d.test",
        "redirect=d.test",
        "exists:%{ir}.d.test",
        "a:%{p}.test",
        "ip4:192.0.2.0/24",
        "?a:x.test",
    ]
)


@given(st.lists(TERMS | st.text(max_size=12), max_size=15), st.sampled_from([FOUR, SIX]), st.sampled_from([(), None, (FOUR,)]))
def test_evaluation_of_any_record_ends(terms: list[str], address: str, answer: SpfAnswer) -> None:
    record = "v=spf1 " + " ".join(terms)
    world = Asked({("d.test", "TXT"): (record,), ("d.test", "A"): answer, ("d.test", "MX"): ("d.test",) * 10})
    assert world.check(address).result in SpfResult
    assert len(world.queries) <= 400
    try:
        parse_record(record)
    except BadRecord as error:
        assert str(error)
