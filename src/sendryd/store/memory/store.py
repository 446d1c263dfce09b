"""The in-memory store."""

from sendryd.store.memory.accepting import MemoryAccepting
from sendryd.store.memory.captures import MemoryCaptures
from sendryd.store.memory.deliveries import MemoryDeliveries
from sendryd.store.memory.figures import MemoryFigures
from sendryd.store.memory.late import MemoryLate
from sendryd.store.memory.queue import MemoryQueue
from sendryd.store.memory.reading import MemoryReading
from sendryd.store.memory.statusreports import MemoryStatusReports
from sendryd.store.memory.suspensions import MemorySuspensions
from sendryd.store.memory.unknownreplies import MemoryUnknownReplies
from sendryd.store.memory.upkeep import MemoryUpkeep


class MemoryStore(
    MemoryAccepting,
    MemoryDeliveries,
    MemoryCaptures,
    MemoryQueue,
    MemoryReading,
    MemoryFigures,
    MemoryUpkeep,
    MemoryLate,
    MemoryStatusReports,
    MemorySuspensions,
    MemoryUnknownReplies,
):
    """`MailStore` without a disk."""

    async def aclose(self) -> None:
        pass
