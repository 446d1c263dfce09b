"""The form in which addresses of suppressions and unsubscribes are compared."""

import unicodedata


def normalise_address(address: str) -> str:
    """The form in which addresses are compared: composed characters (NFC), lower case.

    RFC 5321 §2.4 leaves the comparison of the local part to the receiver, but no large receiver distinguishes upper case, and a person who
    unsubscribes means all spellings.
    """
    return address.lower() if address.isascii() else unicodedata.normalize("NFC", address.lower())
