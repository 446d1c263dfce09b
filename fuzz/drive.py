"""Runs a driver for a time: led by coverage with atheris if it is installed, else with random inputs."""

import argparse
import itertools
import random
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

MAX_PIECES = 12
MAX_LENGTH = 4096  # octets of an input: the limits of the parsers are below it, or are made so by the drivers


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The pieces of `data`, cut at `places`, each taken modulo its length."""
    edges = sorted({0, len(data), *(place % len(data) for place in places if data)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


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


def change(chance: random.Random, seed: bytes, pieces: Sequence[bytes]) -> bytes:
    """A good input with some damage."""
    data = bytearray(seed)
    for _ in range(chance.randint(0, 8)):
        start = chance.randint(0, len(data))
        end = chance.randint(start, min(len(data), start + 20))
        match chance.randrange(5):
            case 0:
                data[start:start] = chance.choice(pieces)
            case 1:
                data[start:end] = chance.choice(pieces)
            case 2:
                data[start:end] = b""
            case 3:
                data[start:start] = data[start:end] * chance.randint(1, 4)
            case _:
                data[start:end] = chance.randbytes(end - start)
    return bytes(data)


def search(test: Callable[[bytes], None], pieces: Sequence[bytes], *, seeds: Sequence[bytes], seconds: float, seed: int) -> int:
    """Runs the test on the seeds, then on random inputs, one at least, until the time is over, and gives their number; what it raises is a finding, printed
    with its input. The same number makes the same inputs again.
    """
    chance = random.Random(seed)
    end, count = time.monotonic() + seconds, 0
    waiting = list(seeds)
    while waiting or count <= len(seeds) or time.monotonic() < end:  # one of its own, however slow the seeds are
        if waiting:
            data = waiting.pop(0)
        else:
            is_from_seed = seeds and chance.random() < 0.7
            data = (change(chance, chance.choice(seeds), pieces) if is_from_seed else make_input(chance, pieces))[:MAX_LENGTH]
        try:
            test(data)
        except Exception:
            print(f"seed {seed}, input {data!r}", file=sys.stderr)
            raise
        count += 1
    return count


def drive(test: Callable[[bytes], None], pieces: Sequence[bytes], *, seeds: Sequence[bytes] = ()) -> None:
    """Runs a driver as its command line says."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long to search")
    parser.add_argument("--seed", type=int, default=None, help="makes the same random inputs again")
    options = parser.parse_args()
    if find_spec("atheris"):
        for data in seeds:
            test(data)
        atheris = import_module("atheris")
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], f"-max_total_time={int(options.seconds)}", f"-max_len={MAX_LENGTH}"], lambda data: test(bytes(data)))
        atheris.Fuzz()
        return
    seed = options.seed if options.seed is not None else time.time_ns()
    count = search(test, pieces, seeds=seeds, seconds=options.seconds, seed=seed)
    print(f"{sys.argv[0]}: {count} inputs, no finding (seed {seed})")
