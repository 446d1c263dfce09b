"""Runs a program and adopts the orphans of its children: the CPU time of all of them stays in the process tree below this one.

    python keeper.py PROGRAM [ARGUMENTS]

Ends with the last of them. If the benchmark is killed, or on SIGTERM, the program and its process group get SIGTERM.
"""

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress

DEATH_SIGNAL, SUBREAPER = 1, 36  # prctl(2)

system = ctypes.CDLL(None)
system.prctl(SUBREAPER, 1, 0, 0, 0)
program = subprocess.Popen(sys.argv[1:], start_new_session=True)


def end(_signal: int, _frame: object) -> None:
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGTERM)


signal.signal(signal.SIGTERM, end)
system.prctl(DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
with suppress(ChildProcessError):
    while True:
        os.wait()
