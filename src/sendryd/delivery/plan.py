"""The ordered list of what one attempt tries: hosts, addresses, and how much encryption each needs."""

from collections.abc import Collection, Sequence
from typing import Final

from sendryd.delivery.transport import Target, TlsRule
from sendryd.policy.destinations import is_public
from sendryd.policy.routing import MAX_ADDRESSES, Security, SmartHost

SMART_HOST_RULES: Final = {
    Security.STARTTLS: TlsRule.REQUIRED,
    Security.IMPLICIT_TLS: TlsRule.REQUIRED,
    Security.CLEAR_TEXT: TlsRule.NEVER,
}


def plan_mx(
    hosts: Sequence[tuple[str, Sequence[str]]],
    *,
    port: int,
    is_tls_enforced: bool,
    broken_tls: Collection[str],
    allow_private: bool,
) -> list[Target]:
    """Targets for hosts with their addresses, in order. Empty: none of the addresses may be connected to.

    `broken_tls` are hosts whose handshake failed lately: they are spoken to in clear text, unless encryption is enforced.
    """
    targets = []
    for host, addresses in hosts:
        if is_tls_enforced:
            rule = TlsRule.VERIFIED
        else:
            rule = TlsRule.NEVER if host in broken_tls else TlsRule.OPPORTUNISTIC
        allowed = [address for address in addresses if allow_private or is_public(address)]
        targets += [Target(host=host, address=address, port=port, tls=rule) for address in allowed[:MAX_ADDRESSES]]
    return targets


def plan_smart_host(smart_host: SmartHost, addresses: Sequence[str]) -> list[Target]:
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
        for address in addresses[:MAX_ADDRESSES]
    ]
