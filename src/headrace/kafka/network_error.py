"""What a request that got no answer is told by the network."""

__all__ = ["NetworkError"]


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
