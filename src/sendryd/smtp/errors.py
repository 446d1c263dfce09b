"""The two ways in which a dialogue goes wrong. Anything else out of a machine is a bug in it."""


class LocalProtocolError(Exception):
    """We did something that the protocol or the machine does not allow."""


class RemoteProtocolError(Exception):
    """The peer did."""
