"""What DMARC says of mail from elsewhere."""

from sendryd.policy.dmarc import Authenticated, DmarcResult, find_policy, judge_dmarc
from sendryd.testing.cases import cases

RELAXED = {"v": "DMARC1", "p": "reject"}
STRICT = RELAXED | {"aspf": "s", "adkim": "s"}


def organisation_of(name: str) -> str:
    return ".".join(name.split(".")[-2:])


@cases(
    "policy, spf, dkim, expected",
    (
        (None, "example.net", [], DmarcResult.NONE),
        (RELAXED, "", [], DmarcResult.FAIL),
        (RELAXED, "mail.example.net", [], DmarcResult.PASS),
        (RELAXED, "", ["other.test", "news.example.net"], DmarcResult.PASS),
        (RELAXED, "other.test", ["other.test"], DmarcResult.FAIL),
        (STRICT, "mail.example.net", ["news.example.net"], DmarcResult.FAIL),
        (STRICT, "", ["example.net"], DmarcResult.PASS),
    ),
)
def test_a_proof_counts_if_it_is_of_the_authors_domain(
    policy: dict[str, str] | None, spf: str, dkim: list[str], expected: DmarcResult
) -> None:
    assert judge_dmarc("example.net", policy, Authenticated(spf, dkim), organisation_of) is expected


def test_the_one_policy_is_found() -> None:
    assert find_policy(["v=spf1 -all", "v=DMARC1; p=none"]) == {"v": "DMARC1", "p": "none"}
    assert find_policy(["v=DMARC1; p=none", "v=DMARC1; p=reject"]) is None
    assert find_policy([]) is None
