"""A world on loopback in which every check is right, and what each fault in it does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sendryd.health import Doctor, Installation
from sendryd.policy.egress import Source
from sendryd.policy.health import Check, Finding, Verdict, is_sound
from sendryd.policy.health.server import ServerState
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.owncert import write_self_signed
from sendryd.runtime.resolver import Resolver
from sendryd.testing.mailhost import ReceivingServer
from sendryd.testing.nameserver import NameServer

pytestmark = pytest.mark.sockets
HOSTNAME = "relay.example.test"


@dataclass
class World:
    installation: Installation
    names: NameServer
    mailhost: ReceivingServer

    async def examine(self, **changes: Any) -> dict[Check, Finding]:
        """The worst finding of each check."""
        clock = SystemClock()
        resolver = Resolver(clock, (self.names.host, self.names.port))
        doctor = Doctor(replace(self.installation, **changes), clock=clock, resolver=resolver, stored=None)
        found: dict[Check, Finding] = {}
        for each in await doctor.examine():
            found.setdefault(each.check, each)
        return found


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    cert = tmp_path / "cert.pem"
    write_self_signed(cert, tmp_path / "key.pem", HOSTNAME, SystemClock())
    zone = {
        (HOSTNAME, "A"): ["127.0.0.1"],
        ("1.0.0.127.in-addr.arpa", "PTR"): [f"{HOSTNAME}."],
        ("gmail.com", "MX"): ["10 mx.gmail.com."],
        ("mx.gmail.com", "A"): ["127.0.0.1"],
    }
    async with NameServer(zone) as names, ReceivingServer() as mailhost:
        installation = Installation(
            data_dir=tmp_path,
            exists=True,
            is_running=True,
            hostname=HOSTNAME,
            allow_private_networks=True,
            mx_port=mailhost.port,
            certificate=cert,
            has_own_certificate=True,
            http_listen="127.0.0.1:8025",
            http_is_encrypted=False,
            http_is_loopback=True,
            smtp_is_loopback=True,
            public_url="https://relay.example.test",
            block_lists=("zen.example",),
        )
        yield World(installation, names, mailhost)


async def test_nothing_is_wrong_in_a_good_world(world: World) -> None:
    found = await world.examine()
    assert is_sound(list(found.values()))
    loud = {check for check, each in found.items() if each.verdict is not Verdict.RIGHT}
    assert loud <= {Check.CLOCK, Check.DISK}  # of this machine, not of the world
    assert {
        Check.DATA,
        Check.SERVER,
        Check.RESOLVER,
        Check.HOST_NAME,
        Check.PTR,
        Check.PORT_25,
        Check.CERTIFICATE,
        Check.BLOCK_LIST,
    } <= set(found)


async def test_a_name_without_an_address(world: World) -> None:
    world.names.remove(HOSTNAME)
    assert (await world.examine())[Check.HOST_NAME].verdict is Verdict.WRONG


async def test_an_address_without_a_name_with_another_and_with_a_false_one(world: World) -> None:
    world.names.set("1.0.0.127.in-addr.arpa", "PTR", "host-1.isp.example.")
    assert (await world.examine())[Check.PTR].verdict is Verdict.WRONG
    world.names.set("host-1.isp.example", "A", "127.0.0.1")
    assert (await world.examine())[Check.PTR].verdict is Verdict.ADVISED
    world.names.remove("1.0.0.127.in-addr.arpa")
    assert (await world.examine())[Check.PTR].sentence.startswith("The address 127.0.0.1 has no PTR record")


async def test_addresses_that_mail_leaves_from(world: World) -> None:
    pools = {"default": (Source("127.0.0.1", HOSTNAME),)}
    assert (await world.examine(pools=pools))[Check.EGRESS].verdict is Verdict.RIGHT
    gone = (await world.examine(pools={"default": (Source("192.0.2.7", "gone.example.test"),)}))[Check.EGRESS]
    assert (gone.verdict, gone.about) == (Verdict.WRONG, "192.0.2.7")
    world.names.set("out.example.test", "A", "127.0.0.9")
    elsewhere = (await world.examine(pools={"default": (Source("127.0.0.1", "out.example.test"),)}))[Check.EGRESS]
    assert elsewhere.sentence == "The name out.example.test, which EHLO says from 127.0.0.1, leads to 127.0.0.9."


async def test_outgoing_mail_is_blocked(world: World) -> None:
    port = world.mailhost.port
    await world.mailhost.aclose()
    found = (await world.examine())[Check.PORT_25]
    assert (found.verdict, f"on port {port}" in found.sentence) == (Verdict.WRONG, True)


async def test_a_server_that_is_no_mail_server_is_no_proof(world: World) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = (await world.examine(mx_port=port))[Check.PORT_25]
    assert "does not greet as a mail server" in found.sentence


async def test_a_smart_host_takes_the_place_of_the_way_out(world: World) -> None:
    found = await world.examine(smart_host=("127.0.0.1", world.mailhost.port))
    assert found[Check.SMART_HOST].verdict is Verdict.RIGHT
    assert Check.PTR not in found
    await world.mailhost.aclose()
    assert (await world.examine(smart_host=("127.0.0.1", world.mailhost.port)))[Check.SMART_HOST].verdict is Verdict.WRONG


async def test_a_block_list_names_the_address(world: World) -> None:
    world.names.set("1.0.0.127.zen.example", "A", "127.0.0.4")
    found = (await world.examine())[Check.BLOCK_LIST]
    assert (found.verdict, found.sentence) == (Verdict.WRONG, "The block list zen.example names 127.0.0.1.")
    assert Check.BLOCK_LIST not in await world.examine(block_lists=())


async def test_a_resolver_that_fails(world: World) -> None:
    world.names.servfail |= {"gmail.com", "outlook.com", "yahoo.com"}
    found = await world.examine()
    assert found[Check.RESOLVER].verdict is Verdict.WRONG
    assert Check.HOST_NAME not in found  # it follows from the resolver
    assert found[Check.PORT_25].verdict is Verdict.UNKNOWN


async def test_a_certificate_for_another_name_an_expired_one_and_none(world: World, tmp_path: Path) -> None:
    assert (await world.examine(hostname="mail.example.test"))[Check.CERTIFICATE].verdict is Verdict.WRONG

    class Earlier(SystemClock):
        def now(self) -> datetime:
            return super().now() - timedelta(days=900)

    write_self_signed(tmp_path / "old.pem", tmp_path / "old-key.pem", HOSTNAME, Earlier())
    assert "expired on" in (await world.examine(certificate=tmp_path / "old.pem"))[Check.CERTIFICATE].sentence
    (tmp_path / "bad.pem").write_text("no certificate")
    assert (await world.examine(certificate=tmp_path / "bad.pem"))[Check.CERTIFICATE].verdict is Verdict.WRONG
    missing = (await world.examine(certificate=tmp_path / "missing.pem"))[Check.CERTIFICATE]
    assert "No such file or directory" in missing.sentence


async def test_there_is_no_database_yet_and_no_folder(world: World, tmp_path: Path) -> None:
    found = await world.examine(exists=False, data_dir=tmp_path / "not" / "there", is_running=False)
    assert found[Check.DATA].fix.startswith("Start the program once: sendryd serve")
    assert found[Check.DISK].verdict in {Verdict.RIGHT, Verdict.ADVISED}
    assert found[Check.SERVER].verdict is Verdict.ADVISED
    assert Check.CERTIFICATE not in found


async def test_a_check_that_fails_does_not_hide_the_others(world: World) -> None:
    found = await world.examine(hostname="." * 300)  # no DNS name at all
    assert found[Check.PORT_25].verdict is Verdict.RIGHT
    assert found[Check.HOST_NAME].verdict is not Verdict.RIGHT


async def test_the_bounce_domain_needs_an_mx_record_and_spf(world: World) -> None:
    assert Check.BOUNCES not in await world.examine()
    bounces = {"bounce_domain": "b.example.test", "is_inbound_open": True}
    missing = (await world.examine(**bounces))[Check.BOUNCES]
    assert (missing.verdict, missing.fix.partition(" and")[0]) == (Verdict.WRONG, f"Publish b.example.test MX 10 {HOSTNAME}")
    world.names.set("b.example.test", "MX", f"10 {HOSTNAME}.")
    spf = (await world.examine(**bounces))[Check.BOUNCES]
    assert (spf.verdict, spf.fix) == (Verdict.WRONG, f"Publish b.example.test TXT v=spf1 a:{HOSTNAME} ~all")
    world.names.set_text("b.example.test", f"v=spf1 a:{HOSTNAME} ~all")
    assert (await world.examine(**bounces))[Check.BOUNCES].verdict is Verdict.RIGHT
    assert (await world.examine(bounce_domain="b.example.test"))[Check.BOUNCES].verdict is Verdict.WRONG
    assert (await world.examine(is_inbound_open=True))[Check.BOUNCES].verdict is Verdict.ADVISED
    world.names.servfail.add("b.example.test")
    assert (await world.examine(**bounces))[Check.BOUNCES].verdict is Verdict.UNKNOWN


async def test_a_database_on_a_server_is_judged_instead_of_the_files(world: World) -> None:
    clock = SystemClock()

    async def look() -> ServerState:
        return ServerState(name="db:5432/mail", fault="the database at db:5432/mail cannot be reached: Connection refused")

    doctor = Doctor(world.installation, clock=clock, resolver=Resolver(clock), stored=None, server=look)
    found = {each.check: each for each in await doctor.examine(is_quick=True)}
    assert found[Check.DATABASE].verdict is Verdict.WRONG
    assert Check.DATA not in found
