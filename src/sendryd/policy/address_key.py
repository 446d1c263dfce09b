"""How the addresses of suppressions and unsubscribes are compared."""

import unicodedata


def normalise_address(address: str) -> str:
    """The form in which addresses are compared: composed characters (NFC), lower case.

    The part before the @ is the receiver's to compare (RFC 5321 §2.4), but no receiver of note tells upper case apart, and who asked to be
    left alone means all spellings.
    """
    return address.lower() if address.isascii() else unicodedata.normalize("NFC", address.lower())
