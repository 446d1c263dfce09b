"""What a search says of mail that was refused before it was accepted."""

from dataclasses import dataclass

from sendryd.policy.explain.words import Action, Explanation, Tone, count
from sendryd.policy.refusal import RefusalKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedAtDoor:
    """Submissions to an address that were refused in the last hour for one reason."""

    times: int
    key: RefusalKey
    sender_domain: str
    reply: str  # the reply to the client


def explain_refused(refused: RefusedAtDoor) -> Explanation:
    """The sentence for an address that no accepted message names, but refused ones do."""
    times = f"No such mail was accepted. {count(refused.times, 'message was', 'messages were')} refused in the last hour: "
    if refused.key is RefusalKey.DOMAIN_NOT_VERIFIED:
        sentence = f"{times}the domain {refused.sender_domain} is not verified."
        return Explanation(Tone.BAD, sentence, "Publish its DNS records.", (Action.VERIFY, Action.SMTP_LOG), refused.reply)
    return Explanation(Tone.BAD, f"{times}{refused.reply}", "Correct this in the app that sends.", (Action.SMTP_LOG,), refused.reply)
