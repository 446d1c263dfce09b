"""What a key may do beside its scope: test keys change nothing that live mail depends on, and few keys see a secret. Pure.

What a test key makes is for test mail alone, and every key of its account may change it; what a live key made is left to live keys.
"""

from sendryd.model.apikey import ApiKey, KeyMode, Scope


class LiveKeyNeeded(Exception):
    """A test key would change what live mail depends on."""


class NotForLiveMail(Exception):
    """Live mail would use what a test key made; the message says what to change."""


def check_change(by: KeyMode, made_by: KeyMode) -> None:
    """Whether a key of one mode may change, use or remove what was made by a key of the other. Raises `LiveKeyNeeded`."""
    if by is KeyMode.TEST and made_by is KeyMode.LIVE:
        raise LiveKeyNeeded


def may_see_url(key: ApiKey, made_by: KeyMode) -> bool:
    """Whether a key is shown the whole URL that events or mail are posted to: its path and query are a password of many services. A key
    that may change the URL sees it; the others see its host.
    """
    return key.may(Scope.FULL_ACCESS) and (key.mode is KeyMode.LIVE or made_by is KeyMode.TEST)


def may_see_secrets(key: ApiKey) -> bool:
    """Whether a key is told the signing secrets that an account keeps, after the answer that made them."""
    return key.mode is KeyMode.LIVE and key.may(Scope.FULL_ACCESS)
