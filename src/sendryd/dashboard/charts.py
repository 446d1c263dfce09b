"""Charts as SVG: stacked bars, one path for each series, and gauges with marks. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HEIGHT: Final = 100  # units of the drawing
BAR: Final = 8  # units of width
PITCH: Final = 10  # units from one bar to the next
GAUGE: Final = 100  # units of a gauge's width


@dataclass(frozen=True, slots=True)
class Bars:
    """One series: its name, its class of colour, the `d` of its path."""

    name: str
    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of `width` by `HEIGHT` units, and the value of its top edge."""

    width: int
    top: int
    bars: tuple[Bars, ...]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A level from 0 to `GAUGE`, and the `d` of its marks."""

    level: str
    marks: str


def draw(series: Sequence[tuple[str, str, Sequence[int]]]) -> Chart:
    """Bars of name, kind and values on one another, the first at the bottom. All series have the same length."""
    count = len(series[0][2]) if series else 0
    totals = [sum(values[at] for _, _, values in series) for at in range(count)]
    top = nice_top(max(totals, default=0))
    base = [0] * count
    drawn = []
    for name, kind, values in series:
        steps = []
        for at, value in enumerate(values):
            if value:
                low, high = _y(base[at], top), _y(base[at] + value, top)
                steps.append(f"M{at * PITCH + 1} {low}V{high}h{BAR}V{low}z")
            base[at] += value
        drawn.append(Bars(name, kind, "".join(steps)))
    return Chart(max(count * PITCH, PITCH), top, tuple(drawn))


def halve(values: Sequence[int]) -> list[int]:
    """Sums of two neighbours, for screens with half the room.

    >>> halve([1, 2, 3, 4])
    [3, 7]
    """
    return [sum(values[at : at + 2]) for at in range(0, len(values), 2)]


def gauge(value: float, full: float, marks: Sequence[float]) -> Gauge:
    """A level between 0 and `full`, with marks at the lines that matter.

    >>> gauge(0.5, 2.0, [1.0])
    Gauge(level='25', marks='M50 0v6')
    """
    level = min(GAUGE, max(0.0, GAUGE * value / full))
    return Gauge(_number(level), "".join(f"M{_number(GAUGE * mark / full)} 0v6" for mark in marks))


def nice_top(most: int) -> int:
    """The least of 1, 2 or 5 times a power of ten that is not below the greatest value.

    >>> [nice_top(each) for each in (0, 1, 3, 17, 50, 51)]
    [1, 1, 5, 20, 50, 100]
    """
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= most:
                return step * power
        power *= 10


def _y(value: int, top: int) -> str:
    return _number(HEIGHT - HEIGHT * value / top)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
