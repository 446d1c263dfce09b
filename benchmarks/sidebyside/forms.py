"""What servers need on disk: configurations made from templates, certificates and keys made for one run."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).with_name("peers")
HOSTNAME = "smtp.bench.test"


class Unavailable(Exception):
    """A peer cannot run here. The text says why, and what to install."""


class NotMeant(Unavailable):
    """A peer has no part in a scenario."""


def run_checked(command: Sequence[object], timeout: float = 120, **options: Any) -> str:
    """The output of a program. Raises `Unavailable` with the last line of one that fails."""
    words = list(map(str, command))
    try:
        return str(subprocess.run(words, check=True, capture_output=True, text=True, timeout=timeout, **options).stdout)
    except subprocess.CalledProcessError as error:
        printed = str(error.stderr or error.stdout).strip() or "it printed nothing"
        raise Unavailable(f"{words[0]} failed: {printed.splitlines()[-1]}") from None


def render(template: str, target: Path, values: Mapping[str, object]) -> None:
    """Writes a template with the values of its `@names@`. Raises `KeyError` for one without a value."""
    text = (TEMPLATES / template).read_text("utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(re.sub(r"@(\w+)@", lambda name: str(values[name[1]]), text), "utf-8")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An ECDSA P-256 certificate for the servers, and an RSA-2048 key for DKIM."""

    cert: Path
    key: Path
    dkim_key: Path


def make_credentials(folder: Path) -> Credentials:
    """Makes the files in a new folder. Clients of a benchmark do not verify the certificate."""
    folder.mkdir()
    made = Credentials(folder / "cert.pem", folder / "key.pem", folder / "dkim.pem")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    run_checked(["openssl", "req", "-x509", *curve, "-nodes", "-subj", f"/CN={HOSTNAME}", "-keyout", made.key, "-out", made.cert])
    run_checked(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", made.dkim_key])
    for private in (made.key, made.dkim_key):
        private.chmod(0o600)
    return made
