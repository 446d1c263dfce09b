"""An attempt: one claim, what was said of each of its recipients so far, and what that tells of the next hop. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sendryd.delivery.dialoguenotes import AttemptNotes
from sendryd.policy.replies.verdict import Kind, Scope, Verdict
from sendryd.policy.shaping.words import words_of
from sendryd.policy.throttle import Signal
from sendryd.store.base import Claim, ClaimedDelivery


@dataclass(slots=True)
class Attempt:
    """To be recorded once it has ended."""

    claim: Claim  # without the recipients that were not to be tried
    notes: AttemptNotes
    signal: Signal = Signal.NEUTRAL
    verdicts: dict[str, Verdict] = field(default_factory=dict)  # by forward-path

    def open_deliveries(self) -> list[ClaimedDelivery]:
        """Those that another host may still take: nothing was said of them yet, or only something of a session or a host."""
        verdicts = self.verdicts
        return [each for each in self.claim.deliveries if (verdict := verdicts.get(each.forward_path)) is None or verdict.is_open]

    def undecided(self) -> list[ClaimedDelivery]:
        """Those that need another attempt, as far as is known."""
        verdicts = self.verdicts
        return [each for each in self.claim.deliveries if (verdict := verdicts.get(each.forward_path)) is None or not verdict.is_final]

    def delivered(self) -> int:
        """The number of recipients that have it."""
        return len([True for verdict in self.verdicts.values() if verdict.kind is Kind.DELIVERED])

    def deferrals(self) -> set[str]:
        """What servers said of us, of the session or of the message when they put it off, in their own words: what is said of a recipient counts for
        no rule, and neither does what strangers have chosen. Verdicts of our own have no reply.
        """
        said = {
            str(each.reply)
            for each in self.verdicts.values()
            if each.reply is not None and each.kind is Kind.DEFERRED and each.scope is not Scope.RECIPIENT
        }
        if not said:
            return said
        recipients = [each.forward_path for each in self.claim.deliveries]
        return {words_of(each, recipients) for each in said}

    def hosts(self) -> set[str]:
        """The servers that spoke of the message or of a recipient; if there is none, those that were tried."""
        spoke = {each.relay.host for each in self.verdicts.values() if each.relay is not None and not each.is_open}
        return spoke or {target.host for target, _, _ in self.notes.tried()}

    def judge(self, deliveries: Iterable[ClaimedDelivery], verdict: Verdict) -> None:
        """One verdict for several recipients."""
        for each in deliveries:
            self.verdicts[each.forward_path] = verdict

    def judge_rest(self, verdict: Verdict) -> None:
        """One verdict for all recipients that have none."""
        for each in self.claim.deliveries:
            self.verdicts.setdefault(each.forward_path, verdict)

    def leave_out(self, deliveries: Iterable[ClaimedDelivery]) -> None:
        """Takes recipients out that are done with without an attempt."""
        left_out = {each.id for each in deliveries}
        self.claim = replace(self.claim, deliveries=tuple(each for each in self.claim.deliveries if each.id not in left_out))
