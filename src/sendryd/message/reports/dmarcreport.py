"""Reads DMARC aggregate reports: XML without a document type, so that no entity is ever expanded. Pure.

Standards: RFC 7489 §7.2 and appendix C; RFC 9990, which has the same elements in a namespace of its own.
"""

from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

from sendryd.message.reports.counted import Counted, plain

MAX_DEPTH: Final = 20  # elements within one another; a report has seven
MAX_RECORDS: Final = 100_000  # of one report that are read
_ROOT: Final = "feedback"
_SOURCE: Final = "row/source_ip"
_COUNT: Final = "row/count"
_WORDS: Final = {  # what is kept of a record
    "row/policy_evaluated/disposition": "disposition",
    "row/policy_evaluated/dkim": "dkim",
    "row/policy_evaluated/spf": "spf",
    "identifiers/header_from": "header_from",
}
_RESULTS: Final = {
    "auth_results/dkim/domain": "dkim_domain",
    "auth_results/dkim/result": "dkim_result",
    "auth_results/spf/domain": "spf_domain",
    "auth_results/spf/result": "spf_result",
}
_POLICY: Final = ("p", "sp", "adkim", "aspf", "pct", "np", "testing")


class NoReport(ValueError):
    """The octets are no report of this kind."""


def read_dmarc(octets: bytes) -> Counted:
    """The report in an XML text. Raises `NoReport`."""
    reader = _Reader()
    parser = expat.ParserCreate(_encoding_of(octets))
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.add
    try:
        parser.Parse(octets, True)
    except expat.ExpatError as error:
        raise NoReport(str(error)) from None
    return reader.result()


def _encoding_of(octets: bytes) -> str:
    """An encoding that the parser itself knows, whatever the text says of it: Python has codecs of other names that are no encodings."""
    if octets[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16"
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return "iso-8859-1"
    return "utf-8"


class _Reader:
    """Follows the elements, and keeps what a report has."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._text: list[str] = []
        self._head: dict[str, str] = {}
        self._record: dict[str, str] = {}
        self._records = 0
        self._counted = Counted()

    def refuse_doctype(self, *_: object) -> None:
        raise NoReport("it has a document type")

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self._path.append(name.rpartition(":")[2].lower())
        self._text.clear()
        if self._path[0] != _ROOT or len(self._path) > MAX_DEPTH:
            raise NoReport("its elements are others")

    def add(self, text: str) -> None:
        if len(self._text) < 100:  # pieces: the values are short, and white space between elements is not wanted
            self._text.append(text)

    def end(self, _name: str) -> None:
        path, text = "/".join(self._path[1:]), plain("".join(self._text))
        self._text.clear()
        del self._path[-1]
        if path == "record":
            self._end_record()
        elif path.startswith("record/"):
            self._record.setdefault(path.removeprefix("record/"), text)
        else:
            self._head.setdefault(path, text)

    def _end_record(self) -> None:
        self._records += 1
        if self._records > MAX_RECORDS:
            raise NoReport("it has too many records")
        record, self._record = self._record, {}
        if not record.get(_COUNT, "").isdecimal():
            return
        details = {word: record[path] for path, word in (*_WORDS.items(), *_RESULTS.items()) if record.get(path)}
        is_good = "pass" in {details.get("dkim"), details.get("spf")}
        self._counted.add(int(record[_COUNT][:12]), is_good=is_good, source=record.get(_SOURCE, ""), details=details)

    def result(self) -> Counted:
        head, counted = self._head, self._counted
        domain, reporter = head.get("policy_published/domain", ""), head.get("report_metadata/org_name", "")
        if not domain or not reporter:
            raise NoReport("it names no domain, or no organisation")
        counted.topic = "dmarc"
        counted.domain = domain.lower().rstrip(".")
        counted.reporter = reporter
        counted.report_key = head.get("report_metadata/report_id", "")
        counted.begins_at = _seconds(head.get("report_metadata/date_range/begin", ""))
        counted.ends_at = _seconds(head.get("report_metadata/date_range/end", ""))
        policy = [(tag, head.get(f"policy_published/{tag}", "")) for tag in _POLICY]
        counted.policy = " ".join(f"{tag}={value}" for tag, value in policy if value)
        return counted


def _seconds(text: str) -> int:
    if not text.isdecimal() or len(text) > 12:
        raise NoReport("it says of no time")
    return int(text)
