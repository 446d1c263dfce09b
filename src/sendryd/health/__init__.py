"""Examining the installation: what `sendryd check`, the dashboard and alerts look at."""

from sendryd.health.doctor import Doctor, Installation

__all__ = ["Doctor", "Installation"]
