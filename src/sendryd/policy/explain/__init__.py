"""The plain sentence about a delivery: what happens, why, and what the reader can do."""

from sendryd.policy.explain.delivery import explain
from sendryd.policy.explain.door import RefusedAtDoor, explain_refused
from sendryd.policy.explain.facts import Attempt, Complaint, Facts, Hold, Lane, Suppressed
from sendryd.policy.explain.reachability import nothing_reachable
from sendryd.policy.explain.words import Action, Explanation, Tone

__all__ = [
    "Action",
    "Attempt",
    "Complaint",
    "Explanation",
    "Facts",
    "Hold",
    "Lane",
    "RefusedAtDoor",
    "Suppressed",
    "Tone",
    "explain",
    "explain_refused",
    "nothing_reachable",
]
