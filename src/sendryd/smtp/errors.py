"""The two protocol errors. Any other exception of a machine is a bug in it."""


class LocalProtocolError(Exception):
    """We violated the protocol or the machine's rules."""


class RemoteProtocolError(Exception):
    """The peer violated the protocol."""
