"""ASGI requests and their answers, for tests of HTTP applications."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def field(self) -> str:
        """The field that an error names."""
        return str(self.json["error"]["details"]["field"])

    @property
    def fault(self) -> tuple[int, str, object]:
        """Status, code and field of an error; None: it names no field."""
        error = self.json["error"]
        return self.status, error["code"], error["details"].get("field")


def http_scope(method: str, target: str, headers: Sequence[tuple[str, str]], *, client: str = "127.0.0.1") -> dict[str, Any]:
    """The ASGI scope of a request. Header values are encoded as Latin-1."""
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "client": (client, 12345),
        "server": ("127.0.0.1", 8025),
    }
