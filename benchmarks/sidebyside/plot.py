"""A plot of a run as SVG: for each scenario a bar for each server, as a multiple of Postfix in the same round. Pure.

Colours follow the reader's light or dark mode. A title and a description say in words what the bars show.
"""

import statistics
from html import escape

from sidebyside.goals import Rows, by_round
from sidebyside.page import ORDER
from sidebyside.scenarios import OURS, SCENARIOS

WIDTH, LABEL, FIGURE = 760, 150, 150  # pixels: whole, names at the left, figures at the right
BAR, GAP, HEAD = 16, 6, 34
STYLE = """
svg { font: 13px system-ui, sans-serif; --ink: #1f2328; --quiet: #59636e; --ours: #0550ae; --other: #8c959f; --line: #d1d9e0; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #f0f6fc; --quiet: #9198a1; --ours: #58a6ff; --other: #6e7681; --line: #3d444d; }
}
text { fill: var(--ink); } .quiet { fill: var(--quiet); } .ours { fill: var(--ours); } .other { fill: var(--other); }
.base { stroke: var(--line); stroke-dasharray: 3 3; } .head { font-weight: 600; }
"""


def bars_of(rows: Rows, name: str) -> list[tuple[str, float, float]]:
    """Servers of a scenario: name, multiple of the baseline, messages a second."""
    base = by_round(rows, name, SCENARIOS[name].baseline)
    found = []
    for peer in ORDER:
        mine = by_round(rows, name, peer)
        ratios = [row["rate"] / base[number]["rate"] for number, row in mine.items() if number in base]
        if ratios:
            found.append((peer, statistics.median(ratios), statistics.median(row["rate"] for row in mine.values())))
    return found


def draw(rows: Rows, caption: str) -> str:
    """The whole picture."""
    groups = {name: bars for name in SCENARIOS if len(bars := bars_of(rows, name)) > 1}
    body, words, top = [], [], HEAD
    for name, bars in groups.items():
        scenario = SCENARIOS[name]
        body.append(f'<text class="head" x="0" y="{top}">{escape(scenario.title)}</text>')
        scale = (WIDTH - LABEL - FIGURE) / max(1.0, *(multiple for _, multiple, _ in bars))
        first = top + 10
        for peer, multiple, rate in bars:
            top_of_bar, kind = top + 10, "ours" if peer in OURS else "other"
            body.append(f'<text x="{LABEL - 8}" y="{top_of_bar + 13}" text-anchor="end">{escape(peer)}</text>')
            body.append(
                f'<rect class="{kind}" x="{LABEL}" y="{top_of_bar}" width="{max(1.0, multiple * scale):.1f}" height="{BAR}" rx="2"/>'
            )
            figure = f"{multiple:.2f}× · {rate:,.0f}/s"
            body.append(f'<text class="quiet" x="{LABEL + multiple * scale + 8:.1f}" y="{top_of_bar + 13}">{figure}</text>')
            top += BAR + GAP
        place = f"{LABEL + scale:.1f}"
        body.append(f'<line class="base" x1="{place}" y1="{first - 4}" x2="{place}" y2="{top + 6}"/>')
        words.append(f"{scenario.title}: " + ", ".join(f"{peer} {multiple:.2f} times {scenario.baseline}" for peer, multiple, _ in bars))
        top += HEAD
    height = top + 8
    body.append(f'<text class="quiet" x="0" y="{height - 10}">{escape(caption)}</text>')
    lines = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title desc">\n'
        f'<title id="title">Rates of mail servers as multiples of Postfix in the same round</title>\n'
        f'<desc id="desc">{escape(". ".join(words))}.</desc>\n<style>{STYLE}</style>\n{lines}\n</svg>\n'
    )
