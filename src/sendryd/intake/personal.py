"""Personalisation: makes a recipient's own copy of a message, with its own pixel, tracked links and unsubscribe links.

The stored content stays as accepted, once for all recipients. A copy is made at delivery, before it is signed, and when a captured message is
shown as it would have arrived. Pure computation; the same copy each time.
"""

import re
from typing import Final

from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.personalise import MAX_UNSUBSCRIBE_URL, Personal, personalise
from sendryd.model.ids import DeliveryId
from sendryd.model.message import Message, MessageType
from sendryd.policy.tracking import MAX_LIST_ID, click_wrapper, open_url, redirect_location, unsubscribe_url

_URI: Final = re.compile(rb"<([^<>]*)>")
_MAILTO: Final = re.compile(r"mailto:[\x21-\x3b\x3d\x3f-\x7e]+", re.IGNORECASE | re.ASCII)  # characters allowed between angle brackets


class Personaliser:
    """Makes the copies of one installation."""

    def __init__(self, public_url: str, secret: bytes) -> None:
        self._public_url = public_url
        self._secret = secret

    def copy_for(self, message: Message, delivery_id: DeliveryId, forward_path: str, content: bytes) -> bytes:
        """The content for the recipient of this delivery; the stored bytes if the message needs no personalisation.

        `content` is stored and unsigned; the unsubscribe link removes the forward-path from the list.
        """
        if not message.is_personal:
            return content
        wrap = None
        if message.track_clicks:
            wrap = click_wrapper(self._public_url, self._secret, delivery_id, _ways_out(message, content))
        personal = Personal(
            pixel_url=open_url(self._public_url, self._secret, delivery_id) if message.track_opens else None,
            wrap=wrap,
            unsubscribe_urls=self._unsubscribe_urls(message, delivery_id, forward_path),
        )
        return personalise(content, personal)

    def _unsubscribe_urls(self, message: Message, delivery_id: DeliveryId, forward_path: str) -> tuple[str, ...]:
        """Our unsubscribe URL first, which takes one click; then the sender's (RFC 2369 §2: clients use the first that they support)."""
        if message.type is not MessageType.MARKETING:
            return ()
        list_id = message.list_id
        if list_id is not None and len(list_id.encode("utf-8")) > MAX_LIST_ID:
            list_id = None  # its link would not fit a header line: unsubscribing from all marketing is better than from nothing
        ours = unsubscribe_url(
            self._public_url,
            self._secret,
            delivery_id,
            account_id=message.account_id,
            address=forward_path,
            list_id=list_id,
        )
        theirs = _as_header_uri(message.unsubscribe_url or "")
        return (ours,) if theirs is None else (ours, theirs)


def _as_header_uri(url: str) -> str | None:
    """A URL in the form for angle brackets in a field; None if it is not http, https or mailto, or too long for a line."""
    location = redirect_location(url)
    if location is not None:
        url = location.replace("<", "%3C").replace(">", "%3E")
    elif not _MAILTO.fullmatch(url):
        return None
    return url if len(url) <= MAX_UNSUBSCRIBE_URL else None


def _ways_out(message: Message, content: bytes) -> set[str]:
    """The sender's own unsubscribe URLs: the request's `unsubscribe_url`, and those of the message's List-Unsubscribe field."""
    urls = {message.unsubscribe_url} if message.unsubscribe_url else set()
    try:
        headers = HeaderBlock.parse(content)
    except MalformedMessage:
        return urls
    for value in headers.all(b"list-unsubscribe"):
        urls.update(uri.decode("utf-8", "replace").strip() for uri in _URI.findall(value))
    return urls
