"""Turns of bulk work in the event loop."""

import asyncio

from sendryd.runtime.turns import BulkTurns


async def test_each_turn_of_the_loop_has_one_piece_of_bulk_work() -> None:
    turns, seen = BulkTurns(), list[str]()

    async def bulk(name: str) -> None:
        for _ in range(3):
            await turns.wait()
            seen.append(name)

    def serve_others() -> None:
        seen.append(".")
        if len(seen) < 40:
            asyncio.get_running_loop().call_soon(serve_others)

    asyncio.get_running_loop().call_soon(serve_others)
    await asyncio.gather(*(bulk(name) for name in "abcd"))
    text = "".join(seen).strip(".")
    assert "".join(text.split(".")) == "abcd" * 3
    assert all(len(piece) <= 1 for piece in text.split("."))


async def test_a_task_that_was_cancelled_while_it_waited_does_not_hold_up_the_others() -> None:
    turns = BulkTurns()
    waiting = [asyncio.create_task(turns.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait_for(asyncio.gather(*waiting[1:]), 5)
