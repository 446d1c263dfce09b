"""The path draws the dark modules and no others."""

import re

import pytest
import segno

from sendryd.dashboard.qr import draw_qr

TEXT = "otpauth://totp/sendryd:ann%40acme.example?secret=AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH&issuer=sendryd"


def test_the_path_draws_the_dark_modules() -> None:
    code = draw_qr(TEXT)
    drawn = set()
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", code.path):
        drawn |= {(int(x) + step, int(y)) for step in range(int(length))}
    matrix = segno.make_qr(TEXT, error="m").matrix
    assert drawn == {(x, y) for y, row in enumerate(matrix) for x, dark in enumerate(row) if dark}
    assert code.size == len(matrix)


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        draw_qr("x" * 3000)
