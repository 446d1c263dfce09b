"""What a mail server must give before it gets mail of a domain: the recipient's policy, the sender's rule, or as much TLS as it has. Pure.

Judged for each recipient domain, before connections are shared: the answer is part of the key of kept connections.
Standards: RFC 7435, RFC 7672, RFC 8461, RFC 8689.
"""

from collections.abc import Callable
from typing import Final

from sendryd.model.domain import StsMode
from sendryd.model.message import TlsDemand
from sendryd.policy.mtasts import StsPolicy
from sendryd.policy.replies.verdict import Category, Kind, Relay, Scope, Verdict, local_verdict
from sendryd.policy.routing import MailHost
from sendryd.policy.tls import ENCRYPTED, OPPORTUNISTIC, TlsMode, TlsRequirement, TlsSecurity, authenticated, enforced, on_trial
from sendryd.valuetype import valuetype

NO_REQUIRETLS: Final = "5.7.30"  # RFC 8689 §4.2.1
UNMET: Final = "4.7.5"  # RFC 3463 §3.8: cryptographic failure


@valuetype(frozen=True, slots=True)
class Unmet:
    """A host may not get the mail, whatever it does."""

    security: TlsSecurity  # the policy that says so
    sentence: str  # for people
    is_final: bool = False  # waiting would not help

    def verdict(self) -> Verdict:
        """The deferral of a recipient for whom there is no other host, or the bounce."""
        if self.is_final:
            return local_verdict(Kind.BOUNCED, Category.TLS_FAILURE, NO_REQUIRETLS, self.sentence, unmet=self.security)
        return local_verdict(Kind.DEFERRED, Category.TLS_FAILURE, UNMET, self.sentence, unmet=self.security)


def demand(
    domain: str,
    server: MailHost,
    sts: StsPolicy | None,
    *,
    is_enforced: bool,
    otherwise: Callable[[str], TlsRequirement],
    asked: TlsDemand = TlsDemand.USUAL,
    tries_policies: bool = False,
) -> TlsRequirement | Unmet:
    """What a host must give before it gets mail for a domain.

    `is_enforced`: the sending domain insists on verified TLS. `otherwise` says it where no rule demands anything. `asked` is what the message's
    sender asks: REQUIRETLS needs DNSSEC or MTA-STS to vouch for the host (RFC 8689 §4.2.1), `TLS-Required: No` sets the recipient's policies aside,
    not the sending domain's rule (§4.2.2). `tries_policies`: a policy in testing is looked at, for reports.

    DANE comes first (RFC 8461 §2), and what it authenticates meets the sender's rule too. Records of which none can be used demand
    encryption (RFC 7672 §2.2).
    """
    host, dane = server.name, server.dane
    if asked is TlsDemand.OPTIONAL:
        return enforced(host) if is_enforced else OPPORTUNISTIC
    if dane.failure:
        return Unmet(TlsSecurity.DANE, f"The TLSA records of {host} could not be had, so nothing was sent to it: {dane.failure}")
    if usable := dane.usable:
        return TlsRequirement(mode=TlsMode.REQUIRED, names=(host, domain), dane=usable, security=TlsSecurity.DANE)
    if sts is not None and sts.mode is StsMode.ENFORCE:
        if not sts.names(host):
            return Unmet(TlsSecurity.MTA_STS, f"The MTA-STS policy of {domain} does not name its mail server {host}")
        return authenticated(host, TlsSecurity.MTA_STS)
    if asked is TlsDemand.REQUIRED:
        if sts is not None and sts.mode is StsMode.TESTING and sts.names(host):
            return authenticated(host, TlsSecurity.MTA_STS)
        sentence = f"The message must be encrypted all the way (REQUIRETLS), and neither DNSSEC nor MTA-STS vouches for {host}"
        return Unmet(TlsSecurity.ENFORCED, sentence, is_final=True)
    if is_enforced:
        return enforced(host)
    if dane.records:
        return ENCRYPTED
    is_tested = tries_policies and sts is not None and sts.mode is StsMode.TESTING and sts.names(host)
    return on_trial(host, otherwise(host)) if is_tested else otherwise(host)


_POLICIES: Final = {
    TlsSecurity.MTA_STS: "The MTA-STS policy of {domain} asks for a valid certificate",
    TlsSecurity.DANE: "The DNS of {domain}'s mail server asks for the key that it names (DANE)",
    TlsSecurity.ENFORCED: "The sending domain asks for encryption with a valid certificate",
}


def not_secured(domain: str, relay: Relay, security: TlsSecurity, detail: str) -> Verdict:
    """The deferral of a recipient whose mail was not given to a server that does not prove who it is. `detail` is what went wrong."""
    sentence = f"{_POLICIES[security].format(domain=domain)}, and {relay.host} has not shown it: {detail}"
    return Verdict(
        kind=Kind.DEFERRED,
        scope=Scope.HOST,
        category=Category.TLS_FAILURE,
        enhanced=UNMET,
        sentence=sentence,
        relay=relay,
        unmet=security,
    )
