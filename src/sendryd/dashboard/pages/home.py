"""Home: is anything wrong, and what is going on."""

from typing import Final

from starlette.responses import Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.visit import Visit


async def show(visit: Visit) -> Response:
    """`GET /`."""
    return visit.show("home.html", "home", {"needs": (), "heading": "Nothing needs you"})


PAGES: Final = (Page(path="/", get=show),)
