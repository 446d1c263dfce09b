"""What is remembered of the TLS of mail servers, and for how long."""

from sendryd.delivery.tls_memory import BROKEN_TIME, MAX_HOSTS, WORKING_TIME, TlsMemory
from sendryd.policy.tls import CLEAR_TEXT, ENCRYPTED, ENCRYPTED_WEAK, OPPORTUNISTIC


def test_what_is_known_of_a_host_ends() -> None:
    memory = TlsMemory()
    memory.note_broken("mx", 0.0, is_certain=False)
    assert memory.requirement("mx", 1.0, is_retry=False) == OPPORTUNISTIC
    memory.note_broken("mx", 1.0, is_certain=False)
    assert memory.requirement("mx", 2.0, is_retry=False) == CLEAR_TEXT
    assert memory.requirement("mx", 2.0, is_retry=True) == OPPORTUNISTIC
    assert memory.requirement("mx", 1.0 + BROKEN_TIME, is_retry=False) == OPPORTUNISTIC
    memory.note_working("mx", 0.0, is_weak=True)
    memory.note_broken("mx", 1.0, is_certain=True)
    assert memory.requirement("mx", 2.0, is_retry=False) == ENCRYPTED_WEAK
    assert memory.requirement("mx", WORKING_TIME, is_retry=True) == OPPORTUNISTIC
    memory.forget("mx")
    assert memory.requirement("mx", 2.0, is_retry=False) == OPPORTUNISTIC


def test_few_hosts_are_remembered_of_very_many() -> None:
    memory = TlsMemory()
    for number in range(MAX_HOSTS + 1):
        memory.note_working(f"mx{number}", 0.0, is_weak=False)
    assert memory.requirement("mx0", 1.0, is_retry=False) == OPPORTUNISTIC
    assert memory.requirement("mx1", 1.0, is_retry=False) == ENCRYPTED
