"""The conditions of lists with varying filters: messages, events and the queue. Their values are named parameters.

They are built in Python because an absent filter must not appear in the statement: with `:x IS NULL OR …` the planner uses no index. The program's
own words (states, modes) are written into the statement, not bound: only then can the planner use a partial index.
"""

from typing import Any, Final

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import NOT_GONE_STATES, WAITING_STATES
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, parse_id
from sendryd.model.message import MessageStatus
from sendryd.store.base import EventFilter, MessageFilter, QueueFilter
from sendryd.store.codec.values import contains, first_id, to_json, to_ms
from sendryd.store.drivers.statement import Statement

_NOT_GONE: Final = ", ".join(sorted(f"'{state.value}'" for state in NOT_GONE_STATES))
# Which messages can have a status, judged by one look at their deliveries; `derive_status` decides.
_CANDIDATES: Final = {
    MessageStatus.QUEUED: "state IN ('queued', 'held')",
    MessageStatus.SENDING: "state IN ('queued', 'held', 'leased')",
    MessageStatus.DELIVERED: "state = 'delivered'",
    MessageStatus.BOUNCED: "state = 'bounced'",
    MessageStatus.FAILED: "state IN ('expired', 'suppressed')",
    MessageStatus.CANCELLED: "state = 'cancelled'",
}
_COMPLAINED: Final = "EXISTS (SELECT 1 FROM event WHERE message_id = m.id AND type = 'complained')"
_TEXT: Final = (
    "(m.subject LIKE :text ESCAPE '\\' OR EXISTS (SELECT 1 FROM "
    "json_tree(CASE WHEN json_valid(m.recipients) THEN m.recipients ELSE '[]' END) WHERE atom LIKE :text ESCAPE '\\') "
    "OR EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND forward_path LIKE :text ESCAPE '\\'))"
)
# Of a lane (`policy.smarthost`) the recipients tell the domain.
_TOWARD: Final = (
    "(d.domain = :toward OR (instr(d.domain, ':') > 0 AND (d.forward_path LIKE :toward_path ESCAPE '\\' "
    "OR substr(d.domain, 1, length(:toward) + 1) = :toward || '~')))"
)


class Conditions:
    """Conditions joined by AND, and the values of their parameters."""

    def __init__(self, *texts: str, **values: Any) -> None:
        self._texts = list(texts)
        self.values: dict[str, Any] = values

    def add(self, text: str, /, **values: Any) -> None:
        """Adds a condition."""
        self._texts.append(text)
        self.values.update(values)

    def of(self, statement: Statement) -> Statement:
        """The statement with these conditions."""
        return statement.where(" AND ".join(self._texts) or "1 = 1")


def message_conditions(account_id: AccountId, which: MessageFilter) -> Conditions:
    """Which messages `m` to list."""
    conditions = Conditions("m.account_id = :account_id", _mode("m", which.mode), account_id=account_id)
    if which.api_key_id is not None:
        conditions.add("m.api_key_id = :api_key_id", api_key_id=which.api_key_id)
    if which.recipient is not None:
        conditions.add(
            "EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND forward_path = :recipient COLLATE NOCASE)",
            recipient=which.recipient,
        )
    if which.subject:
        conditions.add("m.subject LIKE :subject ESCAPE '\\'", subject=contains(which.subject))
    if which.has_gone:
        conditions.add(f"NOT EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND state IN ({_NOT_GONE}))")
    if which.created_from is not None:
        conditions.add("m.id >= :first", first=first_id(which.created_from))
    if which.status is MessageStatus.COMPLAINED:
        conditions.add(_COMPLAINED)
    elif which.status is not None:
        conditions.add(f"EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND is_copy = 0 AND {_CANDIDATES[which.status]})")
    if which.states is not None:
        words = ", ".join(f"'{state.value}'" for state in sorted(which.states))
        conditions.add(f"EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND is_copy = 0 AND state IN ({words}))")
    if which.text:
        conditions.add(_TEXT, text=contains(which.text))
    return conditions


def event_conditions(account_id: AccountId, which: EventFilter) -> Conditions:
    """Which events `e` to list."""
    if which.message_id is None:
        conditions = Conditions("e.account_id = :account_id", _mode("e", which.mode), account_id=account_id)
    else:
        # The plus and the empty text keep the planner on the index of the message, which has few rows.
        conditions = Conditions(
            "e.message_id = :message_id",
            "+e.account_id = :account_id",
            _mode("e", which.mode).replace("e.mode", "(e.mode || '')"),
            message_id=which.message_id,
            account_id=account_id,
        )
    if which.type is not None:
        conditions.add("e.type = :type", type=which.type.value)
    if which.recipient is not None:
        conditions.add("e.recipient = :recipient COLLATE NOCASE", recipient=which.recipient)
    if which.text:
        number = parse_id(which.text.lower(), MESSAGE_PREFIX)
        if number is not None:
            conditions.add("e.message_id = :named_message", named_message=number)
        else:
            conditions.add("e.recipient LIKE :text ESCAPE '\\'", text=contains(which.text))
    if which.created_from is not None:
        conditions.add("e.created_at >= :created_from", created_from=to_ms(which.created_from))
    if which.created_to is not None:
        conditions.add("e.created_at <= :created_to", created_to=to_ms(which.created_to))
    return conditions


def queue_conditions(which: QueueFilter) -> Conditions:
    """Which deliveries `d` to list: waiting ones, unless the filter names states, a message or a delivery."""
    conditions = Conditions()
    states = which.states
    if states is None and which.message_id is None and which.delivery_id is None:
        states = WAITING_STATES
    if states is not None:
        # Bound, unlike elsewhere: the newest first are then read along the primary key, not sorted from a partial index.
        words = {f"state_{number}": state.value for number, state in enumerate(sorted(states))}
        conditions.add(f"d.state IN ({', '.join(':' + name for name in words)})", **words)
    if which.domain is not None:
        conditions.add("d.domain = :domain", domain=which.domain)
    if which.toward is not None:
        conditions.add(_TOWARD, toward=which.toward, toward_path=contains(f"@{which.toward}").removesuffix("%"))
    if which.account_id is not None:
        conditions.add("d.account_id = :account_id", account_id=which.account_id)
    if which.message_id is not None:
        conditions.add("d.message_id = :message_id", message_id=which.message_id)
    _add_ids(conditions, which)
    if which.delivery_id is not None:
        conditions.add("d.id = :delivery_id", delivery_id=which.delivery_id)
    if which.has_attempts is not None:
        conditions.add("d.attempts > 0" if which.has_attempts else "d.attempts = 0")
    if which.created_before is not None:
        conditions.add("d.created_at < :created_before", created_before=to_ms(which.created_before))
    if which.reply_begins is not None:
        conditions.add("substr(d.last_reply, 1, length(:reply_begins)) = :reply_begins", reply_begins=which.reply_begins)
    if which.is_suspended:
        conditions.add("CASE WHEN json_valid(d.hold_note) THEN json_type(d.hold_note, '$.suspended') END = 'true'")
    if which.hold_reason is not None:
        conditions.add("d.hold_reason = :hold_reason", hold_reason=which.hold_reason.value)
    return conditions


def _add_ids(conditions: Conditions, which: QueueFilter) -> None:
    for column, some in (("message_id", which.message_ids), ("id", which.delivery_ids)):
        if some is not None:
            conditions.add(f"d.{column} {{in_numbers:some_{column}}}", **{f"some_{column}": to_json(list(some))})


def _mode(table: str, mode: KeyMode) -> str:
    return f"{table}.mode = '{'test' if mode is KeyMode.TEST else 'live'}'"
