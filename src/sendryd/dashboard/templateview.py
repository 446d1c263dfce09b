"""Sample data for a template, and what differs between two versions. Pure."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sendryd.model.template import TemplateContent

MAX_COMPARED: Final = 200_000  # characters of two texts together: comparing takes some tens of milliseconds
MAX_LINES: Final = 2_000  # of both, because the work may grow with their product
CONTEXT: Final = 3  # unchanged lines around a change
_NAMES: Final = re.compile(r"\{\{-?\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*[|}-]")
_BY_TYPE: Final[Mapping[str, object]] = {"number": 1, "boolean": True, "array": [], "object": {}}


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a comparison. `kind` is `add`, `del`, `same` or `place`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class PartDiff:
    """What differs in one part."""

    name: str
    lines: tuple[DiffLine, ...]
    note: str = ""


def sample_data(content: TemplateContent) -> dict[str, object]:
    """Values to preview a template with: the defaults of its variables, else their names in words."""
    found: dict[str, object] = {}
    for source in (content.subject, content.html, content.text):
        for name in _NAMES.findall(source or ""):
            found.setdefault(name, name.replace("_", " "))
    for name, rule in (content.variables or {}).items():
        is_rule = isinstance(rule, Mapping)
        if is_rule and rule.get("default") is not None:
            found[name] = rule["default"]
        elif is_rule and rule.get("type") in _BY_TYPE:
            found[name] = _BY_TYPE[rule["type"]]
        else:
            found.setdefault(name, name.replace("_", " "))
    return found


def compare(old: TemplateContent, new: TemplateContent) -> tuple[PartDiff, ...]:
    """Subject, HTML and text of two versions, where they differ."""
    parts = (("Subject", old.subject, new.subject), ("HTML", old.html, new.html), ("Text", old.text, new.text))
    return tuple(_compare(name, before or "", after or "") for name, before, after in parts if (before or "") != (after or ""))


def _compare(name: str, before: str, after: str) -> PartDiff:
    old, new = before.splitlines(), after.splitlines()
    if len(before) + len(after) > MAX_COMPARED or len(old) + len(new) > MAX_LINES:
        return PartDiff(name, (), f"Too long to compare here: {len(before):,} and {len(after):,} characters.")
    lines = list(difflib.unified_diff(old, new, n=CONTEXT, lineterm=""))[2:]
    return PartDiff(name, tuple(_line(each) for each in lines), "" if lines else "Only line ends differ.")


def _line(line: str) -> DiffLine:
    kind = {"+": "add", "-": "del", "@": "place"}.get(line[:1], "same")
    return DiffLine(kind, "…" if kind == "place" else line[1:])
