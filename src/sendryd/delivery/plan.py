"""The plan of one attempt: the ordered list of targets that it tries at its next hop, and what each must give. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from sendryd.delivery.target import Target
from sendryd.policy.destinations import is_public
from sendryd.policy.replies.verdict import Category, Kind, Verdict, local_verdict
from sendryd.policy.rotation import mix_families, take_turn
from sendryd.policy.routing import MAX_ADDRESSES, MAX_HOSTS, NextHop, Security, SmartHost
from sendryd.policy.tls import CLEAR_TEXT, ENCRYPTED, IMPLICIT, TlsMode, TlsRequirement, TlsSecurity
from sendryd.policy.tlspolicy import NO_REQUIRETLS
from sendryd.valuetype import valuetype

SMART_HOST_TLS: Final = {Security.STARTTLS: ENCRYPTED, Security.IMPLICIT_TLS: IMPLICIT, Security.CLEAR_TEXT: CLEAR_TEXT}


@valuetype(frozen=True, slots=True)
class Turn:
    """Which attempt of which message it is: each attempt tries other hosts and addresses where there are more than it may try."""

    number: int = 0  # attempts recorded so far
    seed: int = 0  # the same for all attempts of a message, different for different messages

    def addresses(self, addresses: Sequence[str]) -> list[str]:
        """Those of one host that this attempt tries, both families early."""
        if len(addresses) == 1:
            return list(addresses)
        return take_turn(mix_families(addresses, self.seed), MAX_ADDRESSES, self.number)


def plan(next_hop: NextHop, turn: Turn, *, requirement: Callable[[str], TlsRequirement], allow_private: bool) -> list[Target]:
    """Targets in order. Empty: none of the addresses may be connected to. `requirement` says what a host must give, by its name."""
    if next_hop.smart_host is not None:
        return _plan_smart_host(next_hop, next_hop.smart_host, turn, allow_private=allow_private)
    allowed = [(host.name, [each for each in host.addresses if allow_private or is_public(each)]) for host in next_hop.hosts]
    targets = []
    for name, addresses in take_turn([each for each in allowed if each[1]], MAX_HOSTS, turn.number):
        tls = requirement(name)
        targets += [Target(host=name, address=each, port=next_hop.port, tls=tls) for each in turn.addresses(addresses)]
    return targets


def authenticate_smart_host(targets: Sequence[Target]) -> list[Target] | Verdict:
    """What REQUIRETLS wants of the smart host: a certificate for its name (RFC 8689 §4.2.1). Without TLS by its setting it gets no such mail."""
    if any(each.tls.mode is TlsMode.NEVER for each in targets):
        sentence = "The message must be encrypted all the way (REQUIRETLS), and the smart host is set to clear text"
        return local_verdict(Kind.BOUNCED, Category.TLS_FAILURE, NO_REQUIRETLS, sentence)
    return [replace(each, tls=replace(each.tls, names=(each.host,), is_pkix=True, security=TlsSecurity.ENFORCED)) for each in targets]


def _plan_smart_host(next_hop: NextHop, smart_host: SmartHost, turn: Turn, *, allow_private: bool) -> list[Target]:
    """Its setting says what it gives. The operator's may be on a private address."""
    is_free = allow_private or smart_host.may_be_private
    addresses = [address for host in next_hop.hosts for address in host.addresses if is_free or is_public(address)]
    return [
        Target(
            host=smart_host.host,
            address=address,
            port=next_hop.port,
            tls=SMART_HOST_TLS[smart_host.security],
            credentials=smart_host.credentials,
        )
        for address in turn.addresses(addresses)
    ]
