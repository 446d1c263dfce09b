"""QR codes as SVG. Pure."""

from dataclasses import dataclass

import segno


@dataclass(frozen=True, slots=True)
class QrCode:
    """A code as the `d` of one SVG path, in a square of `size` modules without the quiet zone."""

    size: int
    path: str


def draw_qr(text: str) -> QrCode:
    """The code of a text, as small as it can be at a medium level of correction. Raises `ValueError` for a text that is too long."""
    matrix = [bytes(row) for row in segno.make_qr(text, error="m").matrix]
    steps = []
    for y, row in enumerate(matrix):
        x = 0
        while x < len(row):
            length = len(row) - x - len(row[x:].lstrip(b"\x01"))
            if length:
                steps.append(f"M{x} {y}h{length}v1h-{length}z")
            x += length or 1
    return QrCode(len(matrix), "".join(steps))
