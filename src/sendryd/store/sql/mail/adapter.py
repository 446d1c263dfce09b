"""The mail side of a store in SQL."""

from sendryd.store.sql.mail.accepting import Accepting
from sendryd.store.sql.mail.captures import Captures
from sendryd.store.sql.mail.deliveries import Deliveries
from sendryd.store.sql.mail.egress import EgressAddresses
from sendryd.store.sql.mail.late import Late
from sendryd.store.sql.mail.nexthops import NextHops
from sendryd.store.sql.mail.queue import Queue
from sendryd.store.sql.mail.reads import Reads
from sendryd.store.sql.mail.statusreports import StatusReports
from sendryd.store.sql.mail.suspensions import Suspensions
from sendryd.store.sql.mail.traces import Traces
from sendryd.store.sql.mail.upkeep import MailUpkeep


class Mail(Accepting, Deliveries, Captures, Queue, Reads, Traces, NextHops, EgressAddresses, Late, StatusReports, Suspensions, MailUpkeep):
    """`AcceptStore`, `DeliveryStore`, `CaptureStore`, `QueueStore`, `EventStore`, `TraceStore`, `NextHopStore`, `EgressStore`, `LateStore`,
    `StatusReportStore`, `SuspensionStore`, and a part of `UpkeepStore`.
    """
