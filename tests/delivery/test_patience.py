"""One budget for connecting and greeting, over all addresses of an attempt."""

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.patience import CONNECT_BUDGET, LEAST, OPENING_BUDGET, SHARE, Patience
from sendryd.delivery.securing import TlsContexts
from sendryd.delivery.target import Target
from sendryd.delivery.transport import open_connection
from sendryd.policy.tls import OPPORTUNISTIC
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.tls import client_context, weak_client_context
from sendryd.smtp.timeouts import CLIENT_TIMEOUTS, Step
from sendryd.testing.mailhost import ReceivingServer, Script


@given(st.integers(1, 10))
def test_addresses_that_say_nothing_take_a_minute_together(count: int) -> None:
    patience, taken = Patience(), 0.0
    for left in range(count, 0, -1):
        if patience.is_spent:
            break
        patience.addresses = left
        share = patience.share
        assert share >= min(SHARE, CONNECT_BUDGET - taken)
        taken += share
        patience.spend(share, share)
    assert taken == pytest.approx(CONNECT_BUDGET)


def test_a_session_before_it_that_lasted_leaves_the_next_address_its_time() -> None:
    patience = Patience(addresses=2)
    patience.spend(1.0, 2.0)
    patience.addresses = 1
    assert patience.share == CONNECT_BUDGET - 1
    patience.spend(1.0, OPENING_BUDGET - 2.0)
    assert patience.is_spent
    assert patience.share == LEAST


@pytest.mark.sockets
@pytest.mark.parametrize("step", [Step.GREETING, Step.EHLO])
async def test_a_server_that_says_nothing_is_left_when_the_patience_ends(step: Step) -> None:
    script = Script(connect=lambda _: "stall") if step is Step.GREETING else Script(command=lambda _verb, _line: "stall")
    async with ReceivingServer(script=script) as server:
        patience = Patience(connecting=0.3, opening=0.4)
        contexts = TlsContexts(
            verified=partial(client_context, verify=True), unverified=client_context(verify=False), weak=weak_client_context()
        )
        target = Target(host="mx.test", address=server.host, port=server.port, tls=OPPORTUNISTIC)
        async with asyncio.timeout(10):
            with pytest.raises(DeliveryFault) as broken:
                await open_connection(
                    target,
                    hello_name="relay.test",
                    contexts=contexts,
                    timeouts=CLIENT_TIMEOUTS,
                    clock=SystemClock(),
                    patience=patience,
                )
        assert broken.value.step is step
        assert patience.is_spent
