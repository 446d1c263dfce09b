"""What one check of the installation finds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Check(StrEnum):
    """The checks, in the order in which faults are mended: a later one often follows from an earlier one."""

    DATA = "data"  # the data directory and the database
    DATABASE = "database"  # the server, where the database is on one
    DISK = "disk"
    SPOOL = "spool"
    CLOCK = "clock"
    SERVER = "server"  # whether `serve` runs
    NODES = "nodes"  # the processes that share a server's database
    RESOLVER = "resolver"
    HOST_NAME = "host_name"
    PTR = "ptr"
    EGRESS = "egress"  # the addresses that mail leaves from
    PORT_25 = "port_25"
    SMART_HOST = "smart_host"
    CERTIFICATE = "certificate"
    HTTP = "http"  # whether keys and links are encrypted on their way
    DOMAIN = "domain"
    BOUNCES = "bounces"  # the domain of our own return paths
    BLOCK_LIST = "block_list"
    QUEUE = "queue"
    VERSIONS = "versions"


class Verdict(StrEnum):
    """How a check ended."""

    RIGHT = "right"
    ADVISED = "advised"  # works, and should be changed
    WRONG = "wrong"  # mail is refused, delayed or lost trust until it is mended
    UNKNOWN = "unknown"  # could not be looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about one thing."""

    check: Check
    verdict: Verdict
    sentence: str
    fix: str = ""  # what to change: a setting, a record or a command; empty if nothing needs doing
    about: str = ""  # the domain, address or list that it is about; empty if there is only one
    has_deadline: bool = False  # what is advised today is wrong in some days


_ORDER: Final = {check: place for place, check in enumerate(Check)}
_URGENCY: Final = {Verdict.WRONG: 0, Verdict.UNKNOWN: 1, Verdict.ADVISED: 2, Verdict.RIGHT: 3}


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """What is wrong first, in the order in which to mend it; then what could not be looked at, what is advised, and what is right."""
    return sorted(findings, key=lambda each: (_URGENCY[each.verdict], _ORDER[each.check], each.about))


def is_sound(findings: Sequence[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(each.verdict is not Verdict.WRONG for each in findings)


def right(check: Check, sentence: str, about: str = "") -> Finding:
    """Nothing needs doing."""
    return Finding(check=check, verdict=Verdict.RIGHT, sentence=sentence, about=about)


def advised(check: Check, sentence: str, fix: str, about: str = "") -> Finding:
    """It works, and should be changed."""
    return Finding(check=check, verdict=Verdict.ADVISED, sentence=sentence, fix=fix, about=about)


def wrong(check: Check, sentence: str, fix: str, about: str = "") -> Finding:
    """It must be mended."""
    return Finding(check=check, verdict=Verdict.WRONG, sentence=sentence, fix=fix, about=about)


def unknown(check: Check, sentence: str, fix: str = "", about: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(check=check, verdict=Verdict.UNKNOWN, sentence=sentence, fix=fix, about=about)
