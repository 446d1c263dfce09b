"""The plain sentence about one delivery. Pure.

The first case that fits wins: how the delivery ended, else who stopped it, else what it waits for.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.policy.crashes import crash_reason
from sendryd.policy.explain.facts import Facts, Hold
from sendryd.policy.explain.refused import BLOCKED, UNBLOCK, explain_attempt, explain_expired
from sendryd.policy.explain.words import Action, Explanation, Tone, clock, count, day, receiver, span


def explain(facts: Facts) -> Explanation:
    """What happens to the delivery, why, and what the reader can do."""
    match facts.state:
        case DeliveryState.QUEUED:
            return _queued(facts)
        case DeliveryState.LEASED:
            host = facts.lane.host or (facts.last.host if facts.last else "") or receiver(facts.domain)
            since = f" since {span(facts.now - facts.leased_at)}" if facts.leased_at else ""
            return Explanation(Tone.GO, f"Being handed to {host}{since}.")
        case DeliveryState.HELD:
            return _held(facts.hold or Hold(reason=HoldReason.OPERATOR), facts)
        case DeliveryState.DELIVERED:
            return _delivered(facts)
        case DeliveryState.BOUNCED:
            return _bounced(facts)
        case DeliveryState.EXPIRED:
            return explain_expired(facts, facts.last)
        case DeliveryState.SUPPRESSED:
            return _suppressed(facts)
        case DeliveryState.CANCELLED:
            when = f" at {clock(facts.ended_at, facts.now)}" if facts.ended_at else ""
            return Explanation(Tone.OFF, f"Cancelled{when} before a server took it.", actions=(Action.SEND_AGAIN,))
        case _ as unreachable:
            assert_never(unreachable)


def _queued(facts: Facts) -> Explanation:
    waits = facts.due_at - facts.now
    if facts.failed_preparing:
        times = count(facts.failed_preparing, "time", "times")
        sentence = f"Our side could not prepare the mail, {times}. It is set aside and the others go on."
        return Explanation(Tone.BAD, sentence, "Report it with the id; then try it again.", (Action.REPORT, Action.TRY_NOW))
    if facts.lane.paused_by:
        until = f" until {clock(facts.lane.paused_until, facts.now)}" if facts.lane.paused_until else ""
        why = f': "{facts.lane.paused_why}"' if facts.lane.paused_why else "."
        destination = f"the site {facts.lane.paused_site}" if facts.lane.paused_site else receiver(facts.domain)
        what = "All mail" if facts.lane.is_all_paused else f"Mail to {destination}"
        return Explanation(Tone.HOLD, f"{what} is paused by {facts.lane.paused_by}{until}{why}", actions=(Action.RESUME,))
    if facts.scheduled_at is not None and facts.scheduled_at > facts.now:
        sentence = f"Waits for its time: {clock(facts.scheduled_at, facts.now)}, in {span(facts.scheduled_at - facts.now)}."
        return Explanation(Tone.GO, sentence, actions=(Action.CHANGE_TIME, Action.SEND_NOW, Action.CANCEL))
    if facts.lane.rule and facts.lane.rule_until is not None and facts.lane.rule_until > max(facts.now, facts.due_at):
        sentence = f"{receiver(facts.domain)} gets less mail until {clock(facts.lane.rule_until, facts.now)}, by the shaping rule {facts.lane.rule}."
        return Explanation(Tone.HOLD, sentence, f'Its servers said: "{facts.lane.rule_reply}"', (Action.TRY_NOW, Action.OPEN_QUEUE))
    if facts.last is not None and facts.last.waits and waits > timedelta(0):
        advice = f"It is looked at again at {clock(facts.due_at, facts.now)}; no attempt is counted."
        return Explanation(Tone.HOLD, f"{facts.last.reply}.", advice, (Action.TRY_NOW, Action.CANCEL))
    if facts.last is not None and waits > timedelta(0):
        return explain_attempt(facts, facts.last)
    if waits > timedelta(0):
        sentence = f"Waits for its next try at {clock(facts.due_at, facts.now)}, in {span(waits)}."
        return Explanation(Tone.GO, sentence, actions=(Action.TRY_NOW, Action.CANCEL))
    return _in_line(facts)


def _suspended(facts: Facts, until: datetime) -> Explanation:
    """Its turn has come, and its site is down."""
    if facts.nothing_reachable:
        return Explanation(Tone.BAD, f"Waits, as all mail does. {BLOCKED}", UNBLOCK, (Action.CHECK,))
    host = facts.lane.smart_host
    name = f"The smart host {host}" if host else receiver(facts.domain)
    sentence = f"{name} does not answer: one mail is tried at {clock(until, facts.now)}, and the others wait for that."
    todo = "Look whether it runs." if host else "Nothing to do on your side."
    return Explanation(Tone.SLOW, sentence, f"{todo} No attempt is counted for this mail until then.", (Action.TRY_NOW, Action.OPEN_QUEUE))


def _in_line(facts: Facts) -> Explanation:
    if facts.lane.suspended_until is not None and facts.lane.suspended_until > facts.now:
        return _suspended(facts, facts.lane.suspended_until)
    ahead = f": {count(facts.lane.ahead, 'other', 'others')} to {receiver(facts.domain)} go first" if facts.lane.ahead > 1 else ""
    if facts.lane.ahead == 1:
        ahead = f": 1 other to {receiver(facts.domain)} goes first"
    pace = facts.lane.ahead / facts.lane.per_minute if facts.lane.per_minute > 0 else 0.0
    advice = f"About {span(timedelta(minutes=pace))} at this pace." if pace else ""
    return Explanation(Tone.GO, f"In the queue{ahead}.", advice, (Action.OPEN_QUEUE,))


def _held(hold: Hold, facts: Facts) -> Explanation:
    release = (Action.RELEASE, Action.CANCEL)
    match hold.reason:
        case HoldReason.OPERATOR:
            by, since = hold.by or "an operator", f" since {clock(hold.since, facts.now)}" if hold.since else ""
            note = f': "{hold.note}"' if hold.note else "."
            return Explanation(Tone.HOLD, f"Held by {by}{since}{note}", actions=release)
        case HoldReason.DOMAIN_REMOVED:
            sentence = f"Held: the sending domain {facts.sender_domain} was removed."
            return Explanation(
                Tone.HOLD, sentence, "Add the domain again and verify it, or cancel the mail.", (Action.VERIFY, Action.CANCEL)
            )
        case HoldReason.CRASHES:
            sentence = f"Held: {crash_reason(hold.crashes)}."
            return Explanation(Tone.HOLD, sentence, "Read the log, then release the mail to try it again, or cancel it.", release)
        case HoldReason.UNREADABLE:
            sentence = "Held: its row in the database, or its message's, cannot be read."
            return Explanation(Tone.BAD, sentence, "Repair the row, then release the mail, or cancel it.", release)
        case HoldReason.SIGNING_KEY_DAMAGED:
            sentence = f"Held: {hold.note or f'the DKIM key of {facts.sender_domain} cannot be read'}."
            return Explanation(Tone.BAD, sentence, "Repair the row, then release the mail, or cancel it.", release)
        case HoldReason.CONTENT_DAMAGED:
            sentence = f"Held: {hold.note or 'its content is missing, or is not what was accepted'}."
            return Explanation(Tone.BAD, sentence, "Restore the file, then release the mail, or cancel it.", release)
        case _ as unreachable:
            assert_never(unreachable)


def _delivered(facts: Facts) -> Explanation:
    if facts.complaint is not None:
        sentence = f"{facts.recipient} marked it as spam." + (" The address is suppressed." if facts.suppressed else "")
        return Explanation(Tone.ABUSE, sentence, "Leave the suppression in place; look at how the recipient was signed up.")
    if facts.is_captured:
        return Explanation(Tone.OK, "Caught in the Test Inbox: sent with a test key.", actions=(Action.OPEN_TEST,))
    last = facts.last
    host = last.host if last and last.host else receiver(facts.domain)
    when = f" at {clock(facts.delivered_at, facts.now)}" if facts.delivered_at else ""
    advice = "If it is not in the inbox: have the recipient look in spam, and ask the receiver for its id."
    sentence = f"{host} took it{when}. What happens then is decided there."
    return Explanation(Tone.OK, sentence, advice, (Action.COPY_PROOF,), last.reply if last else "")


def _bounced(facts: Facts) -> Explanation:
    facts = replace(facts, retries_left=False)
    if facts.last is None:
        return Explanation(Tone.BAD, f"{receiver(facts.domain)} refused the mail.")
    if facts.last.was_returned:
        return Explanation(Tone.OFF, f"{facts.last.reply}.", actions=(Action.SEND_AGAIN,))
    cause = explain_attempt(facts, facts.last)
    if facts.delivered_at is None:
        return cause
    later = f" {span(facts.ended_at - facts.delivered_at)} later" if facts.ended_at else ""
    return Explanation(
        Tone.BAD, f"{receiver(facts.domain)} took it and sent it back{later}. {cause.sentence}", cause.advice, cause.actions, cause.detail
    )


def _suppressed(facts: Facts) -> Explanation:
    found = facts.suppressed
    if found is None:
        return Explanation(Tone.OFF, f"Not sent: {facts.recipient} is suppressed.", actions=(Action.LIFT,))
    since = day(found.since, facts.now)
    if found.topic:
        return Explanation(Tone.OFF, f"Not sent: {facts.recipient} unsubscribed from {found.topic} on {since}.")
    sentence = f"Not sent: {facts.recipient} is suppressed since {since}, after {found.cause}."
    return Explanation(Tone.OFF, sentence, actions=(Action.SHOW_CAUSE, Action.LIFT))
