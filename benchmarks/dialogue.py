"""The pure server machine: MAIL, RCPT, DATA and a 5 KB content, each command in a read of its own."""

import time

from machine import describe

from sendryd.smtp.server_replies import OK
from sendryd.testing.shell import Shell

ROUNDS, MESSAGES = 5, 5_000
LINE = b"The quick brown fox jumps over the lazy dog, and so on and so forth......\r\n"
READS = (
    b"MAIL FROM:<bench@example.test>\r\n",
    b"RCPT TO:<user@example.org>\r\n",
    b"DATA\r\n",
    b"From: bench@example.test\r\nSubject: benchmark\r\n\r\n" + LINE * 66 + b".\r\n",
)


def main() -> None:
    """Prints microseconds for each message, the best of several rounds."""
    from sendryd.smtp.events import NEED_DATA, DataRequested
    from sendryd.smtp.reply import Reply

    print(describe())
    machine = Shell(encrypted=True).log_in().machine
    go_ahead = Reply(354, "Go")
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(MESSAGES):
            for data in READS:
                machine.receive_data(data)
                while (event := machine.next_event()) is not NEED_DATA:
                    machine.reply(go_ahead if type(event) is DataRequested else OK)
                machine.data_to_send()
        best = min(best, (time.perf_counter() - started) / MESSAGES)
    print(f"dialogue: {best * 1e6:.1f} us per message")


if __name__ == "__main__":
    main()
