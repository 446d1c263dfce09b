"""A table of cases for one test.

`pytest.mark.parametrize` makes a test of each case; collecting and reporting it costs a worker about 3 milliseconds, which is more than most
cases of pure code take, and each of those tests makes its fixtures again. `cases` has the same arguments and runs the whole table in one test. All
cases run; those that fail are reported together, each with its number, its arguments and its own traceback.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Test = Callable[..., Any]


def cases(
    names: str | Sequence[str], table: Iterable[Any], *, ids: Sequence[str] | Callable[[Any], object] | None = None
) -> Callable[[Test], Test]:
    """A decorator for a test. Raises an `ExceptionGroup` with an exception for each case that fails.

    The cases share the test's fixtures, and the event loop of an asynchronous one: none of them may change what another one looks at. `ids` names
    the cases in reports: one name each, or a function of an argument.
    """
    arguments = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    rows = [_values(row, len(arguments)) for row in table]
    labels = [_name(ids, number, row) for number, row in enumerate(rows)] if ids is not None else []

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def run(*args: Any, **fixtures: Any) -> None:
            report = _Report(labels)
            for case in (dict(zip(arguments, row, strict=True)) for row in rows):
                try:
                    test(*args, **fixtures, **case)
                except Exception as error:
                    report.add(case, error)
                report.next()
            report.tell()

        @functools.wraps(test)
        async def run_in_loop(*args: Any, **fixtures: Any) -> None:
            report = _Report(labels)
            for case in (dict(zip(arguments, row, strict=True)) for row in rows):
                try:
                    await test(*args, **fixtures, **case)
                except Exception as error:
                    report.add(case, error)
                report.next()
            report.tell()

        chosen: Test = run_in_loop if inspect.iscoroutinefunction(test) else run
        signature = inspect.signature(test)
        left = [each for name, each in signature.parameters.items() if name not in arguments]
        chosen.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return chosen

    return decorate


class _Report:
    """The faults of a table, by case."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._number = 0
        self._faults: list[Exception] = []

    def add(self, case: dict[str, Any], error: Exception) -> None:
        """Notes that the case failed."""
        label = f" {self._labels[self._number]}" if self._labels else ""
        error.add_note(f"case {self._number}{label}: {', '.join(f'{key}={value!r:.500}' for key, value in case.items())}")
        self._faults.append(error)

    def next(self) -> None:
        """Goes on to the next case."""
        self._number += 1

    def tell(self) -> None:
        """Raises the faults, if there are any."""
        if self._faults:
            raise ExceptionGroup(f"{len(self._faults)} of {self._number} cases fail", self._faults)


def _values(row: Any, count: int) -> tuple[Any, ...]:
    values = tuple(row) if count > 1 else (row,)
    if len(values) != count:
        raise ValueError(f"{count} values are needed: {row!r}")
    return values


def _name(ids: Sequence[str] | Callable[[Any], object], number: int, row: tuple[Any, ...]) -> str:
    return "-".join(str(ids(value)) for value in row) if callable(ids) else ids[number]
