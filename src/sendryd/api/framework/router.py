"""From a method and a path to an operation. Pure, and the same work however many operations there are.

Paths are matched by segments as they came, percent-encoded: an address in a path may hold an encoded slash, so decoding comes after. Both
slash forms are the same path: the SDKs call collections without the final slash, the API's description has it, and none follows redirects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote


class Routable(Protocol):
    """What can be found by method and path."""

    @property
    def method(self) -> str:
        """The HTTP method, upper case."""
        ...

    @property
    def path(self) -> str:
        """The path, with `{name}` for a segment that varies."""
        ...


Target = TypeVar("Target", bound=Routable)


@dataclass(slots=True)
class _Node(Generic[Target]):
    fixed: dict[str, "_Node[Target]"] = field(default_factory=dict)
    varying: "_Node[Target] | None" = None
    targets: dict[str, tuple[Target, tuple[str, ...]]] = field(default_factory=dict)  # by method, with the names of what varies


@dataclass(frozen=True, slots=True)
class Match(Generic[Target]):
    """What was found, and the decoded segments that vary."""

    target: Target
    params: Mapping[str, str]


class Router(Generic[Target]):
    """A tree of segments. A fixed segment wins over one that varies."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._root: _Node[Target] = _Node()
        for target in targets:
            self._add(target)

    def _add(self, target: Target) -> None:
        node = self._root
        names: list[str] = []
        for segment in _split(target.path):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.varying = node.varying or _Node()
                node = node.varying
            else:
                node = node.fixed.setdefault(segment, _Node())
        if target.method in node.targets:
            raise ValueError(f"{target.method} {target.path} is there twice")
        node.targets[target.method] = (target, tuple(names))

    def find(self, method: str, raw_path: str) -> Match[Target] | frozenset[str] | None:
        """What serves a request: a match, the methods that the path does take, or None for a path that is not there."""
        found = self._walk(_split(raw_path))
        if found is None:
            return None
        node, values = found
        entry = node.targets.get(method) or (node.targets.get("GET") if method == "HEAD" else None)
        if entry is None:
            return frozenset(node.targets)
        target, names = entry
        return Match(target, {name: unquote(value) for name, value in zip(names, values, strict=True)})

    def _walk(self, segments: list[str]) -> tuple[_Node[Target], list[str]] | None:
        # The few places where a fixed segment shadows one that varies: remember the other way, and take it if the first leads nowhere.
        ways: list[tuple[_Node[Target], int, list[str]]] = [(self._root, 0, [])]
        while ways:
            node, depth, values = ways.pop()
            if depth == len(segments):
                if node.targets:
                    return node, values
                continue
            segment = segments[depth]
            if node.varying is not None and segment:
                ways.append((node.varying, depth + 1, [*values, segment]))
            fixed = node.fixed.get(segment)
            if fixed is not None:
                ways.append((fixed, depth + 1, values))
        return None


def _split(path: str) -> list[str]:
    return path.removesuffix("/").split("/")[1:]
