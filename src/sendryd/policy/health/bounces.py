"""Judgements on the bounce domain: whether bounces and reports of others find their way here."""

from collections.abc import Sequence

from sendryd.policy.dnsrecords import Unknown, check_mx
from sendryd.policy.health.finding import Check, Finding, advised, right, unknown, wrong
from sendryd.policy.health.network import NoAnswer

AGREEMENT = "v=DMARC1"  # RFC 7489 §7.1


def judge_no_bounces(*, is_listening: bool) -> Finding | None:
    """No bounce domain is set. Port 25 that is open all the same takes mail for verified domains alone."""
    if not is_listening:
        return None
    return advised(
        Check.BOUNCES,
        "Port 25 is open and no bounce domain is set: bounces go to the senders, and nothing is learned from them.",
        "Set SENDRYD_BOUNCE_DOMAIN to a name of its own, as bounces.example.com, and publish its MX record.",
    )


def judge_bounce_mx(domain: str, hostname: str, hosts: Sequence[str] | NoAnswer, *, is_listening: bool) -> Finding:
    """Whether bounces are delivered to this installation."""
    if not is_listening:
        return wrong(
            Check.BOUNCES,
            f"Bounces are asked for at {domain}, and port 25 is not open here: they are lost.",
            "Set SENDRYD_INBOUND_LISTEN=0.0.0.0:25, or leave SENDRYD_BOUNCE_DOMAIN empty.",
            domain,
        )
    if isinstance(hosts, NoAnswer):
        return unknown(Check.BOUNCES, f"DNS gave no answer about the MX record of {domain}: {hosts.reason}.", "Check again.", domain)
    fault = check_mx(hosts, hostname)
    if fault:
        record = f"Publish {domain} MX 10 {hostname} and no other MX record of this name."
        return wrong(
            Check.BOUNCES,
            f"{domain}: {fault.partition(': ')[0].rstrip('.')}. Bounces and reports do not reach this server.",
            record,
            domain,
        )
    return right(Check.BOUNCES, f"Bounces at {domain} reach {hostname}.", domain)


def judge_bounce_spf(domain: str, fault: str | Unknown, record: str) -> Finding:
    """Whether receivers let this installation send with a reverse-path of the bounce domain (RFC 7208 §2.4). `record` is the one to publish."""
    about = f"{domain} SPF"
    if isinstance(fault, Unknown):
        return unknown(Check.BOUNCES, f"The SPF record of the bounce domain is not known: {fault.reason}", "Check again.", about)
    if fault:
        sentence = f"{domain}, SPF: {fault.partition(': ')[0].rstrip('.')}. Receivers check it for every mail."
        return wrong(Check.BOUNCES, sentence, f"Publish {domain} TXT {record}", about)
    return right(Check.BOUNCES, f"SPF of {domain} authorises this server.", about)


def judge_report_agreement(domain: str, about: str, texts: Sequence[str] | NoAnswer) -> Finding:
    """Whether the bounce domain agrees to take DMARC reports about the domain `about` (RFC 7489 §7.1). `texts` are found at the name for that."""
    name = f"{domain} reports"
    if isinstance(texts, NoAnswer):
        return unknown(Check.BOUNCES, f"DNS gave no answer whether {domain} takes DMARC reports: {texts.reason}.", "Check again.", name)
    if any(text.partition(";")[0].strip() == AGREEMENT for text in texts):
        return right(Check.BOUNCES, f"{domain} takes DMARC reports about {about}.", name)
    return advised(
        Check.BOUNCES,
        f"DMARC reports about {about} are not sent to {domain}: it does not say that it takes them.",
        f"Publish *._report._dmarc.{domain} TXT {AGREEMENT}",
        name,
    )
