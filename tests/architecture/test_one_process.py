"""What one process keeps for itself is chosen in app/cluster.py alone, so that a cluster has one place to choose something else."""

import ast
from pathlib import Path

import sendryd

SOURCE = Path(sendryd.__file__).parent
OF_ONE_PROCESS = {"OneNode", "Quotas", "RateLimiter", "Wakeup"}
ALLOWED = {
    ("app/build.py", "OneNode"),  # with the store, which one node serves
    ("app/bells.py", "Wakeup"),  # for what rings at other processes
    ("app/cluster.py", "Quotas"),
    ("app/cluster.py", "RateLimiter"),
    ("app/cluster.py", "Wakeup"),
    ("app/nodes.py", "Wakeup"),  # for this process's own heartbeat
    ("delivery/pool.py", "Wakeup"),  # for connections, which are a process's own
}


def made_in(source: str) -> set[str]:
    """The parts of one process that this source makes."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    names = {call.id if isinstance(call, ast.Name) else call.attr for call in calls if isinstance(call, ast.Name | ast.Attribute)}
    return names & OF_ONE_PROCESS


def test_only_app_makes_the_parts_of_one_process() -> None:
    found = set()
    for path in SOURCE.rglob("*.py"):
        place = path.relative_to(SOURCE).as_posix()
        if not place.startswith("testing/"):
            found |= {(place, name) for name in made_in(path.read_text("utf-8"))}
    assert found == ALLOWED


def test_a_part_that_is_made_is_found() -> None:
    assert made_in("from a import Wakeup\nx = f(Wakeup())") == {"Wakeup"}
    assert made_in("x: Wakeup = a.Quotas(1)") == {"Quotas"}
