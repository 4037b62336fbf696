"""Says once of an aggregator that it deletes, since nothing else tells a `return` that was forgotten."""

import logging
from typing import Any

from headrace.topology.wiring import Wiring

__all__ = ["Deletions"]

_log = logging.getLogger("headrace.aggregations")


class Deletions:
    """What an aggregation's tasks know together: whether its deletions were told of.

    `function` names the user's function; None says that its deletions are meant.
    """

    def __init__(self, function: str | None) -> None:
        self._function = function

    def seen(self, wiring: Wiring, old: Any) -> None:
        """Take a result of None, in place of `old`."""
        if old is None or self._function is None:
            return
        _log.warning(
            "%s (%s): %s returned None in place of an aggregate, which deletes the key. If that is not meant, a "
            "`return` is missing; if it is, annotate its result as `... | None`, and this is not said",
            wiring.name, wiring.where, self._function,
        )  # fmt: skip
        self._function = None
