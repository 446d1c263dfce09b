"""The variables of a template: their views in the engine, their limits, and the schema's defaults. Pure.

A template sees lists and objects through `SeenList` and `SeenObject`, which are read-only and have no methods. Each read is counted.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sendryd.message.templatesource import TemplateError

# Elements of lists and objects, and 64 characters of texts in them, that a rendering reads: half a second, as each goes through Python.
MAX_READS: Final = 1_000_000
SMALL_VALUES: Final = 2_000  # of a rendering in the event loop: some three milliseconds
SMALL_CHARACTERS: Final = 16_384  # of those values
MAX_DEPTH: Final = 50  # of lists and objects in variables; real data is less deep, and the engine goes down by calling itself
MAX_VALUES: Final = 100_000  # in all variables together
MAX_CHARACTERS: Final = 5_242_880  # in all variables together: as much as HTML may have

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str, int, float),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "list": (list,),
    "object": (dict,),
}


class TooMuchRead(Exception):
    """A template exceeded its budget of reads."""


class Reads:
    """The remaining reads of one rendering."""

    def __init__(self, most: int = MAX_READS) -> None:
        self.left = most

    def spend(self, count: int) -> None:
        """Counts reads. Raises `TooMuchRead`."""
        self.left -= count
        if self.left < 0:
            raise TooMuchRead


class SeenList:
    """A list as a template sees it."""

    __slots__ = ("_reads", "_value")

    def __init__(self, value: Sequence[Any], reads: Reads) -> None:
        self._value = value
        self._reads = reads

    def __len__(self) -> int:
        return len(self._value)

    def __getitem__(self, index: int) -> Any:
        return give(self._value[index], self._reads)

    def __iter__(self) -> Iterator[Any]:
        return (give(value, self._reads) for value in self._value)

    def __str__(self) -> str:
        return _as_json(self._value, self._reads)

    __repr__ = __str__


class SeenObject:
    """An object as a template sees it. A null value is missing in look-ups, and present in loops over the object."""

    __slots__ = ("_reads", "_value")

    def __init__(self, value: Mapping[str, Any], reads: Reads) -> None:
        self._value = value
        self._reads = reads

    def __len__(self) -> int:
        return len(self._value)

    def __getitem__(self, name: str) -> Any:
        value = self._value.get(name)
        if value is not None:
            return give(value, self._reads)
        if name == "items":  # the engine would take the method below for it
            return NOTHING
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def items(self) -> list[tuple[str, Any]]:
        """The pairs that the engine iterates over."""
        self._reads.spend(len(self._value))
        return [(name, give(value, self._reads)) for name, value in self._value.items()]

    def __str__(self) -> str:
        return _as_json(self._value, self._reads)

    __repr__ = __str__


class _Nothing(SeenList):
    """A missing value whose name is a method of dictionaries, which the engine would find otherwise: empty, and false."""

    __slots__ = ()

    def __str__(self) -> str:
        return ""

    __repr__ = __str__


NOTHING: Final = _Nothing((), Reads())
METHODS: Final = frozenset(name for name in dir(dict) if not name.startswith("_"))  # items, keys, values, get and others

Sequence.register(SeenList)
Mapping.register(SeenObject)


def give(value: Any, reads: Reads) -> Any:
    """A value as a template sees it; counts the read. Raises `TooMuchRead`."""
    if isinstance(value, str):
        reads.spend(1 + len(value) // 64)
        return value
    reads.spend(1)
    if isinstance(value, Mapping):
        return SeenObject(value, reads)
    return SeenList(value, reads) if isinstance(value, list | tuple) else value


def _as_json(value: Any, reads: Reads) -> str:
    """Empty when too much was read: the engine would show a fault on the error stream, and go on."""
    if reads.left < 0:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    reads.left -= len(text) // 8  # it takes as long as to read the same number of elements
    return text if reads.left >= 0 else ""


def with_schema(schema: Mapping[str, Any] | None, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables with the schema's defaults. Raises `TemplateError` for a missing required variable, or one of another type."""
    values = dict(variables)
    for name, rule in (schema or {}).items():
        if not isinstance(rule, Mapping):
            continue
        if values.get(name) is None:
            if rule.get("default") is not None:
                values[name] = rule["default"]
            elif rule.get("required"):
                raise TemplateError(f"the variable {name} is required")
            else:
                continue
        if not is_of_type(values[name], str(rule.get("type", ""))):
            raise TemplateError(f"the variable {name} is of another type: give a {rule['type']}")
    return values


def is_of_type(value: object, name: str) -> bool:
    """Whether a variable's value is of the type that its rule names. A type that is not known has any value."""
    kinds = _KINDS.get(name.lower())
    return kinds is None or isinstance(value, kinds)


def check_variables(variables: Mapping[str, Any]) -> int:
    """The length of the longest text. Raises `TemplateError` for too many values, too long texts or too deep nesting.

    Not recursive: the data may be deeper than the interpreter's stack.
    """
    if "self" in variables:  # the engine takes variables as arguments of a method
        raise TemplateError("a variable cannot be called self: give it another name")
    waiting: list[tuple[Any, int]] = [(variables, 0)]
    count = characters = longest = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            raise TemplateError(f"the variables are too deep or too many: at most {MAX_DEPTH} levels and {MAX_VALUES:,} values")
        if isinstance(value, str):
            characters += len(value)
            longest = max(longest, len(value))
        elif isinstance(value, Mapping):
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list | tuple):
            waiting += [(each, depth + 1) for each in value]
    if characters > MAX_CHARACTERS:
        raise TemplateError(f"the variables have more than {MAX_CHARACTERS:,} characters together: make them shorter")
    return longest


def are_small(variables: Mapping[str, Any]) -> bool:
    """Whether the variables are few and short. Stops at the first excess."""
    if "self" in variables:
        return False
    waiting: list[tuple[Any, int]] = [(variables, 0)]
    count = characters = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, Mapping):
            if len(value) > SMALL_VALUES:
                return False
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list | tuple):
            if len(value) > SMALL_VALUES:
                return False
            waiting += [(each, depth + 1) for each in value]
        if depth > MAX_DEPTH or count > SMALL_VALUES or characters > SMALL_CHARACTERS:
            return False
    return True
