"""Joins of a stream with a table: the stream's records alone cause results. Source: `KStreamKTableJoinProcessor`."""

from collections.abc import Callable
from typing import Any

from headrace.base.records import Headers
from headrace.operators.getters import Getter
from headrace.topology.wiring import MISSING, Forward, Step, Wiring

__all__ = ["StreamTableJoin"]


class StreamTableJoin:
    """Joins each record with the table's present value of its key; where there are versions, with that of its own time.

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
        joiner, with_key, left = self._joiner, self._with_key, self._left
        as_of = self._getter.compile_as_of(wiring)
        has_versions = as_of is not None
        get: Callable[..., tuple[Any, int] | None] = as_of or self._getter.compile(wiring)
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop

        def join(key: Any, value: Any, timestamp: int = -1) -> Any:
            if value is None or (key is None and not left):
                drop("null join key or value")
                return MISSING
            if key is None:
                row = None
            else:
                row = get(key, timestamp) if has_versions else get(key)
            if row is None and not left:
                return MISSING
            other = None if row is None else row[0]
            return joiner(key, value, other) if with_key else joiner(value, other)

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            try:
                result = join(key, value, timestamp)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            if result is not MISSING:
                forward(key, result, timestamp, headers)

        if not has_versions:  # a step is not told of the record's time
            wiring.take_step(Step.JOIN, join)
        return run
