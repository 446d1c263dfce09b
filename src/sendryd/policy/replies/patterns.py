"""The words of replies, as patterns: what receiving servers write, and the category that it tells. All are for lower-case text.

A new surprise from the field becomes a line in `tests/data/replies.toml` first, then a word here.
"""

import re
from typing import Final

from sendryd.policy.replies.verdict import Category

TOO_MANY_RECIPIENTS: Final = re.compile(
    r"too many (?:recipients|rcpts?)\b(?! received)|(?:recipient|rcpt) limit|maximum (?:number of )?recipients"
)

# About us or the content: these words decide, whatever the code. The first that is found counts, so the narrow ones stand before the wide.
ABOUT_US: Final[tuple[tuple[Category, re.Pattern[str]], ...]] = tuple(
    (category, re.compile(pattern))
    for category, pattern in (
        (
            Category.GREYLISTED,
            r"gr[ea]y-?list|temporarily deferred due to unfamiliar|postgrey",
        ),
        (
            Category.RATE_LIMITED,
            r"too (?:many|much) (?:messages|mail|connections|concurrent|sessions|e-?mails|requests|recipients received)"
            r"|too many (?:invalid|unknown|bad|wrong|non-?existent) (?:recipients|rcpts?|users|addresses)"
            r"|limit (?:on|of|for) .{0,60}\b(?:messages|e-?mails?|mails?|connections)\b|(?:number|amount) of .{0,30}\b(?:messages|e-?mails|mails|connections)\b"
            r"|(?:sending|sent|daily|hourly|outgoing|outbound|message|messages|mail|e-?mail|smtp|submission) (?:rate |mail |e-?mail |message )?"
            r"(?:limit|quota)s? (?:\w+ ){0,3}(?:exceeded|reached|hit)|exceed(?:s|ed|ing)? .{0,30}\b(?:sending|daily|hourly|outgoing) .{0,20}(?:quota|limit)"
            r"|rate.?limit(?!ed because)|(?<!size )(?<!storage )(?<!mailbox )limit(?:ed)? exceeded"  # "because" of what: see below
            r"|exceeded (?:(?!size|storage|quota|mailbox).){0,40}(?:rate|limit|messages)"
            r"|(?:messages|e-?mails|mails|recipients|connections) per (?:second|minute|hour|day)"
            r"|limits for how many|unusual rate|throttl|sending rate|receiving mail (?:at a rate|too quickly)|server (?:is )?(?:too )?busy"
            r"|too (?:fast|frequently|quickly)|message frequency|frequency limit|tss04|volume of (?:e-?mail|messages)",
        ),
        (Category.GREYLISTED, r"try again in \d+ (?:sec|min)"),
        (
            Category.AUTH_FAILED,
            r"\b(?:dmarc|dkim|spf)\b|unauthenticated (?:e-?mail|mail|sender)|not authenticated|sender (?:id|policy framework)"
            r"|authentication (?:information|results|checks?|level)|spoof",
        ),
        (Category.DOMAIN_REPUTATION, r"surbl|uribl|\bdbl\b|badmailfrom"),
        (
            Category.IP_REPUTATION,
            r"block.?list|black.?list|deny.?list|\b(?:dns|rbl|dnsbl|xbl|sbl|pbl|zen)\b.{0,20}(?:list|block)|\brbl\b|dnsbl|spamhaus|barracuda"
            r"|spamcop|sorbs|uceprotect|abusix|senderscore|invaluement|(?:ip|address|host|client|server|network)\b.{0,60}\b(?:block(?:ed)?|banned|reputation|listed)\b"
            r"|reputation of (?:the )?(?:sending )?ip|poor reputation|reverse (?:dns|hostname)|\bptr\b|banned sending ip"
            r"|from (?:your|this) (?:ip|network)|block for spam|\[ts0\d\]|\battacks?\b|harvest(?:ing)?\b",
        ),
        (
            Category.DOMAIN_REPUTATION,
            r"(?:domain|url|sender)\b.{0,40}\b(?:reputation|block(?:ed)?|listed|banned)\b|\breputation\b",
        ),
        (
            Category.CONTENT_REJECTED,
            r"\bspam\b|spam(?:my|assassin|score| content)|\bjunk\b|\bbulk\b|unsolicited|virus|anti-?vir|malware|phish|content (?:rejected|denied|filter|policy)"
            r"|(?:message|mail) content|suspicious|blocked (?:for|due to) content|prohibited (?:attachment|file)|attachment type|administrative prohibition"
            r"|filter(?:ed|s|ing)\b|by (?:the |a |our )?filter|content presents|security polic|message rejected due to local policy|local policy violation",
        ),
        (
            Category.TLS_FAILURE,
            r"(?:issue|use|need|requires?|start|try|only over|without) (?:an? )?(?:starttls|tls|ssl|encryption|encrypted (?:session|connection|channel))\b"
            r"|(?:starttls|tls|ssl|encryption|encrypted (?:session|connection|channel)|secure (?:session|connection|channel))"
            r" (?:session |connection |support )?(?:is |was )?(?:required|needed|mandatory|enforced|first|expected)"
            r"|sent over a tls|unencrypted (?:mail|smtp|session|connection|channel)|(?:session|connection|channel) (?:is |was )?not encrypted"
            r"|(?:clear|plain) ?text (?:sessions?|connections?|smtp)\b",
        ),
        (
            Category.RELAY_DENIED,
            r"(?<![\w.-])relay(?:ing|ed)?\b(?![.-]\w).{0,40}\b(?:denied|refused|rejected|prohibited|disallowed|forbidden"
            r"|not (?:allowed|permitted|authori[sz]ed|supported|accepted))"
            r"|\b(?:not|cannot|can't|don't|won't|unable|refuse[sd]?|deny|no)\b.{0,30}(?<![\w.-])relay(?:ing)?\b(?![.-]\w)|rcpthosts",
        ),
        (Category.ROUTING_ERROR, r"too many hops|hop count|mail loop"),
    )
)

