"""Bars of a chart."""

from hypothesis import given
from hypothesis import strategies as st

from sendryd.dashboard.charts import PITCH, draw, gauge, halve, nice_top


def test_series_stand_on_one_another() -> None:
    chart = draw([("Delivered", "delivered", [8, 0]), ("Bounced", "bounced", [2, 5])])
    assert (chart.width, chart.top) == (2 * PITCH, 10)
    assert [each.path for each in chart.bars] == ["M1 100V20h8V100z", "M1 20V0h8V20zM11 100V50h8V100z"]


def test_without_figures_nothing_is_drawn() -> None:
    assert draw([]).bars == ()
    assert [each.path for each in draw([("Sent", "sent", [0, 0])]).bars] == [""]


@given(st.integers(0, 10**12))
def test_the_top_edge_is_a_round_figure_that_holds_all(most: int) -> None:
    top = nice_top(most)
    assert top >= most
    assert str(top).rstrip("0") in {"1", "2", "5"}


def test_a_gauge_stays_within_its_ends() -> None:
    assert [gauge(value, 2.0, []).level for value in (-1.0, 0.0, 1.0, 3.0)] == ["0", "0", "50", "100"]
    assert gauge(0.0, 0.004, [0.001, 0.003]).marks == "M25 0v6M75 0v6"


def test_half_as_many_bars_have_the_same_sum() -> None:
    assert halve(list(range(60))) == [4 * each + 1 for each in range(30)]
