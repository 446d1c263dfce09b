"""Settings of a domain: the smart host, its password, and who may name which."""

from dataclasses import replace

import pytest

from sendryd.accounts.domain_settings import BadDomainSetting, CheckedSettings, check_settings
from sendryd.model.domain import DomainSettings
from sendryd.testing.samples import Samples

URL, SHOWN = "smtp://user:s3cret@smtp.example.com:587", "smtp://user@smtp.example.com:587"


def check(url: str, present: DomainSettings | None = None, *, is_operator: bool = False) -> CheckedSettings:
    domain = replace(Samples().domain().domain, settings=present or DomainSettings())
    return check_settings(domain, replace(domain.settings, smarthost=url), pools=(), is_operator=is_operator)


def test_the_password_is_kept_apart_from_the_settings() -> None:
    checked = check(URL)
    assert (checked.settings.smarthost, checked.smarthost_password) == (SHOWN, "s3cret")
    assert "s3cret" not in repr(checked)


def test_a_url_without_a_password_keeps_that_of_the_same_smart_host_alone() -> None:
    present = DomainSettings(smarthost=SHOWN)
    assert check(SHOWN, present).smarthost_password is None
    assert check("smtp://user@smtp.example.com", present).smarthost_password is None
    for other in ("smtp://user@other.example.com:587", "smtp://eve@smtp.example.com", "smtp+notls://user@smtp.example.com:587"):
        assert check(other, present).smarthost_password == ""  # else the password would go to another server


def test_an_empty_text_takes_it_away_with_its_password() -> None:
    checked = check("", DomainSettings(smarthost=SHOWN, smarthost_may_be_private=True))
    assert (checked.settings.smarthost, checked.settings.smarthost_may_be_private, checked.smarthost_password) == ("", False, "")


@pytest.mark.parametrize(
    "url",
    [
        "smtp://u:p@127.0.0.1:25",
        "smtp://u:p@10.0.0.8",
        "smtp://u:p@169.254.169.254:25",
        "smtp://u:p@[::1]:25",
        "smtp://u:p@[::ffff:10.0.0.8]:25",
        "smtp://u:p@smtp.example.com:6379",
        "smtp://u:p@smtp.example.com:22",
    ],
)
def test_only_an_operator_names_private_addresses_and_other_ports(url: str) -> None:
    with pytest.raises(BadDomainSetting, match="only an operator may set"):
        check(url)
    assert check(url, is_operator=True).settings.smarthost_may_be_private


def test_a_change_by_somebody_else_ends_the_operators_leave() -> None:
    present = check("smtp://user:old@smtp.example.com", is_operator=True).settings
    assert present.smarthost_may_be_private
    assert check(present.smarthost, present).settings == present
    assert not check("smtp://user:new@smtp.example.com", present).settings.smarthost_may_be_private


@pytest.mark.parametrize("url", ["smtp.example.com", "smtp://u:s3cret@/x", "smtp://" + "a" * 1001])
def test_what_is_no_smart_host_is_said_without_the_password(url: str) -> None:
    with pytest.raises(BadDomainSetting, match="smarthost: ") as raised:
        check(url)
    assert "s3cret" not in str(raised.value)
