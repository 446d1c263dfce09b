"""MTA-STS: the record that announces a domain's policy, the policy, and which mail servers it names. Pure.

Where there is no valid policy, none is obeyed: what cannot be read is an error here, and the caller goes on with the policy that it has, or none.
Standards: RFC 8461.
"""

import re
from typing import Final

import idna

from sendryd.model.domain import StsMode
from sendryd.valuetype import valuetype

RECORD_LABEL: Final = "_mta-sts"  # RFC 8461 §3.1
HOST_LABEL: Final = "mta-sts"  # RFC 8461 §3.3
WELL_KNOWN_PATH: Final = "/.well-known/mta-sts.txt"
MAX_POLICY: Final = 64 * 1024  # octets, as RFC 8461 §3.3 suggests
MAX_MX: Final = 1_000  # patterns; the largest providers name about ten
MAX_MAX_AGE: Final = 31_557_600  # seconds: a year, RFC 8461 §3.2
_VERSION: Final = "STSv1"
_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_AGE: Final = re.compile(r"[0-9]{1,10}", re.ASCII)


class PolicyInvalid(ValueError):
    """The text is no policy; the message says why."""


@valuetype(frozen=True, slots=True, kw_only=True)
class StsPolicy:
    """A policy."""

    mode: StsMode
    mx: tuple[str, ...]  # host names in A-labels and lower case, the first label may be `*`
    max_age: int  # seconds for which it is obeyed after it was fetched

    def names(self, host: str) -> bool:
        """Whether a mail server is one of the policy's (RFC 8461 §4.1): `*` stands for one whole label."""
        _, _, parent = host.partition(".")
        return any(pattern == host or (pattern.startswith("*.") and pattern[2:] == parent) for pattern in self.mx)


def read_record(texts: tuple[str, ...]) -> str | None:
    """The policy's id from the TXT records at `_mta-sts`. None: the domain announces no policy (RFC 8461 §3.1)."""
    found = [text for text in texts if text.partition(";")[0].rstrip() == f"v={_VERSION}"]
    if len(found) != 1:
        return None
    fields = [each.partition("=") for each in found[0].split(";")[1:]]
    ids = [value.strip() for name, _, value in fields if name.strip() == "id"]
    return ids[0] if ids and _ID.fullmatch(ids[0]) else None


def read_policy(octets: bytes) -> StsPolicy:
    """The policy in the body of the answer (RFC 8461 §3.2). Unknown fields are skipped, of a repeated one the first counts. Raises
    `PolicyInvalid`.
    """
    try:
        lines = octets.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise PolicyInvalid("it is not UTF-8") from None
    fields: dict[str, str] = {}
    mx: list[str] = []
    for line in filter(str.strip, lines):
        name, colon, value = line.partition(":")
        if not colon:
            raise PolicyInvalid("a line has no colon")
        if name.strip() == "mx":
            mx.append(_pattern(value.strip()))
        else:
            fields.setdefault(name.strip(), value.strip())
    if fields.get("version") != _VERSION:
        raise PolicyInvalid(f"its version is not {_VERSION}")
    if fields.get("mode") not in set(StsMode):
        raise PolicyInvalid("its mode is none of enforce, testing and none")
    if not _AGE.fullmatch(fields.get("max_age", "")):
        raise PolicyInvalid("its max_age is not a number of seconds")
    mode = StsMode(fields["mode"])
    if mode is not StsMode.NONE and not mx:
        raise PolicyInvalid("it names no mail server")
    if len(mx) > MAX_MX:
        raise PolicyInvalid(f"it names more than {MAX_MX} mail servers")
    return StsPolicy(mode=mode, mx=tuple(mx), max_age=min(int(fields["max_age"]), MAX_MAX_AGE))


def _pattern(text: str) -> str:
    """A pattern in A-labels, as mail servers come out of DNS."""
    wildcard = "*." if text.startswith("*.") else ""
    name = text.removeprefix("*.").rstrip(".").lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise PolicyInvalid("it names a mail server by no valid name") from None
    if not name or "*" in name:
        raise PolicyInvalid("it names a mail server by no valid name")
    return wildcard + name
