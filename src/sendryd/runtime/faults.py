"""Faults of the network and of DNS, as exceptions. Each is also the standard library's exception, so that either can be caught."""


class NetworkFault(Exception):
    """Root of the network's failures."""


class ConnectFailed(NetworkFault, ConnectionError):
    """No connection could be made: refused, unreachable, or not in time."""


class BindFailed(ConnectFailed):
    """The local address cannot be used: it is not this machine's, or not for this process."""


class TLSFailed(NetworkFault, ConnectionError):
    """The TLS handshake failed, or clear text came where the handshake should begin."""


class TLSClosed(TLSFailed):
    """The peer closed or reset the connection before it sent anything of the TLS handshake."""


class TLSTimedOut(TLSFailed):
    """The TLS handshake did not end in time."""


class ReadTimedOut(NetworkFault, TimeoutError):
    """The peer sent nothing in time."""


class WriteTimedOut(NetworkFault, TimeoutError):
    """The peer did not read our output in time."""


class PeerClosed(NetworkFault, ConnectionError):
    """The connection was reset, or closed while we were writing."""


class LookupFailed(NetworkFault, OSError):
    """A DNS look-up gave no answer."""

    def __init__(self, message: str, *, is_temporary: bool) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary
