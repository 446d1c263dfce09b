"""Step 1 of a session: the TCP connection."""

from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.target import Target
from sendryd.policy.replies.verdict import NetworkFailure
from sendryd.runtime.dial import connect
from sendryd.runtime.faults import BindFailed, ConnectFailed
from sendryd.runtime.stream import ByteStream
from sendryd.smtp.timeouts import Step


async def dial(target: Target, timeout: float) -> ByteStream:
    """Connect within `timeout` seconds. Raises `DeliveryFault`."""
    try:
        source = target.source.address if target.source is not None else None
        return await connect(target.address, target.port, timeout=timeout, local_address=source)
    except BindFailed as error:
        raise DeliveryFault(Step.CONNECT, NetworkFailure.NOT_BOUND, detail=str(error)) from error
    except ConnectFailed as error:
        # The time-out is the exception that was being handled when this one was made.
        is_timeout = isinstance(error.__context__, TimeoutError)
        failure = NetworkFailure.CONNECT_TIMEOUT if is_timeout else NetworkFailure.CONNECT_REFUSED
        raise DeliveryFault(Step.CONNECT, failure, detail=str(error)) from error
