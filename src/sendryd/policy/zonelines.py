"""A domain's records as text to paste: a line of a zone file, the whole file, Terraform, and a note to the person who runs the DNS. Pure.

Standards: RFC 1035 §5.1 (master files; a string has at most 255 octets).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TTL: Final = 3600  # seconds: an hour, so that a mistake does not last for a day
MAX_STRING: Final = 255  # octets
_PRINTABLE: Final = range(0x20, 0x7F)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEdit:
    """A record to publish, and the values of its name to delete."""

    label: str  # `SPF`
    name: str  # absolute, without the final dot
    adds: str  # empty: nothing to add
    deletes: tuple[str, ...] = ()
    type: str = "TXT"  # or CNAME, TLSA, or MX, whose values have the preference in front


def zone_line(name: str, value: str, kind: str = "TXT") -> str:
    """A line of a zone file."""
    if kind == "MX":
        return f"{name}. {TTL} IN MX {_plain(value)}."
    if kind == "CNAME":
        return f"{name}. {TTL} IN CNAME {_plain(value)}."
    if kind == "TLSA":
        return f"{name}. {TTL} IN TLSA {_plain(value)}"
    return f"{name}. {TTL} IN TXT {_strings(value)}"


def zone_file(domain: str, edits: Sequence[RecordEdit]) -> str:
    """The lines to add to the zone of a domain; lines to delete are comments."""
    lines = [f"; {domain}: records for sending mail"]
    for edit in edits:
        lines += [f"; {edit.label}", *(f"; delete: {zone_line(edit.name, text, edit.type)}" for text in edit.deletes)]
        lines += [zone_line(edit.name, edit.adds, edit.type)] if edit.adds else []
    return "\n".join(lines) + "\n"


def terraform(domain: str, edits: Sequence[RecordEdit]) -> str:
    """Resources of Terraform's `dns` provider, which updates servers that take dynamic updates; other providers differ in the resource's name."""
    blocks = [_resource(domain, edit) for edit in edits if edit.adds and edit.type != "TLSA"]  # which the provider does not have
    return "\n".join(blocks)


def _resource(domain: str, edit: RecordEdit) -> str:
    label = f"{edit.label}_{domain}".lower()
    identifier = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in label)
    relative = edit.name.removesuffix(domain).rstrip(".")
    name = [f"  name = {_quoted(relative)}"] if relative else []  # without a name: the zone itself
    deletes = [f"  # delete: {_quoted(text)}" for text in edit.deletes]
    return "\n".join(
        [
            f'resource "dns_{edit.type.lower()}_record{"" if edit.type == "CNAME" else "_set"}" "{identifier}" {{',
            *deletes,
            f"  zone = {_quoted(domain + '.')}",
            *name,
            *_values(edit),
            f"  ttl  = {TTL}",
            "}",
            "",
        ]
    )


def _values(edit: RecordEdit) -> list[str]:
    if edit.type == "CNAME":
        return [f"  cname = {_quoted(edit.adds + '.')}"]
    if edit.type != "MX":
        return [f"  txt  = [{_quoted(edit.adds)}]"]
    preference, _, host = edit.adds.partition(" ")
    return ["  mx {", f"    preference = {_plain(preference)}", f"    exchange   = {_quoted(host + '.')}", "  }"]


def note(domain: str, edits: Sequence[RecordEdit], *, reply_to: str) -> str:
    """A mail to the person who runs the DNS of a domain."""
    kinds = "" if any(edit.type != "TXT" for edit in edits) else "TXT "
    parts = [f"Subject: DNS records for {domain}", "", f"Please change these {kinds}records of {domain}, so that our mail is accepted:", ""]
    for edit in edits:
        parts += [f"{edit.label}, name {edit.name}" + (f", type {edit.type}" if not kinds else "")]
        parts += [f"  delete: {_plain(text)}" for text in edit.deletes]
        parts += [f"  add:    {_plain(edit.adds)}"] if edit.adds else []
        parts += [""]
    parts += [f"If your form adds {domain} to names by itself, leave it off.", f"Thank you. Questions go to {reply_to}.", ""]
    return "\n".join(parts)


def _strings(value: str) -> str:
    octets = value.encode("utf-8", "replace")
    chunks = [octets[start : start + MAX_STRING] for start in range(0, len(octets), MAX_STRING)] or [b""]
    return " ".join('"' + "".join(_escaped(octet) for octet in chunk) + '"' for chunk in chunks)


def _escaped(octet: int) -> str:
    if octet in b'"\\':
        return f"\\{chr(octet)}"
    return chr(octet) if octet in _PRINTABLE else f"\\{octet:03d}"


def _quoted(text: str) -> str:
    """A string of HCL without interpolation."""
    return json.dumps(text).replace("${", "$${").replace("%{", "%%{")


def _plain(text: str) -> str:
    """A value on one line: DNS may hold line breaks."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
