"""kill -9 under load: whatever was acknowledged, by SMTP or by REST, is delivered or still queued."""

import os
import re

import pytest

from sendryd.testing.load import CONNECTIONS, Load, RestLoad, SmtpLoad
from sendryd.testing.world import World

KILLS = int(os.environ.get("SENDRYD_TEST_KILLS", "2"))
MESSAGES = max(1_200, 100 * KILLS)  # so that each kill comes in the middle of some
REQUESTS = max(150, 10 * KILLS)
TIMEOUT = 240 + 20 * KILLS  # seconds, on a machine that does other things too


def kill_under(world: World, load: Load, capsys: pytest.CaptureFixture[str]) -> int:
    """Kills the program again and again; nothing acknowledged may be lost. Gives how many messages came more than once."""
    for name, address in (("SMTP", world.relay.ready["smtp"]), ("HTTP", world.relay.ready["http"].rpartition("//")[2])):
        world.relay.env[f"SENDRYD_{name}_LISTEN"] = address
    load.start()
    for number in range(1, KILLS + 1):
        wanted = number * load.total // (KILLS + 1)
        world.wait_until(lambda wanted=wanted: len(load.acknowledged) >= wanted, timeout=120)  # type: ignore[misc]  # bound now
        world.relay.kill()
        world.relay.start()
    load.join()
    assert len(load.acknowledged) == load.total

    # Whatever was under way at several kills in a row waits for minutes, apart from the others; an operator who knows better says retry.
    world.relay.run("queue", "retry", "--domain", "example.org")
    world.wait_until(lambda: set(load.acknowledged) <= set(load.delivered()), timeout=120)
    counts = load.delivered()
    duplicates = sum(count - 1 for count in counts.values())
    with capsys.disabled():
        print(f"\n{load.total} acknowledged, 0 lost, {duplicates} duplicates after {KILLS} x kill -9")
    world.wait_until(lambda: world.relay.json("queue", "list")["data"] == [], timeout=60)
    for message_id in list(load.acknowledged.values())[:: load.total // 50]:
        status, body = world.relay.get(f"/v1/emails/{message_id}", world.live_key)
        assert (status, body["status"]) == (200, "delivered")
    return duplicates


@pytest.mark.timeout(TIMEOUT)
def test_nothing_acknowledged_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    with World(env={"SENDRYD_LOG_LEVEL": "warning"}) as world:
        duplicates = kill_under(world, SmtpLoad(world, MESSAGES), capsys)
        assert duplicates <= KILLS * 2 * CONNECTIONS * 4  # in flight when the program was killed, at either end


@pytest.mark.timeout(TIMEOUT)
def test_nothing_acknowledged_by_rest_is_lost_and_no_request_is_done_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with World(env={"SENDRYD_LOG_LEVEL": "warning", "SENDRYD_API_RATE_LIMIT": "off"}) as world:
        load = RestLoad(world, REQUESTS)
        duplicates = kill_under(world, load, capsys)
        assert duplicates <= KILLS * 2 * CONNECTIONS  # in flight to the receiver alone
        assert len(set(load.acknowledged.values())) == REQUESTS
        accepted = {re.search(rb"id (em_\w{13})", mail.content)[1].decode() for mail in world.mailhost.mails}  # type: ignore[index]
        assert accepted == set(load.acknowledged.values())
