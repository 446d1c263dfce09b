"""Which browser a User-Agent names, in words. Pure."""

from typing import Final

# The first that is found counts: most browsers also name the ones that they descend from.
_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Windows", "Windows"),
    ("Macintosh", "a Mac"),
    ("Linux", "Linux"),
)


def name_agent(agent: str) -> str:
    """A few words for people.

    >>> name_agent("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0")
    'Firefox on Linux'
    >>> name_agent("")
    'A browser'
    """
    browser = next((word for mark, word in _BROWSERS if mark in agent), "A browser")
    system = next((word for mark, word in _SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if system else browser
