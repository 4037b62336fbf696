"""Keep the log lines of kafka-python's logins at DEBUG while we drive them: what matters is said once, by us."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quietly"]

_LOGGERS = (
    "kafka.net.sasl.gssapi",
    "kafka.net.sasl.msk",
    "kafka.net.sasl.oauth",
    "kafka.net.sasl.plain",
    "kafka.net.sasl.scram",
)


class _Quiet(logging.Filter):
    """Lower records to DEBUG that a thread logs inside of `quietly`, and keep passwords and payloads out of them.

    Another user of kafka-python in the same process keeps its log as it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.depth = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(self.depth, "count", 0):
            return True
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        if not logging.getLogger(record.name).isEnabledFor(logging.DEBUG):
            return False
        if isinstance(record.args, tuple):
            record.args = tuple(_shown(argument) for argument in record.args)
        return True


def _shown(argument: object) -> object:
    if isinstance(argument, bytes | bytearray | memoryview):
        return f"<{len(argument)} bytes>"
    name = type(argument).__name__
    # They carry the login.
    return f"<{name}>" if name.startswith("Sasl") else argument


_QUIET = _Quiet()


@contextmanager
def quietly() -> Iterator[None]:
    """Run kafka-python's code; whatever it logs is for DEBUG."""
    if not hasattr(_QUIET.depth, "count"):
        _QUIET.depth.count = 0
        for name in _LOGGERS:
            # Twice is once.
            logging.getLogger(name).addFilter(_QUIET)
    _QUIET.depth.count += 1
    try:
        yield
    finally:
        _QUIET.depth.count -= 1
