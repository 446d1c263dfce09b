"""The host of an MTA-STS policy that hangs: from the door to the event, in virtual time."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from sendryd.delivery.sts_policies import WAIT
from sendryd.model.event import Event, EventType
from sendryd.testing.webhookhost import Fate, WebhookHost

from .engine import Engine

pytestmark = [pytest.mark.sockets, pytest.mark.virtual_time(sockets=True)]


async def test_mail_waits_a_while_once_for_a_policy_host_that_hangs(tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mta-sts.hanging.test").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    web = WebhookHost(lambda _: Fate.SILENCE, tls=tls)
    await web.start()
    env = {"SENDRYD_CA_FILE": str(tmp_path / "ca.pem"), "SENDRYD_MTA_STS_PORT": str(web.port)}
    async with Engine(tmp_path, env=env) as engine:
        await engine.domain("hanging.test")
        engine.names.set_text("_mta-sts.hanging.test", "v=STSv1; id=1")
        engine.names.set("mta-sts.hanging.test", "A", "127.0.0.1")
        assert WAIT - 1 <= await waited(engine, "hanging.test") <= WAIT + 2
        await asyncio.sleep(60)  # its route is looked up again after that
        assert await waited(engine, "hanging.test") <= 2
        assert len(web.received) == 1
    await web.aclose()


async def waited(engine: Engine, domain: str) -> float:
    """Seconds from the door to the delivery of a message."""
    message = await engine.send(f"u@{domain}")
    delivered: Event = await engine.wait_for(message)
    assert delivered.type is EventType.DELIVERED
    return (delivered.created_at - (await engine.events(message))[0].created_at).total_seconds()
