"""Examining the installation: what `sendryd check`, the dashboard and alerts look at."""

from sendryd.health.doctor import Doctor, Installation
from sendryd.health.watch import Watch

__all__ = ["Doctor", "Installation", "Watch"]
