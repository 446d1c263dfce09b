"""Runs a driver: with atheris if it is installed, else with random inputs for a time."""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence

MAX_PIECES = 12


def make_input(chance: random.Random, pieces: Sequence[bytes]) -> bytes:
    """Known pieces and random octets, some of them changed or cut."""
    parts = [
        chance.choice(pieces) if chance.random() < 0.7 else chance.randbytes(chance.randrange(6))
        for _ in range(chance.randrange(MAX_PIECES))
    ]
    data = bytearray(b"".join(parts))
    for _ in range(chance.randrange(3)):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data[: chance.randrange(len(data) + 1)]) if chance.random() < 0.2 else bytes(data)


def drive(test: Callable[[bytes], None], pieces: Sequence[bytes]) -> None:
    """Runs the test until the time is over; what it raises is a finding, printed with its input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    try:
        import atheris  # type: ignore[import-not-found]
    except ImportError:
        pass
    else:
        atheris.Setup([sys.argv[0], f"-max_total_time={int(options.seconds)}"], lambda data: test(bytes(data)))
        atheris.Fuzz()
        return
    seed = options.seed if options.seed is not None else time.time_ns()
    chance = random.Random(seed)
    end, count = time.monotonic() + options.seconds, 0
    while time.monotonic() < end:
        data = make_input(chance, pieces)
        try:
            test(data)
        except Exception:
            print(f"seed {seed}, input {data!r}", file=sys.stderr)
            raise
        count += 1
    print(f"{sys.argv[0]}: {count} inputs, no finding (seed {seed})")
