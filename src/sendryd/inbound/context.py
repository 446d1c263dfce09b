"""What the sessions of port 25 work with."""

from dataclasses import dataclass

from sendryd.inbound.addresses import Addresses
from sendryd.inbound.receiver import Receiver
from sendryd.inbound.sharing import ContentShares, MessageRates
from sendryd.runtime.clock import Clock
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.metrics import Metrics
from sendryd.runtime.tls import ServerCertificate
from sendryd.smtp.server import ServerLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundContext:
    """What all sessions of port 25 share. None of it is shared with submission but the certificate and the logs."""

    hostname: str
    limits: ServerLimits
    certificate: ServerCertificate
    addresses: Addresses
    receiver: Receiver
    shares: ContentShares
    rates: MessageRates
    metrics: Metrics
    mail_log: MailLog
    clock: Clock
