"""The line that every benchmark prints first: what it ran on."""

import os
import platform
import sys


def describe() -> str:
    """Processor, cores, system, interpreter, command."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    command = " ".join(["python", *sys.argv])
    return (
        f"machine: {model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"CPython {platform.python_version()}\ncommand: {command}"
    )
