"""Transport security of the real program: an enforced policy of the recipient's domain is obeyed, and nothing waits for policies of others."""

import smtplib
import ssl
from collections.abc import Iterator

import pytest
import trustme

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import ReceivingServer
from sendryd.testing.webhookhost import Fate, Reaction, ReceivedRequest, WebhookHost
from sendryd.testing.world import SENDING_DOMAIN, World

from .security import Receivers

CLEAR = "127.0.0.2"  # of the mail server without TLS
DOMAINS = ("good", "kept", "unnamed", "badcert", "clear", "testing", "hanging")
MX = {"badcert": "wrong.mx.test", "clear": "clear.mx.test"}


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    directory = tmp_path_factory.mktemp("policies")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    mail_tls, web_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("good.mx.test").configure_cert(mail_tls)
    authority.issue_cert(*(f"mta-sts.{name}.test" for name in DOMAINS)).configure_cert(web_tls)
    policies: dict[str, str] = {}

    def serve(request: ReceivedRequest) -> Reaction | Fate:
        name = request.headers["host"].partition(":")[0].removeprefix("mta-sts.").removesuffix(".test")
        if name == "hanging":
            return Fate.SILENCE
        body = policies.get(name)
        return Reaction(body=body.encode()) if body and request.target == "/.well-known/mta-sts.txt" else Reaction(status=404)

    web = WebhookHost(serve, tls=web_tls)
    env = {"SENDRYD_CA_FILE": str(directory / "ca.pem")}
    world = World(directory, tls=mail_tls, env=env)
    world.thread.run(web.start())
    world.relay.env["SENDRYD_MTA_STS_PORT"] = str(web.port)
    world.mailhost.extensions = (*world.mailhost.extensions, "REQUIRETLS")
    clear = ReceivingServer(host=CLEAR, port=world.mailhost.port)
    world.thread.run(clear.start())
    for name in DOMAINS:
        world.nameserver.set(f"{name}.test", "MX", f"10 {MX.get(name, 'good.mx.test')}.")
        world.nameserver.set_text(f"_mta-sts.{name}.test", "v=STSv1; id=1")
        world.nameserver.set(f"mta-sts.{name}.test", "A", "127.0.0.1")
        named = MX.get(name, "*.mx.test" if name in {"good", "kept"} else "elsewhere.test")
        policies[name] = f"version: STSv1\nmode: {'testing' if name == 'testing' else 'enforce'}\nmx: {named}\nmax_age: 86400\n"
    world.nameserver.set("good.mx.test", "A", "127.0.0.1")
    world.nameserver.set("wrong.mx.test", "A", "127.0.0.1")
    world.nameserver.set("clear.mx.test", "A", CLEAR)
    with world:
        try:
            yield Receivers(world, clear, RestClient(world.relay, world.live_key))
        finally:
            world.thread.run(clear.aclose())
            world.thread.run(web.aclose())


def test_mail_under_a_policy_goes_to_the_server_that_it_names_and_says_so(receivers: Receivers) -> None:
    receivers.send("hanging.test")
    delivered = receivers.event(receivers.send("good.test"), "delivered")
    assert (delivered["tls_security"], delivered["host"]) == ("mta-sts", "good.mx.test")
    assert receivers.event(receivers.send("testing.test"), "delivered")["tls_security"] == "opportunistic"
    assert receivers.event(receivers.send("example.org"), "delivered")["tls_security"] == "opportunistic"
    arrived = receivers.subjects()  # other mail does not wait for the policy host that hangs
    assert b"Subject: to hanging.test" not in arrived[: arrived.index(b"Subject: to good.test")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unnamed", "The MTA-STS policy of unnamed.test does not name its mail server good.mx.test"),
        ("badcert", "wrong.mx.test has not shown it: TLS handshake failed: Hostname mismatch"),
        ("clear", "clear.mx.test has not shown it: the server does not offer STARTTLS"),
    ],
)
def test_mail_that_no_server_may_get_by_the_policy_waits_and_says_why(receivers: Receivers, name: str, reason: str) -> None:
    message_id = receivers.send(f"{name}.test")
    deferred = receivers.event(message_id, "deferred")
    assert (deferred["enhanced_code"], deferred["category"], deferred["tls_security"]) == ("4.7.5", "tls_failure", "mta-sts")
    assert reason in deferred["reason"]
    shown = receivers.world.relay.json("queue", "show", message_id, "--json")
    assert "asks for a server that it names, with a valid certificate (MTA-STS)" in str(shown)
    assert f"Subject: to {name}.test".encode() not in receivers.subjects()
    assert not [line for line in receivers.clear.commands if line.startswith("MAIL")]
    receivers.world.relay.run("queue", "cancel", message_id)


def test_a_kept_policy_outlives_its_record_its_host_and_a_restart(receivers: Receivers) -> None:
    assert receivers.event(receivers.send("kept.test"), "delivered")["tls_security"] == "mta-sts"
    receivers.world.nameserver.remove("_mta-sts.kept.test")
    receivers.world.nameserver.remove("mta-sts.kept.test")
    receivers.world.nameserver.set("kept.test", "MX", "10 clear.mx.test.")
    receivers.world.relay.kill()
    receivers.world.relay.start()
    receivers.rest = RestClient(receivers.world.relay, receivers.world.live_key)
    message_id = receivers.send("kept.test")
    assert receivers.event(message_id, "deferred")["tls_security"] == "mta-sts"
    assert not [line for line in receivers.clear.commands if line.startswith("MAIL")]


def submit(receivers: Receivers, domain: str, *options: str, field: str = "") -> tuple[int, str]:
    """A message over SMTP with parameters of MAIL; the reply."""
    world, author = receivers.world, f"hello@{SENDING_DOMAIN}"
    with smtplib.SMTP(*world.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", world.live_key)
        assert smtp.has_extn("requiretls")
        assert smtp.mail(author, options)[0] == 250
        assert smtp.rcpt(f"user@{domain}")[0] == 250
        code, reply = smtp.data(f"From: {author}\r\nTo: user@{domain}\r\nSubject: asks\r\n{field}\r\nbody\r\n".encode())
        return code, reply.decode().rpartition(" ")[2]


def test_a_message_that_requires_tls_says_so_to_a_server_that_a_policy_vouches_for(receivers: Receivers) -> None:
    _, message_id = submit(receivers, "good.test", "REQUIRETLS")
    assert receivers.event(message_id, "delivered")["tls_security"] == "mta-sts"
    assert "REQUIRETLS" in receivers.world.mailhost.mails[-1].mail_params
    _, message_id = submit(receivers, "example.org", "REQUIRETLS")
    assert "neither DNSSEC nor MTA-STS vouches for mx.example.org" in str(receivers.event(message_id, "bounced")["reason"])


def test_a_message_that_puts_delivery_first_goes_past_the_policy(receivers: Receivers) -> None:
    _, message_id = submit(receivers, "clear.test", field="TLS-Required: No\r\n")
    assert receivers.event(message_id, "delivered")["tls_security"] == "none"
    assert b"TLS-Required: No" in receivers.clear.mails[-1].content
    receivers.clear.mails.clear()
    receivers.clear.commands.clear()
