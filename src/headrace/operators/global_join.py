"""Joins of a stream with a global table, by a key that each record selects. Source: `KStreamKTableJoinProcessor`."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from headrace.base.records import Headers
from headrace.operators.getters import Getter
from headrace.topology.wiring import MISSING, Forward, Step, Wiring

__all__ = ["GlobalTableJoin", "JoinerKeys"]


class JoinerKeys(Enum):
    """Which keys a joiner takes before the two values."""

    NONE = auto()
    STREAM = auto()
    """The record's own."""
    BOTH = auto()
    """The record's own, and the one that it selects."""


class GlobalTableJoin:
    """Joins each record with the row that the table has now of the key that the record selects.

    A null value is dropped, and the selector is not asked about it (Java's is, and may fail). An inner join drops a
    record that selects no key or has no match; a left join joins both with None.
    """

    def __init__(
        self,
        getter: Getter,
        selector: Callable[[Any, Any], Any],
        joiner: Callable[..., Any],
        *,
        keys: JoinerKeys,
        left: bool,
    ) -> None:
        self._getter = getter
        self._selector = selector
        self._joiner = joiner
        self._keys = keys
        self._left = left

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        get, select, joiner, left = self._getter.compile(wiring), self._selector, self._joiner, self._left
        with_both, with_stream = self._keys is JoinerKeys.BOTH, self._keys is JoinerKeys.STREAM
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop

        def join(key: Any, value: Any) -> Any:
            if value is None:
                drop("null value")
                return MISSING
            selected = select(key, value)
            row = None if selected is None else get(selected)
            if row is None and not left:
                if selected is None:
                    drop("null join key")
                return MISSING
            other = None if row is None else row[0]
            if with_both:
                return joiner(key, selected, value, other)
            return joiner(key, value, other) if with_stream else joiner(value, other)

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            try:
                result = join(key, value)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            if result is not MISSING:
                forward(key, result, timestamp, headers)

        wiring.take_step(Step.JOIN, join)
        return run
