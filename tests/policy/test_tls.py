"""What a server must give, and what is tried next when its TLS fails."""

from sendryd.policy.tls import (
    CLEAR_TEXT,
    ENCRYPTED,
    ENCRYPTED_WEAK,
    IMPLICIT,
    OPPORTUNISTIC,
    OPPORTUNISTIC_WEAK,
    TlsaRecord,
    TlsMode,
    TlsRequirement,
    TlsTrouble,
    enforced,
    fall_back,
)
from sendryd.testing.cases import cases

RECORD = TlsaRecord(3, 1, 1, b"\0" * 32)
AUTHENTICATED = [
    enforced("mx.test"),
    TlsRequirement(mode=TlsMode.REQUIRED, is_pkix=True),
    TlsRequirement(mode=TlsMode.REQUIRED, names=("mx.test", "example.test")),
    TlsRequirement(mode=TlsMode.REQUIRED, dane=(RECORD,)),
]


@cases("trouble", TlsTrouble)
@cases("requirement", [*AUTHENTICATED, CLEAR_TEXT])
def test_a_server_that_must_prove_who_it_is_has_no_fallback(requirement: TlsRequirement, trouble: TlsTrouble) -> None:
    assert fall_back(requirement, trouble) is None


@cases(
    ("requirement", "trouble", "then"),
    [
        (OPPORTUNISTIC, TlsTrouble.FAILED, OPPORTUNISTIC_WEAK),
        (OPPORTUNISTIC, TlsTrouble.CLOSED, OPPORTUNISTIC_WEAK),
        (OPPORTUNISTIC, TlsTrouble.REFUSED, CLEAR_TEXT),
        (OPPORTUNISTIC, TlsTrouble.SILENT, CLEAR_TEXT),
        (OPPORTUNISTIC, TlsTrouble.SESSION, CLEAR_TEXT),
        (OPPORTUNISTIC_WEAK, TlsTrouble.FAILED, CLEAR_TEXT),
        (ENCRYPTED, TlsTrouble.FAILED, ENCRYPTED_WEAK),
        (ENCRYPTED, TlsTrouble.REFUSED, None),
        (ENCRYPTED_WEAK, TlsTrouble.FAILED, None),
        (IMPLICIT, TlsTrouble.SILENT, None),
    ],
)
def test_weak_parameters_go_before_clear_text(requirement: TlsRequirement, trouble: TlsTrouble, then: TlsRequirement | None) -> None:
    assert fall_back(requirement, trouble) == then
