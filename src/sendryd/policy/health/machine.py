"""Judgements on the machine: disk, clock, certificate, versions."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from sendryd.policy.health.finding import Check, Finding, advised, right, unknown, wrong

LITTLE_ROOM: Final = 256 * 1024 * 1024  # octets: below half of it new mail is refused
SOME_ROOM: Final = 2 * 1024 * 1024 * 1024  # octets: a day's mail of a small installation
FEW_INODES: Final = 1_000  # the spool makes a file now and then, other programs on the disk many
SOME_INODES: Final = 20_000
CLOCK_BACK: Final = timedelta(minutes=1)  # more than clocks are corrected by while they run
EXPIRY_NOTICE: Final = timedelta(days=14)  # automatic renewal happens well before
# The last day on which python.org mends security faults of a version (PEP 664, 693, 719, 745).
PYTHON_ENDS: Final = {
    (3, 11): date(2027, 10, 31),
    (3, 12): date(2028, 10, 31),
    (3, 13): date(2029, 10, 31),
    (3, 14): date(2030, 10, 31),
}
OLDEST_OPENSSL: Final = (3, 0)  # earlier ones are no longer mended


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system of the data directory."""

    folder: str
    free: int  # octets
    inodes: int  # free ones
    has_inodes: bool = True  # some file systems make them as they need them


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The certificate that clients see."""

    path: str
    expires: datetime
    names: Collection[str]
    is_own: bool  # self-signed, made by the program


def judge_disk(disk: Disk) -> Finding:
    """Whether there is room for mail."""
    fix = f"Free some space on the disk of {disk.folder}, or move the data directory (SENDRYD_DATA_DIR)."
    free = _size(disk.free)
    if disk.free < LITTLE_ROOM:
        return wrong(Check.DISK, f"The disk of {disk.folder} has {free} left: new mail is refused soon, or already.", fix)
    if disk.has_inodes and disk.inodes < FEW_INODES:
        return wrong(Check.DISK, f"The disk of {disk.folder} has {disk.inodes:,} inodes left: soon no file can be made.", fix)
    if disk.free < SOME_ROOM:
        return advised(Check.DISK, f"The disk of {disk.folder} has {free} left.", fix)
    if disk.has_inodes and disk.inodes < SOME_INODES:
        return advised(Check.DISK, f"The disk of {disk.folder} has {disk.inodes:,} inodes left.", fix)
    return right(Check.DISK, f"The disk of {disk.folder} has {free} left.")


def judge_clock(now: datetime, last_noted: datetime | None, *, is_synchronised: bool | None) -> Finding:
    """Whether the time can be right. `is_synchronised`: what the kernel says of it; None if it does not say."""
    if last_noted is not None and now < last_noted - CLOCK_BACK:
        return wrong(
            Check.CLOCK,
            f"The clock is slow: it shows {now:%Y-%m-%d %H:%M} UTC, and the program has run at {last_noted:%Y-%m-%d %H:%M} UTC.",
            "Set the clock, and let it be synchronised (systemd-timesyncd or chrony).",
        )
    if is_synchronised is False:
        return advised(
            Check.CLOCK,
            "The clock is not synchronised: TLS, DKIM and retry times depend on it.",
            "Install systemd-timesyncd or chrony.",
        )
    return right(Check.CLOCK, f"The clock shows {now:%Y-%m-%d %H:%M} UTC{' and is synchronised' if is_synchronised else ''}.")


def judge_certificate(certificate: Certificate | None, hostname: str, now: datetime, *, fault: str = "", is_loopback: bool) -> Finding:
    """Whether clients can trust the submission port. None: it cannot be read, for the reason `fault`."""
    if certificate is None:
        return wrong(Check.CERTIFICATE, f"The certificate cannot be used: {fault}.", "Correct SENDRYD_TLS_CERT and SENDRYD_TLS_KEY.")
    path, expires = certificate.path, f"{certificate.expires:%Y-%m-%d}"
    renew = f"Replace {path} and its key; no restart is needed."
    if certificate.expires <= now:
        return wrong(Check.CERTIFICATE, f"The certificate {path} expired on {expires}: apps refuse to connect.", renew)
    if certificate.expires - now < EXPIRY_NOTICE:
        return replace(advised(Check.CERTIFICATE, f"The certificate {path} expires on {expires}.", renew), has_deadline=True)
    if not any(_matches(name, hostname) for name in certificate.names):
        sentence = f"The certificate {path} is not for {hostname}, but for {', '.join(sorted(certificate.names)) or 'no name'}."
        return wrong(Check.CERTIFICATE, sentence, f"Get a certificate for {hostname}, or set SENDRYD_HOSTNAME to a name in it.")
    if certificate.is_own and not is_loopback:
        return advised(
            Check.CERTIFICATE,
            f"The certificate {path} is self-signed: each app must be given this file to trust.",
            "Set SENDRYD_TLS_CERT and SENDRYD_TLS_KEY to a pair from an authority, as Let's Encrypt.",
        )
    return right(Check.CERTIFICATE, f"The certificate is for {hostname} and holds until {expires}.")


def judge_versions(python: tuple[int, int], openssl: tuple[int, int], today: date) -> Finding:
    """Whether what the program runs on is still mended by its makers."""
    name = f"Python {python[0]}.{python[1]}"
    end = PYTHON_ENDS.get(python)
    if end is not None and end < today:
        return advised(
            Check.VERSIONS, f"{name} gets no security updates since {end}.", "Install a newer Python and set the program up with it."
        )
    if openssl < OLDEST_OPENSSL:
        return advised(
            Check.VERSIONS,
            f"OpenSSL {openssl[0]}.{openssl[1]} gets no security updates any more.",
            "Install a newer Python, which brings a newer OpenSSL.",
        )
    return right(Check.VERSIONS, f"{name} and OpenSSL {openssl[0]}.{openssl[1]} get security updates.")


def judge_running(is_running: bool | None) -> Finding:
    """Whether the relay runs. None: it could not be found out."""
    if is_running is None:
        return unknown(Check.SERVER, "Whether sendryd serve runs could not be found out.")
    if is_running:
        return right(Check.SERVER, "sendryd serve runs on this data directory.")
    return advised(Check.SERVER, "sendryd serve does not run on this data directory: no mail is accepted.", "Start it: sendryd serve")


def _matches(pattern: str, hostname: str) -> bool:
    """RFC 6125 §6.4.3: a star stands for one whole leftmost label."""
    pattern, hostname = pattern.lower(), hostname.lower()
    return pattern == hostname or (pattern.startswith("*.") and hostname.partition(".")[2] == pattern[2:])


def _size(octets: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if octets >= size:
            return f"{octets / size:.1f} {unit}"
    return f"{octets >> 10} KiB"
