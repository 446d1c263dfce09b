"""The reverse-path of each recipient on the wire: as the message has it, or one of our own, which names the delivery. Pure."""

from dataclasses import dataclass, field

from sendryd.model.ids import DeliveryId
from sendryd.model.message import Message
from sendryd.policy.returnpath import make_return_path


@dataclass(frozen=True, slots=True)
class Sender:
    """The reverse-paths of one message."""

    given: str  # by the client; empty: the null reverse-path
    domain: str = ""  # of our own return paths; empty: the given one goes out
    secret: bytes = field(default=b"", repr=False)

    @property
    def is_own(self) -> bool:
        """Whether each recipient has a reverse-path of its own."""
        return bool(self.domain)

    def reverse_path(self, delivery_id: DeliveryId) -> str:
        """For one recipient."""
        return make_return_path(self.secret, delivery_id, self.domain) if self.domain else self.given


@dataclass(frozen=True, slots=True)
class ReturnPaths:
    """What this installation uses as reverse-paths."""

    domain: str = ""  # of the installation; empty: reverse-paths go out as given
    secret: bytes = field(default=b"", repr=False)

    def sender(self, message: Message, own: str) -> Sender:
        """The reverse-paths of a message. `own` is the domain that its sending domain has for them; empty: none. The null reverse-path stays:
        such a message must not be answered.
        """
        if not self.domain or not message.reverse_path:
            return Sender(message.reverse_path)
        return Sender(message.reverse_path, own or self.domain, self.secret)
