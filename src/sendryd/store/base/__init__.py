"""The store contract: the operations that daemons may ask of durable state.

Each method is one transaction, named after the event in the business. A method that returns has committed, and has synced to disk where it says
*durable*. A method that raises has changed nothing. All times are aware UTC, exact to the millisecond. Lists are newest first. Every method raises
`StoreUnavailable` (and its subclass `StoreFull`) when the database cannot be read or written.
"""

from typing import Protocol

from sendryd.store.base.accepting import AcceptStore, Answer, NewDelivery, NewMessage
from sendryd.store.base.accounts import MAX_CHECKS, AccountStore, DomainCheck, NewApiKey, NewDomain, check_state
from sendryd.store.base.audit import AuditStore
from sendryd.store.base.bulk import BulkBatch, BulkStore
from sendryd.store.base.captures import CaptureStore, Play
from sendryd.store.base.closing import ClosingStore
from sendryd.store.base.cluster import Cluster, Returned
from sendryd.store.base.content import ContentStore
from sendryd.store.base.deliveries import Capture, Claim, ClaimedDelivery, CrowdedLane, DeliveryStore, OneHop, Outcome, Simulator
from sendryd.store.base.derived import DerivedStore
from sendryd.store.base.dialogues import DialogueStore
from sendryd.store.base.dkimkeys import DkimKeyStore, NewDkimKey
from sendryd.store.base.domainreports import (
    MAX_OCTETS_OF_AUTHOR,
    MAX_OF_AUTHOR,
    MAX_PROVED,
    MAX_PROVED_OCTETS,
    MAX_UNPROVED,
    MAX_UNPROVED_OCTETS,
    DomainReportStore,
)
from sendryd.store.base.egress import EgressKind, EgressStore, EgressSuspension
from sendryd.store.base.events import EventMaker, NewEvent
from sendryd.store.base.figures import DAYS_KEPT, HOURS_KEPT, MINUTES_KEPT, FigureStore
from sendryd.store.base.health import HealthStore
from sendryd.store.base.inbound import InboundStore
from sendryd.store.base.late import LateReport, LateResult, LateStore
from sendryd.store.base.leases import CrashPause, Lease, Owner, ReturnedDelivery
from sendryd.store.base.lists import ListStore, NewSuppression, NewUnsubscribe
from sendryd.store.base.nexthops import ENDED_KEPT, MAX_LIMIT_CHANGES, LimitedDestination, NextHopStore, PausedDestination, StoredStsPolicy
from sendryd.store.base.notify import ClaimedNotification, Notice, NotificationOutcome, NotifyStore
from sendryd.store.base.paging import Page
from sendryd.store.base.passkeys import PasskeyStore
from sendryd.store.base.people import PeopleStore, SignedIn
from sendryd.store.base.queue import DETOUR_HOST_KEPT, HeldBy, QueuedDelivery, QueueFilter, QueueStore, WaitingDestination
from sendryd.store.base.reading import DeliveryView, DomainTraffic, Ended, Engagement, EventFilter, EventStore, MessageFilter
from sendryd.store.base.refusals import RefusalStore
from sendryd.store.base.replays import NotificationFilter, ReplayStore, Standing, WebhookHealth
from sendryd.store.base.reports import MAX_OFFSETS, ApiRequestFilter, ReportFilter, ReportStore
from sendryd.store.base.search import Hits, IndexState, SearchStore
from sendryd.store.base.spool import SpoolReport
from sendryd.store.base.statusreports import DueReport, StatusReportStore
from sendryd.store.base.suspensions import SuspendedAccount, SuspensionStore
from sendryd.store.base.templates import TemplateStore
from sendryd.store.base.traces import TraceRequest, TraceStore
from sendryd.store.base.unknownreplies import UnknownReplyStore
from sendryd.store.base.upkeep import UpkeepStore
from sendryd.store.base.views import SavedViewStore

