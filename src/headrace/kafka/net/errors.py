"""What a request that got no answer is told by the network."""

from kafka.errors import IncompatibleBrokerVersion, KafkaTimeoutError, RequestTimedOutError

__all__ = ["NetworkError", "told"]


class NetworkError(Exception):
    """A request got no answer.

    Attributes:
        was_sent: False where the request certainly never reached the wire; otherwise its outcome is unknown.
        is_fatal: trying again will not help: login, TLS, or a broker of another age.
    """

    def __init__(self, message: str, *, was_sent: bool = False, is_fatal: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        self.is_fatal = is_fatal


def told(error: Exception) -> tuple[str, bool]:
    """Say what a connection ended with, in our words, and whether trying again is of no use."""
    if isinstance(error, NetworkError):
        return str(error), error.is_fatal
    if isinstance(error, KafkaTimeoutError | RequestTimedOutError):
        return "it did not answer in time (request.timeout.ms, socket.connection.setup.timeout.ms)", False
    return str(error) or type(error).__name__, isinstance(error, IncompatibleBrokerVersion)
