"""DKIM: signatures a second for 5 KB and 50 KB, in one and in two threads, and what canonicalisation costs."""

import time
from concurrent.futures import ThreadPoolExecutor

from machine import describe

from sendryd.message.dkim import body_hash, generate_key, load_private_key, sign
from sendryd.message.headers import HeaderBlock

HEAD = b"From: a@example.test\r\nTo: b@example.org\r\nSubject: benchmark\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n\r\n"
LINE = b"The quick  brown fox jumps over the lazy dog, and so on and so forth.....  \r\n"
KEY = load_private_key(generate_key()[0])
COUNT = 1_000


def sign_one(content: bytes) -> None:
    """Everything that a signature takes."""
    sign(content, headers=HeaderBlock.parse(content), domain="example.test", selector="s", key=KEY, now=1_700_000_000)


def main() -> None:
    """Prints one line for each size and number of threads."""
    print(describe())
    for size in (5_000, 50_000):
        content = HEAD + LINE * (size // len(LINE))
        for threads in (1, 2):
            with ThreadPoolExecutor(threads) as pool:
                started = time.perf_counter()
                list(pool.map(sign_one, [content] * COUNT))
                seconds = time.perf_counter() - started
            print(f"{size} octets, {threads} threads: {COUNT / seconds:.0f} signatures/s")
        started = time.perf_counter()
        for _ in range(COUNT):
            body_hash(content, len(HEAD))
        print(f"{size} octets: {(time.perf_counter() - started) / COUNT * 1e6:.0f} us for the body hash")


if __name__ == "__main__":
    main()
