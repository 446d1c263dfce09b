"""The search of emails: along the index of the dashboard's search, and by parts of words where the index finds nothing."""

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId
from sendryd.model.message import MessageStatus
from sendryd.policy.searchterms import Wanted, wanted_text
from sendryd.store.base import MessageFilter, Store


async def make_filter(store: Store, account_id: AccountId, mode: KeyMode, status: MessageStatus | None, text: str | None) -> MessageFilter:
    """The filter of a list. All pages of a list get the same one, whatever their cursor and status.

    A text is looked for in the index, word by word: that is fast with millions of mails. If no mail has these words, or the index is not whole,
    every subject and address is compared with the text.
    """
    wanted = Wanted(all_of=wanted_text(text)) if text else Wanted()
    if wanted.is_empty:
        return MessageFilter(mode=mode, status=status, text=text)
    found = await store.search_messages(account_id, MessageFilter(mode=mode, wanted=wanted), limit=1)
    if found.items and not found.index.misses:
        return MessageFilter(mode=mode, status=status, wanted=wanted)
    return MessageFilter(mode=mode, status=status, text=text)