__all__ = [
    "DAYS_KEPT",
    "DETOUR_HOST_KEPT",
    "ENDED_KEPT",
    "HOURS_KEPT",
    "MAX_CHECKS",
    "MAX_LIMIT_CHANGES",
    "MAX_OCTETS_OF_AUTHOR",
    "MAX_OFFSETS",
    "MAX_OF_AUTHOR",
    "MAX_PROVED",
    "MAX_PROVED_OCTETS",
    "MAX_UNPROVED",
    "MAX_UNPROVED_OCTETS",
    "MINUTES_KEPT",
    "AcceptStore",
    "AccountStore",
    "Answer",
    "ApiRequestFilter",
    "AuditStore",
    "BulkBatch",
    "BulkStore",
    "Capture",
    "CaptureStore",
    "Claim",
    "ClaimedDelivery",
    "ClaimedNotification",
    "ClosingStore",
    "Cluster",
    "ContentStore",
    "CrashPause",
    "CrowdedLane",
    "DeliveryStore",
    "DeliveryView",
    "DerivedStore",
    "DialogueStore",
    "DkimKeyStore",
    "DomainCheck",
    "DomainReportStore",
    "DomainTraffic",
    "DueReport",
    "EgressKind",
    "EgressStore",
    "EgressSuspension",
    "Ended",
    "Engagement",
    "EventFilter",
    "EventMaker",
    "EventStore",
    "FigureStore",
    "HealthStore",
    "HeldBy",
    "Hits",
    "InboundStore",
    "IndexState",
    "LateReport",
    "LateResult",
    "LateStore",
    "Lease",
    "LimitedDestination",
    "ListStore",
    "MailStore",
    "MessageFilter",
    "NewApiKey",
    "NewDelivery",
    "NewDkimKey",
    "NewDomain",
    "NewEvent",
    "NewMessage",
    "NewSuppression",
    "NewUnsubscribe",
    "NextHopStore",
    "Notice",
    "NotificationFilter",
    "NotificationOutcome",
    "NotifyStore",
    "OneHop",
    "Outcome",
    "Owner",
    "Page",
    "PasskeyStore",
    "PausedDestination",
    "PeopleStore",
    "Play",
    "QueueFilter",
    "QueueStore",
    "QueuedDelivery",
    "RefusalStore",
    "ReplayStore",
    "ReportFilter",
    "ReportStore",
    "Returned",
    "ReturnedDelivery",
    "SavedViewStore",
    "SearchStore",
    "SignedIn",
    "Simulator",
    "SpoolReport",
    "Standing",
    "StatusReportStore",
    "Store",
    "StoredStsPolicy",
    "SuspendedAccount",
    "SuspensionStore",
    "TemplateStore",
    "TraceRequest",
    "TraceStore",
    "UnknownReplyStore",
    "UpkeepStore",
    "WaitingDestination",
    "WebhookHealth",
    "check_state",
]


class MailStore(
    AcceptStore,
    DeliveryStore,
    CaptureStore,
    QueueStore,
    AccountStore,
    DkimKeyStore,
    EventStore,
    UpkeepStore,
    TraceStore,
    NextHopStore,
    EgressStore,
    DerivedStore,
    FigureStore,
    SearchStore,
    LateStore,
    StatusReportStore,
    UnknownReplyStore,
    SuspensionStore,
    Protocol,
):
    """The store of accepting and delivering mail."""

    async def aclose(self) -> None:
        """Finishes the operations that were submitted and closes the database."""
        ...


class Store(
    MailStore,
    ReplayStore,
    ListStore,
    TemplateStore,
    ReportStore,
    RefusalStore,
    PeopleStore,
    PasskeyStore,
    SavedViewStore,
    ClosingStore,
    AuditStore,
    HealthStore,
    BulkStore,
    InboundStore,
    DomainReportStore,
    Protocol,
):
    """The whole store, as the composition root builds it."""
