"""An event loop in a thread of its own, for tests that are not asynchronous."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import TypeVar

Result = TypeVar("Result")

RUN_TIMEOUT = 60.0  # seconds for one call


class LoopThread:
    """The thread. Closing it cancels what still runs in it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[object, object, Result]) -> Result:
        """Runs a coroutine in the thread and waits for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(RUN_TIMEOUT)

    def close(self) -> None:
        """Ends all tasks, stops the loop and joins the thread."""
        self.run(_cancel_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for _ in range(3):
        await asyncio.sleep(0)  # transports close in the next rounds of the loop
