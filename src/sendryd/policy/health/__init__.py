"""Judgements on the installation: from what was observed to one sentence, and the line that mends it."""

from sendryd.policy.health.finding import Check, Finding, Verdict, is_sound, worst_first

__all__ = ["Check", "Finding", "Verdict", "is_sound", "worst_first"]
