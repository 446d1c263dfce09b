"""Fetches the pictures of mails from other servers, so that those never learn who reads a mail, or where.

Only servers on the public Internet are asked, whatever the installation allows its webhooks: the addresses are in mail, which strangers write.
When things fail: there is no picture; the log has the reason.
"""

import asyncio
from typing import Final

from sendryd.message.pictures import picture_type
from sendryd.runtime.log import get_logger
from sendryd.runtime.posting import HttpFault, HttpFetcher

TIMEOUT: Final = 5.0  # seconds for one picture, the connection included: a page with twenty of them is complete within half a minute
MAX_OCTETS: Final = 5 * 1024 * 1024  # of one picture: larger than in any mail that people like to get
MAX_AT_ONCE: Final = 4  # pictures that are in memory: 20 MB

log = get_logger("dashboard")


class RemotePictures:
    """Fetches pictures."""

    def __init__(self, fetcher: HttpFetcher) -> None:
        """`fetcher` keeps to `TIMEOUT`, and to public addresses."""
        self._fetcher = fetcher
        self._places = asyncio.Semaphore(MAX_AT_ONCE)

    async def fetch(self, url: str) -> bytes:
        """The picture at a URL; empty if there is none."""
        async with self._places:
            try:
                octets = await self._fetcher.fetch(url, max_size=MAX_OCTETS)
            except HttpFault as error:
                log.info("picture_not_fetched", reason=str(error))
                return b""
        if picture_type(octets) is None:
            log.info("picture_not_fetched", reason="The answer is no picture.")
            return b""
        return octets
