"""The record of a domain's logo."""

import pytest

from sendryd.policy.bimi import bimi_name, bimi_value, check_bimi
from sendryd.testing.cases import cases

LOGO = "https://example.test/logo.svg"
VMC = "https://example.test/vmc.pem"


def test_what_to_publish() -> None:
    assert bimi_name("example.test", "default") == "default._bimi.example.test"
    assert bimi_value(LOGO, VMC) == f"v=BIMI1; l={LOGO}; a={VMC};"
    assert bimi_value(LOGO, None) == f"v=BIMI1; l={LOGO}; a=;"


@pytest.mark.parametrize("vmc", [None, VMC])
def test_what_is_to_be_published_is_right(vmc: str | None) -> None:
    assert check_bimi([bimi_value(LOGO, vmc)], LOGO, vmc) == ""
    assert check_bimi(["something else", f"V=bimi1;L={LOGO};A={vmc or ''}"], LOGO, vmc) == ""


@cases(
    ("found", "says"),
    [
        ([], "No BIMI record"),
        (["v=spf1 -all"], "not a BIMI record"),
        ([bimi_value(LOGO, VMC)] * 2, "several"),
        ([bimi_value(LOGO + "z", VMC)], "another logo"),
        (["v=BIMI1; l=; a=;"], "another logo"),
        ([bimi_value(LOGO, None)], "another certificate"),
        ([f"v=BIMI1; l={LOGO}"], "another certificate"),
    ],
)
def test_what_is_wrong_is_said(found: list[str], says: str) -> None:
    assert says in check_bimi(found, LOGO, VMC)
