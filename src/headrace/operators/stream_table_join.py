"""Joins of a stream with a table: the stream's records alone cause results. Source: `KStreamKTableJoinProcessor`."""

from collections.abc import Callable
from typing import Any

from headrace.base.records import Headers
from headrace.operators.getters import Getter
from headrace.topology.wiring import MISSING, Forward, Step, Wiring

__all__ = ["StreamTableJoin"]


class StreamTableJoin:
    """Joins each record with the table's present value of its key.

    A null value is dropped. An inner join drops a null key and a record without a match; a left join joins both with
    None (KIP-962).
    """

    def __init__(
        self, getter: Getter, joiner: Callable[..., Any], *, with_key: bool = False, left: bool = False
    ) -> None:
        self._getter = getter
        self._joiner = joiner
        self._with_key = with_key
        self._left = left

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        get, joiner, with_key, left = self._getter.compile(wiring), self._joiner, self._with_key, self._left
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop

        def join(key: Any, value: Any) -> Any:
            if value is None or (key is None and not left):
                drop("null join key or value")
                return MISSING
            row = None if key is None else get(key)
            if row is None and not left:
                return MISSING
            other = None if row is None else row[0]
            return joiner(key, value, other) if with_key else joiner(value, other)

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
