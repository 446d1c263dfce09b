"""Lists of addresses that people paste."""

from sendryd.accounts.suppression_list import MAX_FAULTS, read_list
from sendryd.accounts.suppressions import MAX_IMPORT
from sendryd.model.suppression import SuppressionReason


def test_addresses_come_with_reasons_of_several_spellings() -> None:
    lines = ["Email,Reason,Created at", "Ann@Example.org,hard_bounce,2026", "bob@example.org", "", "eve@example.org;Complaint"]
    text = "\ufeff" + "\r\n".join([*lines, '"zoe@example.org",hard bounce'])
    assert read_list(text).entries == (
        ("ann@example.org", SuppressionReason.HARD_BOUNCE),
        ("bob@example.org", SuppressionReason.MANUAL),
        ("eve@example.org", SuppressionReason.COMPLAINT),
        ("zoe@example.org", SuppressionReason.HARD_BOUNCE),
    )


def test_an_address_counts_once_and_a_guarded_cell_is_read() -> None:
    assert read_list("a@example.org\nA@EXAMPLE.org,complaint\n'+b@example.org").entries == (
        ("a@example.org", SuppressionReason.MANUAL),
        ("+b@example.org", SuppressionReason.MANUAL),
    )


def test_a_list_with_faults_has_no_entries() -> None:
    found = read_list("a@example.org\nnonsense\nb@example.org,because")
    assert found.entries == ()
    assert found.faults[0].startswith("Line 2: ")
    assert found.faults[1] == "Line 3: 'because' is no reason: write hard_bounce, complaint, unsubscribe, manual."


def test_the_number_of_faults_that_are_named_is_bounded() -> None:
    faults = read_list("nonsense\n" * 100).faults
    assert (len(faults), faults[-1]) == (MAX_FAULTS + 1, "80 more lines are wrong.")


def test_empty_and_oversized_lists_are_refused() -> None:
    assert read_list("").faults == ("The list is empty: write an address on each line.",)
    many = "\n".join(f"u{number}@example.org" for number in range(MAX_IMPORT + 1))
    assert read_list(many).faults == ("The list has 10,001 addresses: import at most 10,000 at once.",)
