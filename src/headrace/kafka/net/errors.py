"""What a request that got no answer is told by the network."""

from enum import Enum, auto

__all__ = ["Ending", "NetworkError"]


class Ending(Enum):
    """How a connection ended, as far as advice follows from it."""

    CLOSED = auto()
    """The other side closed it, without a word."""
    CLOSED_IN_HANDSHAKE = auto()
    """The same, while TLS was being agreed on."""
    SILENT = auto()
    """It stands, and nothing came in time."""
    OTHER = auto()


class NetworkError(Exception):
    """A request got no answer.

    Attributes:
        was_sent: False where the request certainly never reached the wire; otherwise its outcome is unknown.
        is_fatal: trying again will not help: login, TLS, or a broker of another age.
        ending: how its connection ended.
    """

    def __init__(
        self,
        message: str,
        *,
        was_sent: bool = False,
        is_fatal: bool = False,
        ending: Ending = Ending.OTHER,
    ) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        self.is_fatal = is_fatal
        self.ending = ending

    @property
    def is_close(self) -> bool:
        """Whether the other side closed the connection."""
        return self.ending in (Ending.CLOSED, Ending.CLOSED_IN_HANDSHAKE)

    def at(self, name: str, *, was_sent: bool = False) -> "NetworkError":
        """Return the same of a broker by its name. A new one: a broken connection fails many requests."""
        named = NetworkError(f"{name}: {self}", was_sent=was_sent, is_fatal=self.is_fatal, ending=self.ending)
        named.__cause__ = self
        return named
