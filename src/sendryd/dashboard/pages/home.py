"""Home: the figures of the queue, held deliveries, the address that apps send to."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.visit import Visit
from sendryd.model.delivery import DeliveryState
from sendryd.policy.explain.words import count


@dataclass(frozen=True, slots=True)
class HomeView:
    """What the page shows."""

    heading: str
    waiting: str
    sending: str
    held: str
    needs_you: bool
    smtp: str


async def show(visit: Visit) -> Response:
    """`GET /`."""
    counts = await visit.needs.store.count_queue()
    held = counts.get(DeliveryState.HELD, 0)
    view = HomeView(
        heading="One thing needs you" if held else "Home",
        waiting=f"{counts.get(DeliveryState.QUEUED, 0):,}",
        sending=f"{counts.get(DeliveryState.LEASED, 0):,}",
        held=count(held, "delivery is held", "deliveries are held"),
        needs_you=held > 0,
        smtp=visit.needs.smtp,
    )
    return visit.show("home.html", "home", {"view": view})


PAGES: Final = (Page(path="/", get=show),)
