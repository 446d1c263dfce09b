"""Addresses that name a delivery and cannot be forged."""

from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.ids import DeliveryId
from sendryd.policy.returnpath import MAX_FOUND, find_deliveries, make_return_path, read_local_part

SECRET = b"s" * 64
NUMBERS = st.integers(0, (1 << 63) - 1).map(DeliveryId)


@given(NUMBERS)
def test_an_address_names_its_delivery_in_any_case(number: DeliveryId) -> None:
    local_part, _, domain = make_return_path(SECRET, number, "bounce.example.com").partition("@")
    assert domain == "bounce.example.com"
    assert len(local_part) <= 64
    assert read_local_part(SECRET, local_part) == number
    assert read_local_part(SECRET, local_part.upper()) == number
    assert read_local_part(b"another secret", local_part) is None


@given(NUMBERS, st.integers(2, 30), st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz"))
def test_an_address_with_another_letter_names_none(number: DeliveryId, position: int, letter: str) -> None:
    local_part = make_return_path(SECRET, number, "x.test").partition("@")[0]
    forged = local_part[:position] + letter + local_part[position + 1 :]
    assert read_local_part(SECRET, forged) == (number if forged == local_part else None)


@given(st.text())
def test_whatever_is_given_is_read(text: str) -> None:
    assert read_local_part(SECRET, text) is None
    assert find_deliveries(SECRET, text) == []


def test_addresses_are_found_in_what_is_sent_back() -> None:
    one, two = DeliveryId(1 << 60), DeliveryId(77)
    text = f"Return-Path: <{make_return_path(SECRET, one, 'x.test')}>\nfor {make_return_path(SECRET, two, 'y.test')}; {make_return_path(SECRET, one, 'z')}"
    assert find_deliveries(SECRET, text) == [one, two]
    assert find_deliveries(SECRET, f"{make_return_path(b'another', one, 'x.test')} ") == []


def test_no_more_addresses_are_read_than_a_report_has() -> None:
    text = " ".join(make_return_path(SECRET, DeliveryId(number), "x.test") for number in range(1, 1000))
    assert len(find_deliveries(SECRET, text)) == MAX_FOUND
