"""The mail side of the SQLite store."""

from sendryd.store.sqlite.mail.accepting import Accepting
from sendryd.store.sqlite.mail.captures import Captures
from sendryd.store.sqlite.mail.deliveries import Deliveries
from sendryd.store.sqlite.mail.egress import EgressAddresses
from sendryd.store.sqlite.mail.late import Late
from sendryd.store.sqlite.mail.nexthops import NextHops
from sendryd.store.sqlite.mail.queue import Queue
from sendryd.store.sqlite.mail.reads import Reads
from sendryd.store.sqlite.mail.statusreports import StatusReports
from sendryd.store.sqlite.mail.suspensions import Suspensions
from sendryd.store.sqlite.mail.traces import Traces
from sendryd.store.sqlite.mail.upkeep import MailUpkeep


class Mail(Accepting, Deliveries, Captures, Queue, Reads, Traces, NextHops, EgressAddresses, Late, StatusReports, Suspensions, MailUpkeep):
    """`AcceptStore`, `DeliveryStore`, `CaptureStore`, `QueueStore`, `EventStore`, `TraceStore`, `NextHopStore`, `EgressStore`, `LateStore`,
    `StatusReportStore`, `SuspensionStore`, and a part of `UpkeepStore`.
    """
