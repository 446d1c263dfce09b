"""The ordered list of what one attempt tries: hosts, addresses, and how much encryption each needs. Pure."""

from collections.abc import Callable, Sequence
from typing import Final

from sendryd.delivery.transport import Target, TlsRule
from sendryd.policy.destinations import is_public
from sendryd.policy.rotation import mix_families, take_turn
from sendryd.policy.routing import MAX_ADDRESSES, MAX_HOSTS, Security, SmartHost
from sendryd.valuetype import valuetype

SMART_HOST_RULES: Final = {
    Security.STARTTLS: TlsRule.REQUIRED,
    Security.IMPLICIT_TLS: TlsRule.REQUIRED,
    Security.CLEAR_TEXT: TlsRule.NEVER,
}


@valuetype(frozen=True, slots=True)
class Turn:
    """Which attempt of which message it is: each attempt tries other hosts and addresses where there are more than it may try."""

    number: int = 0  # attempts recorded so far
    seed: int = 0  # the same for all attempts of a message, different for different messages

    def addresses(self, addresses: Sequence[str]) -> list[str]:
        """Those of one host that this attempt tries, both families early."""
        return take_turn(mix_families(addresses, self.seed), MAX_ADDRESSES, self.number)


def plan_mx(
    hosts: Sequence[tuple[str, Sequence[str]]],
    *,
    port: int,
    encryption: Callable[[str], tuple[TlsRule, bool]],
    allow_private: bool,
    turn: Turn,
) -> list[Target]:
    """Targets for hosts with their addresses, in order. Empty: none of the addresses may be connected to.

    `encryption` says for a host how much is needed, and whether weak parameters will do.
    """
    allowed = [(host, [each for each in addresses if allow_private or is_public(each)]) for host, addresses in hosts]
    targets = []
    for host, addresses in take_turn([each for each in allowed if each[1]], MAX_HOSTS, turn.number):
        rule, is_weak = encryption(host)
        targets += [Target(host=host, address=each, port=port, tls=rule, is_weak=is_weak) for each in turn.addresses(addresses)]
    return targets


def plan_smart_host(smart_host: SmartHost, addresses: Sequence[str], turn: Turn) -> list[Target]:
    """Targets for the configured next hop; it may be on a private address."""
    return [
        Target(
            host=smart_host.host,
            address=address,
            port=smart_host.port,
            tls=SMART_HOST_RULES[smart_host.security],
            implicit_tls=smart_host.security is Security.IMPLICIT_TLS,
            credentials=smart_host.credentials,
        )
        for address in turn.addresses(addresses)
    ]