RELAY: Final = re.compile(r"(?<![\w.-])relay(?:ing)?\b(?![.-]\w)")  # and no host of that name

# What is quoted in angle brackets, and addresses without them: their words are names.
# A word is looked at from its first letter only: from each of them on it would take the square of its length.
NAMES: Final = re.compile(r"<[^<>]*>|(?<![^\s<>()\"':;,\[\]])[^\s<>()\"':;,\[\]]+@[^\s<>()\"':;,\[\]]+")
# Links, and what software adds as a trailer (relay=[192.0.2.9], p=NoSuchUser): their words are names too.
TRAILERS: Final = re.compile(r"https?://\S+|www\.\S+|\b[\w-]{1,40}=\S*")
KNOWN_LINKS: Final = re.compile(r"ipcheck\.proofpoint")

# Servers that look at the sender only when they know the recipient say it at RCPT.
ABOUT_SENDER: Final = re.compile(
    r"\bsender (?:address|verif|domain)|(?:envelope|of|verify) sender|from (?:address|header|field|domain)|address in (?:the )?from"
    r"|\b(?:sender|originator)(?:'s)? (?:e-?mail |mail )?(?:mailbox|account|user|unknown|invalid|does|(?:is )?not\b|is (?:unknown|invalid|disabled))"
    r"|(?:mailbox|account|address|user|domain) (?:of|for) (?:the |your |this )?(?:sender|originator)"
    r"|(?:unknown|invalid|bad|no such|non-?existent|unverified) (?:sender|originator)"
    r"|(?:mail|header) from\b|(?:return|reverse)[ -]path|reply-to"
)
ABOUT_SIZE: Final = re.compile(
    r"too (?:large|big)|(?:message|mail|content|body|attachment)s? (?:is |are )?too long|\bsize\b.{0,40}\b(?:exceed|limit|over|larger)"
    r"|(?:exceed|limit|maximum|larger|bigger|over)\w{0,20}\b.{0,40}\bsize\b|(?:message|mail|length|body|content)s? exceeds?\b"
)

# Whatever the code: the next message to the same address may be taken, so none of these suppresses it.
NOT_OF_RECIPIENT: Final[tuple[tuple[Category, re.Pattern[str]], ...]] = tuple(
    (category, re.compile(pattern))
    for category, pattern in (
        (Category.MAILBOX_FULL, r"quota|out of storage|mailbox (?:is )?full"),
        (Category.RATE_LIMITED, r"\brates?\b|\blimit(?:s|ed|ation)?\b|throttl|too many"),
        (Category.CONTENT_REJECTED, r"polic(?:y|ies)\b|filter|attack|anti-?vir|virus|\bspam|security|suspicious"),
        (
            Category.OTHER,
            r"look-?up (?:failed|failure|error)|verification (?:is )?in progress|call-?(?:back|out)\b"
            r"|(?:directory|ldap|database|backend)\b.{0,40}\b(?:not (?:reach|avail)|unreach|unavail|fail|timed? ?out|down\b)"
            r"|restrict|firewall|\bblocked\b|temporar|try (?:again )?later|not (?:allowed|permitted|authori[sz]ed) to (?:send|submit|use)"
            r"|(?:block|black|deny|grey|gray|white|allow).?list|reputation|\byour (?:ip|server|host|network|domain)\b",
        ),
    )
)

# About the recipient: believed at any 5yz, but after the words above.
ABOUT_RECIPIENT: Final[tuple[tuple[Category, re.Pattern[str]], ...]] = tuple(
    (category, re.compile(pattern))
    for category, pattern in (
        (
            Category.MAILBOX_FULL,
            r"(?:mailbox|inbox|account|user|quota|storage|recipient)\b.{0,40}\b(?:full|over ?quota|exceed|out of storage)|over ?quota|quota exceeded"
            r"|out of storage|insufficient (?:disk|mailbox)|mailbox size",
        ),
        (
            Category.INACTIVE_MAILBOX,
            r"(?:mailbox|account|user|recipient|address)\b.{0,40}\b(?:disabled|inactive|suspended|deactivated|locked|expired|closed|blocked)"
            r"|(?:disabled|inactive|suspended|deactivated) (?:mailbox|account|user|recipient)|no longer (?:active|available|in use|valid)",
        ),
        (
            Category.BAD_DOMAIN,
            r"domain (?:name )?(?:not found|unknown|does ?n[o']t exist|does not exist)|(?:unknown|no such) domain",
        ),
        (
            Category.INVALID_RECIPIENT,
            r"(?:user|recipient|mailbox|address|addressee|account|alias)\b.{0,60}\b(?:unknown|not found|does ?n[o']t exist|not exist|invalid|unavailable"
            r"|undeliverable|not known|no such|not listed|not local|not recogni[sz]ed|not exists?)"
            r"|(?:no such|unknown|invalid|nonexistent|non-existent) (?:user|recipient|mailbox|address|addressee|local|account|person|virtual)"
            r"|not a (?:valid|known) (?:user|recipient|mailbox|address|account)|mailbox name (?:is )?(?:not allowed|incorrect)|no mailbox"
            r"|does ?n[o']t have an? .{0,40}account|user doesn't|recipientnotfound|invalid final delivery|not our customer|unrouteable address"
            r"|no (?:one|body) here|unknown to (?:us|this)|dd this user|recipient address rejected: access denied",
        ),
    )
)
