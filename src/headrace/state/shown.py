"""Stores of ready-made aggregations as readers see them: results in the place of rows.

A row without a result is no row to them.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from headrace.serde.rows import RowSerde
from headrace.state.port import KeyValueReads, SegmentedReads
from headrace.state.spec import StoreSpec

__all__ = ["has_rows", "shown"]

S = TypeVar("S")


def has_rows(spec: StoreSpec) -> bool:
    """Whether a store keeps rows that are not what is read of it."""
    return isinstance(spec.value, RowSerde)


def shown(state: S) -> S:
    """Return what is read of a store: itself, if it keeps what it shows."""
    reads: Any = state
    serde = reads.spec.value
    if not isinstance(serde, RowSerde):
        return state
    view = (_KeyValues if reads.spec.kind == "key_value" else _Cells)(reads, serde.result)
    return cast("S", view)  # of the same kind


class _KeyValues:
    def __init__(self, state: KeyValueReads, result: Callable[[Any], Any]) -> None:
        self.spec: StoreSpec = state.spec
        self._state = state
        self._result = result
        self.approximate_count = state.approximate_count

    def get(self, key: bytes) -> tuple[Any, int] | None:
        return _result_of(self._state.get(key), self._result)

    def range(
        self, start: bytes | None, end: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, Any, int]]:
        return self._results(self._state.range(start, end, reverse))

    def prefix(self, prefix: bytes) -> Iterator[tuple[bytes, Any, int]]:
        return self._results(self._state.prefix(prefix))

    def _results(self, rows: Iterator[tuple[bytes, Any, int]]) -> Iterator[tuple[bytes, Any, int]]:
        for key, row, timestamp in rows:
            value = self._result(row)
            if value is not None:
                yield key, value, timestamp


class _Cells:
    def __init__(self, state: SegmentedReads, result: Callable[[Any], Any]) -> None:
        self.spec: StoreSpec = state.spec
        self._state = state
        self._result = result

    @property
    def observed_stream_time(self) -> int:
        return self._state.observed_stream_time

    def get(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        return _result_of(self._state.get(key, slot), self._result)

    def range(
        self, key: bytes | None, from_ms: int | None, to_ms: int | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        for at, slot, row, timestamp in self._state.range(key, from_ms, to_ms, reverse):
            value = self._result(row)
            if value is not None:
                yield at, slot, value, timestamp


def _result_of(row: tuple[Any, int] | None, result: Callable[[Any], Any]) -> tuple[Any, int] | None:
    value = None if row is None else result(row[0])
    return None if row is None or value is None else (value, row[1])
